"""What face recognition knows about emotions: a genuine pre-trained network, frozen and fine-tuned.

    pip install "edram-fer[benchmarks,landmarks]"
    python -m benchmarks.face_features --data ferplus/majority --out runs/face_features
    python -m benchmarks.face_features --data aligned.npz --out runs/face_features_aligned --epochs 0

dlib's face-recognition network (`benchmarks.dlib_resnet`) was trained on faces of 150 pixels with RGB colours, to tell
people apart whatever their expression. The faces are enlarged to that size. Frozen: logistic regressions on the mean of
the last map (256 numbers), and on dlib's descriptor (128), with C chosen on the validation split. Fine-tuned: the last
eight convolutions with a new last layer, Adam, mirror images; the epoch is chosen on the validation split. Each chosen
classifier is evaluated once on each test split.

Writes the maps before the eight convolutions to --out, 32 kB for each image and its mirror image, from which a later
call goes on, and result.json. One thread of an AVX2 processor takes 22 ms for the maps of an image, so about 25 minutes
for 35,000 images and their mirror images. It has not been run on a whole data set yet.
"""

import argparse
import hashlib
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm.auto import tqdm

from benchmarks.dlib_resnet import SIDE, Backbone
from benchmarks.hog_svm import load_labelled, report
from edram_fer import data, files
from edram_fer.preprocessing import model_files

COSTS = (0.003, 0.01, 0.03, 0.1)
BATCH = 128


def enlarged(faces: np.ndarray) -> np.ndarray:
    """Grey faces uint8 [n, H, W, 1] -> float32 [n, 150, 150, 3]."""
    large = [cv2.resize(face[..., 0], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for face in faces]
    return np.repeat(np.array(large, "float32")[..., None], 3, axis=-1)


def read_maps(backbone: Backbone, faces: np.ndarray, path: Path) -> np.ndarray:
    """The maps of faces and of their mirror images, float16 [2, n, 8, 8, 128], from a file or computed and written."""
    if path.exists():
        return np.load(path, mmap_mode="r")
    with files.replace(path) as temporary:
        shape = (2, len(faces), *backbone.first.output_shape[1:])
        maps = np.lib.format.open_memmap(temporary, "w+", np.float16, shape)
        for start in tqdm(range(0, len(faces), BATCH), desc=path.stem, unit=" batches", disable=None):
            part = enlarged(faces[start : start + BATCH])
            for mirrored, images in enumerate((part, part[:, :, ::-1])):
                maps[mirrored, start : start + BATCH] = backbone.first.predict_on_batch(images)
        maps.flush()
    return maps


def choose(features: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> tuple[float, Pipeline]:
    """The logistic regression with the most accurate C on the validation split, and that accuracy."""
    fitted = []
    for cost in COSTS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=cost, max_iter=1000))
        model.fit(features["train"], labels["train"])
        fitted.append((model.score(features["validation"], labels["validation"]), model))
    return max(fitted, key=lambda pair: pair[0])


def fine_tune(
    last: keras.Model, maps: dict[str, np.ndarray], labels: dict[str, np.ndarray], options: argparse.Namespace
) -> tuple[keras.Model, list[float]]:
    """Train the convolutions of `last` with a new last layer.

    Returns:
        the model with the weights of the best epoch, and the accuracy on the validation split after each.
    """
    classes = int(max(values.max() for values in labels.values())) + 1
    output = keras.layers.Dense(classes)(keras.layers.Dropout(0.3, seed=options.seed)(last.output))
    model = keras.Model(last.input, output)
    steps = options.epochs * -(-len(labels["train"]) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss=loss)
    rng, accuracies, best = np.random.default_rng(options.seed), [], None
    for epoch in range(options.epochs):
        order, mirrored = rng.permutation(len(labels["train"])), rng.integers(2, size=len(labels["train"]))
        for start in tqdm(range(0, len(order), BATCH), desc=f"epoch {epoch + 1}", unit=" batches", disable=None):
            rows = order[start : start + BATCH]
            model.train_on_batch(maps["train"][mirrored[rows], rows].astype("float32"), labels["train"][rows])
        accuracies.append(float((predict(model, maps["validation"]) == labels["validation"]).mean()))
        print(f"epoch {epoch + 1}: validation {accuracies[-1]:.2%}", flush=True)
        if accuracies[-1] == max(accuracies):
            best = model.get_weights()
    model.set_weights(best)
    return model, accuracies


def predict(model: keras.Model, maps: np.ndarray) -> np.ndarray:
    """The classes of faces without their mirror images, int [n]."""
    return model.predict(maps[0].astype("float32"), batch_size=BATCH, verbose=0).argmax(axis=-1)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ferplus/majority", help="a prepared data set of grey faces")
    parser.add_argument("--data-dir", type=Path, help="folder of the prepared data sets")
    parser.add_argument("--epochs", type=int, default=3, help="of fine-tuning; 0: none (default %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="at the start (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--out", type=Path, default=Path("runs/face_features"), help="folder (default %(default)s)")
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    described = data.describe(options.data, data_dir=options.data_dir)
    names = ["train", "validation", *(name for name in described["splits"] if name.startswith("test"))]
    backbone = Backbone(model_files.find("face recognition"))
    options.out.mkdir(parents=True, exist_ok=True)
    labels, maps, pooled = {}, {}, {}
    mark = hashlib.sha256(described["fingerprint"].encode()).hexdigest()[:12]  # maps of other data are not reused
    for name in names:
        rows = load_labelled(options.data, name, options.data_dir)
        labels[name], maps[name] = (
            rows["emotion"],
            read_maps(backbone, rows["image"], options.out / f"{name}-{mark}.npy"),
        )
        pooled[name] = backbone.last.predict(maps[name][0].astype("float32"), batch_size=BATCH, verbose=0)
    kinds = {"the mean of the last map": pooled}
    kinds["dlib's descriptor"] = {name: values @ backbone.embedding for name, values in pooled.items()}
    predicted: dict[str, dict[str, Any]] = {}
    for kind, features in kinds.items():
        accuracy, model = choose(features, labels)
        print(f"{kind}: C {model[-1].C:g} chosen on validation, {accuracy:.2%}")
        predicted[f"frozen, {kind}"] = {name: model.predict(features[name]) for name in names[2:]}
    if options.epochs:
        model, _ = fine_tune(backbone.last, maps, labels, options)
        predicted["fine-tuned"] = {name: predict(model, maps[name]) for name in names[2:]}
    result = {}
    for kind, answers in predicted.items():
        print(f"\n{kind}")
        for name, answer in answers.items():
            report(name, labels[name], answer, len(described["emotions"]))
            result[f"{kind}, {name}"] = float((answer == labels[name]).mean())
    files.write_json(options.out / "result.json", result)


if __name__ == "__main__":
    main()
