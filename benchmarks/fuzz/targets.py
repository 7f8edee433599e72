"""The targets: whatever reads files or requests that come from elsewhere, with seed files that the project writes."""

import asyncio
import functools
import html.parser
import importlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.fuzz import mutations
from benchmarks.fuzz.campaign import Broken, Target
from edram_fer import files
from edram_fer.errors import UNEXPECTED, UserError
from edram_fer.prediction import images, video
from edram_fer.preprocessing import photos, synthetic
from edram_fer.preprocessing.datasets import inspection
from edram_fer.preprocessing.datasets.fer2013 import table as fer2013_table
from edram_fer.preprocessing.datasets.ferplus import joined

DUMMY_DATA = Path(synthetic.__file__).resolve().parents[1] / "datasets"
SIZE = 24  # pixels of the seeds' images


def _faces(count: int, channels: int = 3) -> np.ndarray:
    """Drawn-like images uint8 [count, SIZE, SIZE, channels]: smooth, so that files of them are small."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 4, 4, channels), np.uint8)
    return np.stack([cv2.resize(image, (SIZE, SIZE)).reshape(SIZE, SIZE, channels) for image in coarse])


# Images: {format: [(mode, options of Pillow), ...]}; their suffixes do not matter.
FORMATS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "PNG": [(mode, {}) for mode in ("RGB", "RGBA", "P", "L", "1", "LA", "I;16")] + [("RGB", {"save_all": True})],
    "JPEG": [
        *((mode, {"quality": 80}) for mode in ("RGB", "L", "CMYK")),
        ("RGB", {"progressive": True}),
        ("RGB", {"restart_marker_rows": 1, "subsampling": 2}),
        ("RGB", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"}),
    ],
    "GIF": [("P", {}), ("L", {}), ("P", {"save_all": True})],
    "BMP": [(mode, {}) for mode in ("RGB", "P", "L", "1", "RGBA")],
    "TIFF": [
        *((mode, {}) for mode in ("RGB", "RGBA", "L", "I;16", "F", "1", "CMYK")),
        *(("RGB", {"compression": name}) for name in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")),
        ("1", {"compression": "group4"}),
    ],
    "WEBP": [("RGB", {}), ("RGBA", {"lossless": True}), ("RGB", {"save_all": True})],
    "PPM": [("RGB", {}), ("L", {}), ("1", {}), ("I;16", {})],
    "TGA": [("RGB", {}), ("RGB", {"compression": "tga_rle"}), ("P", {}), ("RGBA", {})],
    "ICO": [("RGBA", {"sizes": [(16, 16), (24, 24)]}), ("RGBA", {"sizes": [(16, 16)], "bitmap_format": "bmp"})],
    "JPEG2000": [("RGB", {}), ("L", {"irreversible": True}), ("RGBA", {"no_jp2": True})],
    "AVIF": [("RGB", {}), ("RGBA", {})],
    "HEIF": [("RGB", {}), ("RGBA", {})],
}


def _write_photos(kind: str, folder: Path) -> list[str]:
    photos.is_image(folder)  # registers HEIF
    names = []
    for number, (mode, options) in enumerate(FORMATS[kind]):
        frames = [Image.fromarray(face) for face in _faces(3)]
        if mode == "I;16":
            converted = [Image.fromarray(np.asarray(frame.convert("L")).astype(np.uint16) * 257) for frame in frames]
        else:
            converted = [frame.convert(mode) for frame in frames]
        more = {"append_images": converted[1:]} if "save_all" in options else {}
        converted[0].save(folder / f"{number}.bin", kind, **options, **more)
        names.append(f"{number}.bin")
    return names


def _check_photo(folder: Path, name: str) -> None:
    path = folder / name
    photos.is_image(path)
    photos.decoded_pixels(path, 64)
    pixels, reduction = photos.read_reduced(path, 12)
    if reduction not in (1, 2, 4, 8) or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise Broken(f"shape: {pixels.dtype} {pixels.shape}, reduced {reduction} times")
    if min(photos.read(path).shape[:2]) < photos.MIN_SIDE:
        raise Broken(f"size: {pixels.shape}")


CODECS = {
    "mp4": "libx264",
    "mov": "mpeg4",
    "mkv": "ffv1",
    "webm": "libvpx-vp9",
    "avi": "mpeg4",
    "ts": "libx264",
    "flv": "flv",
}
ANIMATIONS = ("gif", "png", "webp", "avif")


def _write_films(folder: Path) -> list[str]:
    import av

    frames = [Image.fromarray(face) for face in _faces(4)]
    for ending, codec in CODECS.items():
        with av.open(str(folder / f"film.{ending}"), "w") as container:
            container.metadata["title"] = "a title"
            stream: Any = container.add_stream(codec, rate=10)
            stream.width = stream.height = SIZE
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_image(frame)))
            container.mux(stream.encode())
    for ending in ANIMATIONS:
        frames[0].save(folder / f"film.{ending}", save_all=True, append_images=frames[1:], duration=100)
    return [f"film.{ending}" for ending in (*CODECS, *ANIMATIONS)]


def _check_film(folder: Path, name: str) -> None:
    """All frames. A status of an unforeseen exception is a broken promise."""
    film = video.Film(folder / name, most_pixels=4_000_000)
    video.is_film(film.path)
    film.count()
    film.sparse(2)
    decoded = [images.decode(frame) for frame in film.frames()]
    _check_statuses(image.fault for image in decoded)
    numbers = [image.frame for image in decoded if image.frame is not None]
    if not decoded or numbers != list(range(len(numbers))):
        raise Broken(f"frames: {numbers}")
    for image in decoded:
        if image.pixels is not None and (image.pixels.dtype != np.uint8 or image.pixels.shape[2:] != (3,)):
            raise Broken(f"shape: {image.pixels.dtype} {image.pixels.shape}")
    if decoded[0].pixels is None:
        raise UserError(decoded[0].fault)


# Annotations: the dummy data of every layout of every data set. The images of data sets without annotation files are
# named after their labels; for these, the names are mutated.
def _write_annotations(dataset: str, names: bool, folder: Path) -> list[str]:
    shutil.copytree(DUMMY_DATA / dataset / "dummy_data", folder, dirs_exist_ok=True)
    if dataset == "table":
        _write_tables(folder)
    paths = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    images = [path for path in paths if path.lower().endswith((".jpg", ".png", ".tiff"))]
    return images if names else [path for path in paths if path not in images]


def _write_tables(folder: Path) -> None:
    frame = pd.read_csv(folder / "faces.csv", sep=";")
    (folder / "faces.tsv").write_text(frame.to_csv(sep="\t", index=False), encoding="utf-8")
    (folder / "utf16.csv").write_bytes(frame.to_csv(index=False).encode("utf-16"))
    frame.to_parquet(folder / "faces.parquet")
    frame.to_excel(folder / "faces.xlsx", index=False)


LAYOUTS = {"fer2013": 1, "affectnet": 1, "raf_db": 1, "ck_plus": 1, "folder": 1}  # levels above the data set


def _check_annotations(dataset: str, folder: Path, path: str) -> None:
    """All rows, twice, and the description. A row with a status of an unforeseen exception is one."""
    parts = Path(path).parts[: LAYOUTS.get(dataset, 0)]
    source = folder / path if dataset == "table" else folder.joinpath(*parts)
    if dataset in ("fer2013", "ferplus"):
        faces = fer2013_table.read(source) if dataset == "fer2013" else joined.read(source, "majority").faces
        _check_statuses(row.status for row in faces.rejected)
        if len(faces.pixels) != len(faces.ids):
            raise Broken(f"rows: {len(faces.pixels)} faces and {len(faces.ids)} names")
        return
    options = {"automatic": True} if path.startswith("automatic") else {}
    annotations = importlib.import_module(f"edram_fer.preprocessing.datasets.{dataset}.annotations").find(
        source, **options
    )
    records = list(annotations.records())
    _check_statuses(record.status for record in records)
    if annotations.count is not None and annotations.count() != len(records):
        raise Broken(f"rows: {annotations.count()} counted, {len(records)} read")
    if len({(record.split, record.id) for record in records}) != len(records):
        raise Broken("rows: two have the same id in a split")
    for line in inspection.describe_annotations(annotations):
        line.encode("utf-8", "surrogateescape")


def _check_statuses(statuses: Iterator[str]) -> None:
    for status in statuses:
        if status.startswith(UNEXPECTED):
            raise Broken(f"status {' '.join(status.split()[:2]).rstrip(':')}: {status}")


def _write_texts(texts: Mapping[str, str], folder: Path) -> list[str]:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return list(texts)


def _check_drawn_faces(folder: Path, name: str) -> None:
    module = importlib.import_module("edram_fer.preprocessing.datasets.drawn_faces.drawn_faces_dataset_builder")
    module.config_from_name((folder / name).read_text("utf-8", "surrogateescape"))


# Fixations.
def _write_fixations(folder: Path) -> list[str]:
    rows = "".join(f"s{i % 3},a{i % 4}.png,{i}.5,{2 * i % 20},{200 + i},happy\n" for i in range(20))
    plain = "subject,image,start_x,start_y,duration,label\n" + rows
    return _write_texts({"a.csv": plain, "b.csv": "\ufeff" + plain.replace("\n", "\r\n").replace(",", ", ")}, folder)


def _check_fixations(folder: Path, name: str) -> None:
    from edram_fer.attention import fixations

    for outside in ("raise", "drop"):
        read = fixations.read_for_images(folder / name, [f"a{i}.png" for i in range(4)], (SIZE, SIZE), outside=outside)
        if not np.isfinite(read.points).all() or not len(read) == len(read.duration) == len(read.subject):
            raise Broken("fixations: not finite, or of different lengths")
        read.report(), read.paths()


# Archives of faces, checkpoints and models.
def _features(split: int, count: int = 4) -> dict[str, np.ndarray]:
    return {
        "image": _faces(count, 1),
        "emotion": np.arange(count) % 3,
        "affect": np.full((count, 2), 0.5, np.float32),
        "id": np.array([f"{split}-{i}" for i in range(count)]),
        "landmarks": np.full((count, 68, 2), 7, np.float32),
        "duplicate": np.zeros(count, bool),
    }


def _write_npz(folder: Path) -> list[str]:
    about = {"source": "a", "version": "1.0.0", "fingerprint": "abc", "preprocessing": json.dumps({"size": SIZE})}
    about["emotions"] = np.array(["neutral", "happy", "sad"])
    arrays = {f"{split}/{key}": value for split in ("train", "test") for key, value in _features(len(split)).items()}
    np.savez(folder / "stored.npz", **about, **arrays)
    np.savez_compressed(folder / "deflated.npz", **about, **arrays)
    return ["stored.npz", "deflated.npz"]


def _check_npz(folder: Path, name: str) -> None:
    from edram_fer.data import sources

    about = sources.describe(folder / name)
    for split in about["splits"]:
        features = sources.load_split(folder / name, split)
        if {len(values) for values in features.values()} != {about["splits"][split]}:
            raise Broken("rows: features of different lengths")
        sources.class_counts(folder / name, split)


def _write_checkpoint(folder: Path) -> list[str]:
    arrays = {f"v{i:05d}": np.full((2, i + 1), i, np.float32) for i in range(3)}
    variables = [[f"layer/{i}", [2, i + 1]] for i in range(3)]
    meta = {"epoch": 1, "step": 2, "ended": False, "history": [{"loss": 0.5}], "variables": variables, "callbacks": []}
    np.savez(folder / "latest.npz", meta=np.array(json.dumps(meta)), count=3, **arrays)
    return ["latest.npz"]


def _check_checkpoint(folder: Path, name: str) -> None:
    from edram_fer.run import checkpoints

    checkpoints.read_state(folder / name)


def _write_keras(folder: Path) -> list[str]:
    import edram_fer

    model = edram_fer.build("deep_emotion", image_size=(48, 48), emotions=["happy", "sad", "anger"])
    importlib.import_module("edram_fer.run.checkpoints").save(model, folder / "model.keras")
    return ["model.keras"]


def _check_keras(folder: Path, name: str) -> None:
    from edram_fer.run import checkpoints

    model = checkpoints.load(folder / name)
    if len(model.emotions) < 2:
        raise Broken("classes: fewer than two")


# Run folders.
def _write_recipe(folder: Path) -> list[str]:
    from edram_fer.recipes import recipe

    for name in ("fer2013", "ran_ferplus_small"):
        (folder / name).mkdir()
        files.write_json(folder / name / "recipe.json", recipe.get(name).to_json())
    return ["fer2013/recipe.json", "ran_ferplus_small/recipe.json"]


def _check_recipe(folder: Path, name: str) -> None:
    from edram_fer.run import checkpoints

    recipe = checkpoints.read_recipe((folder / name).parent)
    if recipe.emotions != "data" and len(recipe.classes) < 2:
        raise Broken("classes: fewer than two")


def _outputs(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet((1, 1, 1), (count, 2)).astype(np.float32)
    windows = np.tile(np.array([[0.5, 0, 0], [0, 0.5, 0]], np.float32), (count, 2, 1, 1))
    weights = np.full((count, 2), 0.5, np.float32)
    return {"probabilities": probabilities, "affect": np.zeros((count, 2, 2)), "windows": windows, "weights": weights}


def _write_predictions(folder: Path) -> list[str]:
    from edram_fer.run import predictions

    names = ["neutral", "happy", "sad"]
    rows = predictions.table("test", _features(0, 12), _outputs(12), names, names)
    predictions.write(rows, folder / "predictions.parquet")
    return ["predictions.parquet"]


def _check_predictions(folder: Path, name: str) -> None:
    from edram_fer.run import predictions

    rows = predictions.read(folder / name)
    for split in rows["split"].unique().to_pylist():
        part = predictions.unpack(predictions.select_split(rows, split))
        count = len(part["id"])
        if part["probabilities"].shape[::2] != (count, len(part["emotions"])) or len(part["windows"]) != count:
            raise Broken(f"shapes: {part['probabilities'].shape}, {part['windows'].shape}")


def _write_run(folder: Path) -> list[str]:
    from edram_fer.evaluation import summary
    from edram_fer.run import layout, predictions

    _write_predictions(folder)
    rows = predictions.read(folder / layout.PREDICTIONS)
    run = {"recipe": "a recipe", "model": "edram", "emotions": ["neutral", "happy", "sad"], "data": "faces.npz"}
    run |= {"command": "evaluate", "versions": {"keras": "3"}, "time": "2024-05-06T07:08:09+00:00", "seconds": 1.5}
    metrics = {"run": run, "splits": {"test": summary.scores(rows, repeats=5)}}
    files.write_json(folder / layout.METRICS, files.plain(metrics))
    files.write_json(folder / layout.RECIPE, {"name": "b", "options": {"c": "d"}, "monitor": "val_loss", "data": "e"})
    files.write_json(folder / layout.ENVIRONMENT, {"python": "3.11", "packages": {"keras": "3"}, "cpu": "f"})
    figure = folder / layout.FIGURES / "test" / layout.CONFUSION  # where there is one, none is drawn
    figure.parent.mkdir(parents=True)
    figure.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="72pt"></svg>', encoding="utf-8")
    return [layout.METRICS, layout.RECIPE, layout.ENVIRONMENT]


class _Markup(html.parser.HTMLParser):
    """Counts the tags and attributes that only a payload can have brought."""

    def __init__(self) -> None:
        super().__init__()
        self.strange: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if "fuzz" in tag or any("fuzz" in name for name, _ in attrs):
            self.strange.append(str(self.get_starttag_text()))


def _check_report(folder: Path, name: str) -> None:
    from edram_fer.report import page

    text = page.write(folder).read_text(encoding="utf-8")
    markup = _Markup()
    markup.feed(text)
    if markup.strange or "</html>" not in text:
        raise Broken(f"markup: {markup.strange[:3]}")


# Prepared data sets.
def _write_tfds(folder: Path) -> list[str]:
    from edram_fer.preprocessing import datasets

    builder = datasets.prepare("drawn_faces/grey16_7_8_4_4_0", None, folder, report=lambda line: None)
    return [path.relative_to(folder).as_posix() for path in sorted(Path(builder.data_dir).iterdir())]


def _check_tfds(folder: Path, name: str) -> None:
    from edram_fer.data import sources

    about = sources.describe("drawn_faces/grey16_7_8_4_4_0", data_dir=folder)
    for split in about["splits"]:
        features = sources.load_split("drawn_faces/grey16_7_8_4_4_0", split, data_dir=folder)
        if {len(values) for values in features.values()} != {about["splits"][split]}:
            raise Broken("rows: features of different lengths")


# The card of a model from elsewhere.
def _write_card(folder: Path) -> list[str]:
    (folder / "model.onnx").write_bytes(b"a")
    rest = "classes: [angry, sad, neutral]\nimage_size: [64, 64]\ncolour: grey\nscaling: [-1, 1]\noutput: logits\n"
    more = "mean: 0.5\nstd: [0.2]\nlayout: NCHW\nignored_classes: [sad]\nname: a\nlicence: MIT\n"
    return _write_texts({"a.yaml": f"model: model.onnx\n{rest}", "b.yaml": f"model: model.onnx\n{rest}{more}"}, folder)


def _check_card(folder: Path, name: str) -> None:
    from edram_fer.foreign import card

    card.read_card(folder / name).to_json()


# The description in an exported model; the graphs themselves are for ONNX Runtime and LiteRT.
def _write_description(folder: Path) -> list[str]:
    tensors = {name: {"shape": [None, 8, 8, 1], "dtype": "float32", "meaning": "a"} for name in ("image", "windows")}
    content = {"model": "EDRAM", "emotions": ["happy", "sad"], "preprocessing": {"size": 48}, "predicts_affect": True}
    content |= {"calibration": {"temperature": [2.0, 1.5]}, "inputs": tensors, "outputs": tensors}
    content |= {"weights": "int8", "edram_fer_version": "0.2.0"}
    return _write_texts({"a.json": json.dumps(content)}, folder)


def _check_description(folder: Path, name: str) -> None:
    from edram_fer.runtime import Description

    description = Description.from_json((folder / name).read_bytes(), folder / name)
    if Description.from_texts(description.to_texts(), folder / name) != description:
        raise Broken("texts: they give another description")


# The page in the browser: the body of a photo, of a face as JSON, or the settings in the address.
def _write_requests(folder: Path) -> list[str]:
    import base64

    face = io.BytesIO()
    Image.fromarray(cv2.resize(_faces(1)[0], (48, 48))).convert("L").save(face, "PNG")
    encoded = base64.b64encode(face.getvalue()).decode()
    windows = [[[0.5, 0, 0], [0, 0.5, 0]]] * 6
    body = {"model": "fer2013-edram", "face": encoded, "glimpses": 2, "zoom_limit": 0.5}
    (folder / "face").write_text(json.dumps(body), encoding="utf-8")
    (folder / "windows").write_text(json.dumps({"face": encoded, "windows": windows}), encoding="utf-8")
    (folder / "photo").write_bytes(face.getvalue())
    (folder / "query").write_text("model=fer2013-edram&glimpses=2&zoom_limit=0.5&whole=1&preview=1", encoding="utf-8")
    return ["face", "photo", "query"]


@functools.cache
def _application() -> Any:
    import edram_fer
    from edram_fer.web import answers, server

    return server.application([answers.Analyst("fer2013-edram", edram_fer.load("fer2013-edram"))])


def _check_request(folder: Path, name: str) -> None:
    content, query = (folder / name).read_bytes(), b"whole=1"
    if name == "query":
        content, query = (folder / "photo").read_bytes(), content
    path = "/api/face" if name in ("face", "windows") else "/api/predict"
    status, answer = asyncio.run(_post(_application(), path, query, content))
    json.loads(answer)
    if status not in (200, 400, 413, 415):
        raise Broken(f"status {status}: {answer[:200]!r}")


async def _post(application: Any, path: str, query: bytes, body: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer to a request."""
    sent, parts = [{"type": "http.request", "body": body, "more_body": False}], []
    status = 0

    async def receive() -> dict[str, Any]:
        if sent:
            return sent.pop()
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"}
    scope |= {"path": path, "raw_path": path.encode(), "query_string": query, "root_path": ""}
    scope |= {"headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    await application(scope, receive, send)
    return status, b"".join(parts)


def _targets() -> Iterator[Target]:
    for kind in FORMATS:
        yield _target(f"photo-{kind.lower()}", functools.partial(_write_photos, kind), _check_photo)
    yield _target("films", _write_films, _check_film)
    for dataset in ("fer2013", "ferplus", "affectnet", "raf_db", "ck_plus", "expw", "table"):
        write = functools.partial(_write_annotations, dataset, False)
        yield _target(f"annotations-{dataset}", write, functools.partial(_check_annotations, dataset))
    for dataset in ("fer2013", "raf_db", "ck_plus", "jaffe", "ferg", "kdef", "sfew", "folder"):
        write, check = (functools.partial(one, dataset) for one in (_write_annotations, _check_annotations))
        yield Target(f"names-{dataset}", functools.partial(write, True), check, mutations.name, names=True)
    drawn = {"a": "grey48", "b": "colour64_8_6000_1000_1000_0"}
    yield _target("annotations-drawn_faces", functools.partial(_write_texts, drawn), _check_drawn_faces)
    yield _target("fixations", _write_fixations, _check_fixations)
    yield _target("npz", _write_npz, _check_npz)
    yield _target("checkpoint", _write_checkpoint, _check_checkpoint)
    yield _target("keras", _write_keras, _check_keras)
    yield _target("card", _write_card, _check_card)
    yield _target("description", _write_description, _check_description)
    yield _target("recipe", _write_recipe, _check_recipe)
    yield _target("predictions", _write_predictions, _check_predictions)
    yield _target("tfds", _write_tfds, _check_tfds)
    yield Target("report", _write_run, _check_report, mutations.payload)
    yield _target("requests", _write_requests, _check_request)


def _target(name: str, write: Callable[[Path], list[str]], check: Callable[[Path, str], None]) -> Target:
    return Target(name, write, check, mutations.mutate)


TARGETS = {target.name: target for target in _targets()}
