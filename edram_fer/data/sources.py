"""Prepared data sets: what they contain, and their splits in memory.

A source is the name of a prepared TFDS data set ("fer2013", "drawn_faces/grey48") or the path of an NPZ file
(".npz", see `write_arrays`), which does not need TensorFlow. Wherever a split is expected, a sum of splits is accepted:
"fold_0+fold_1" concatenates two splits, for data sets that are split by subjects.
"""

import collections
import contextlib
import functools
import itertools
import json
import os
import reprlib
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edram_fer import archives, files
from edram_fer.data import eye_alignment, face_landmarks
from edram_fer.data.crops import Crops
from edram_fer.data.crops import read as read_crops
from edram_fer.errors import MissingFileError, UserError, reason
from edram_fer.preprocessing.emotions import checked_classes
from edram_fer.preprocessing.values import path_component

_WANTED = ("image", "emotion", "affect")  # of `load_encoded`, always
_REMEDIES = {
    "landmarks": ", which the model needs to position its windows; `prepare ... --landmarks` finds them in photos, "
    "`export ... --landmarks` in crops; crops=fixed5 and an empty guide do not need landmarks",
    "soft_label": ", which labels=soft trains on; ferplus and AffectNet+ have soft labels, and labels=hard needs none",
}


def default_data_dir() -> Path:
    """Folder of prepared data sets: $EDRAM_FER_DATA, else `data` in the current folder.

    >>> default_data_dir().name
    'data'
    """
    return Path(os.environ.get("EDRAM_FER_DATA", "data"))


def emotions(source: str | Path, *, data_dir: Path | str | None = None) -> tuple[str, ...]:
    """Class names of the data set's labels, in label order.

    >>> emotions("faces.npz")
    ('neutral', 'happy', 'sad', 'surprise', 'fear', 'disgust', 'anger')
    """
    return open_source(source, data_dir).emotions


def splits(source: str | Path, *, data_dir: Path | str | None = None) -> dict[str, int]:
    """{split: number of images}.

    >>> splits("faces.npz")
    {'train': 28, 'validation': 14, 'test': 14}
    """
    return open_source(source, data_dir).splits


def describe(source: str | Path, *, data_dir: Path | str | None = None) -> dict[str, Any]:
    """Describe a source in JSON values.

    Returns:
        "source", "version", "fingerprint", "image_size" [H, W], "channels", "emotions", "splits" {name: number of
        images}, and "preprocessing": how the faces were made from photos (the fields of
        `edram_fer.preprocessing.face_settings.FaceSettings`), or None for faces as published.

    >>> about = describe("faces.npz")
    >>> about["image_size"], about["channels"], about["preprocessing"]
    ([48, 48], 1, None)
    """
    opened = open_source(source, data_dir)
    height, width, channels = opened.shape
    return {
        "source": str(source),
        "version": opened.version,
        "fingerprint": opened.fingerprint,
        "image_size": [height, width],
        "channels": channels,
        "emotions": list(opened.emotions),
        "splits": dict(opened.splits),
        "preprocessing": opened.preprocessing,
    }


def class_counts(source: str | Path, split: str, *, data_dir: Path | str | None = None) -> dict[str, int]:
    """{emotion: number of images} of a split.

    >>> class_counts("faces.npz", "test")
    {'neutral': 2, 'happy': 2, 'sad': 2, 'surprise': 2, 'fear': 2, 'disgust': 2, 'anger': 2}
    """
    opened = open_source(source, data_dir)
    labels = opened.values(split, "emotion")
    counts = np.bincount(labels[labels >= 0], minlength=len(opened.emotions))
    return dict(zip(opened.emotions, counts.tolist(), strict=True))


def load_split(source: str | Path, split: str, *, data_dir: Path | str | None = None) -> dict[str, np.ndarray]:
    """Load a split into memory.

    Returns:
        "image" uint8 [N, H, W, C], "emotion" int [N] (indices into `emotions`), "affect" float32 [N, 2] (-2 where
        unknown), "id" str [N], and the other features of the data set: "duplicate", "landmarks", "mask", "subject", ...

    Raises:
        MissingFileError: The source does not exist.
        UserError: The split is unknown or the file is damaged.

    >>> faces = load_split("faces.npz", "validation+test")
    >>> faces["image"].shape, faces["affect"].shape, faces["landmarks"].shape
    ((28, 48, 48, 1), (28, 2), (28, 68, 2))
    """
    return open_source(source, data_dir).load(split)


def crops(source: str | Path, *, data_dir: Path | str | None = None) -> Crops:
    """Where the faces of a source lie in their photos.

    Raises:
        MissingFileError: The source does not exist, or its faces were not cropped from photos by this package.

    >>> crops("faces.npz")
    Traceback (most recent call last):
    edram_fer.errors.MissingFileError: faces.npz does not say where its faces lie in photos
    """
    return open_source(source, data_dir).crops()


def write_arrays(
    source: str | Path,
    path: Path | str,
    *,
    data_dir: Path | str | None = None,
    find_landmarks: bool = False,
    align: str | None = None,
) -> dict[str, Any]:
    """Write all splits of a source to one .npz for environments without TensorFlow.

    Args:
        source: The data set.
        path: The file to write, ending in .npz.
        data_dir: Folder of prepared data sets.
        find_landmarks: Find the 68 landmarks of each face with dlib if the source has none; nan where dlib finds no
            face.
        align: Turn, scale and shift the faces so that their eyes come to the same places, see `eye_alignment.align`:
            "mean" or "arcface". Faces without landmarks stay as they are; the feature "aligned" is False for them.
            Where the faces lie in photos is not kept.

    Returns:
        `describe` of the new file.

    Raises:
        UserError: The path has another suffix, or `align` is unknown or no face has landmarks for it.
        MissingFileError, MissingPackageError: See `face_landmarks.get_landmarks`.
        OSError: The file cannot be written.

    >>> write_arrays("faces.npz", "copy.npz")["splits"] == splits("copy.npz")
    True
    """
    path, description = Path(path), describe(source, data_dir=data_dir)
    if path.suffix != ".npz":
        raise UserError(f"{path}: an NPZ file ends in .npz")
    if align is not None:
        eye_alignment.check(align)
    files.check_target(path)
    content: dict[str, Any] = {
        key: np.array(description[key]) for key in ("source", "version", "fingerprint", "emotions")
    }
    content["preprocessing"] = np.array(json.dumps(description["preprocessing"]))
    try:
        known = crops(source, data_dir=data_dir)
    except MissingFileError:
        known = None
    for split in description["splits"]:
        features = load_split(source, split, data_dir=data_dir)
        if find_landmarks:
            points, _ = face_landmarks.get_landmarks(features, find=True)
            features["landmarks"] = np.asarray(points, "float32")
        if align is None:
            features |= _squares(known, split, features["id"])
        for feature, values in features.items():
            content[f"{split}/{feature}"] = values.astype("U") if values.dtype == object else values
    if align is not None:
        eye_alignment.align(content, list(description["splits"]), align)
    with files.replace(path) as temporary:
        np.savez_compressed(temporary, **content)
    return describe(path)


def _squares(known: Crops | None, split: str, ids: np.ndarray) -> dict[str, np.ndarray]:
    """The features "photo" and "square" of the faces of a split, {} where they are not known."""
    if known is None:
        return {}
    part = known.of_split(split)
    rows = {str(name): row for row, name in enumerate(part.id)}
    chosen = np.array([rows[str(name)] for name in ids], int)
    return {"photo": part.photo[chosen].astype("U"), "square": part.square[chosen].astype("int32")}


def open_source(
    source: str | Path, data_dir: Path | str | None, extra: Sequence[str] = ()
) -> "_NpzFile | _PreparedDataset":
    """Open a source without reading its images.

    Args:
        source: Name of a prepared data set or path of an NPZ file.
        data_dir: Folder of prepared data sets; None: `default_data_dir`.
        extra: Features that `load_encoded` returns in addition to image, emotion and affect.

    Returns:
        An object with `emotions`, `splits`, `version`, `fingerprint`, `preprocessing`, `shape` (H, W, C) and the
        methods `values(split, feature)`, `load(split)` and `load_encoded(split)`.

    Raises:
        MissingFileError: The source does not exist.
        UserError: The source is damaged, or a split lacks one of the features.

    >>> opened = open_source("faces.npz", None)
    >>> opened.shape, len(opened.values("test", "emotion"))
    ((48, 48, 1), 14)
    """
    if str(source).endswith(".npz"):
        opened = _NpzFile(Path(source), extra)
    else:
        opened = _PreparedDataset(str(source), Path(data_dir or default_data_dir()), extra)
    for feature in extra:
        if feature not in opened.features:
            raise UserError(f"{source} holds no {feature}{_REMEDIES.get(feature, '')}")
    return opened


class _NpzFile:
    """An NPZ file, whose parts are read when they are needed."""

    def __init__(self, path, extra=()) -> None:
        self.path = path
        self.wanted = (*_WANTED, *extra)
        self.archive = archives.open_archive(path, archives.NPZ)
        with archives.damage(path, archives.NPZ):
            self.names = names = archives.array_names(self.archive)
        labelled = dict.fromkeys(name.split("/")[0] for name in names if name.endswith("/emotion"))
        parts = (f"{split}/{feature}" for split in labelled for feature in ("image", "affect", "id"))
        missing = {"emotions", "version", "fingerprint", *parts} - set(names)
        if missing or not labelled:
            lacking = ", ".join(sorted(missing)) or "any <split>/emotion"
            raise UserError(f"{path} is not a complete NPZ file: it lacks {lacking}")
        self.emotions = checked_classes(self._read("emotions").tolist(), f"{path}: emotions")
        self.version, self.fingerprint = str(self._read("version")), str(self._read("fingerprint"))
        self.splits = {_checked_split(path, split): self._count(split) for split in labelled}
        if len(shapes := {self._header(f"{split}/image")[0][1:] for split in labelled}) > 1:
            sizes = ", ".join(sorted("x".join(map(str, shape)) for shape in shapes))
            raise UserError(f"{path}: expected images of one size and number of channels in all splits, got {sizes}")
        with archives.damage(path, archives.NPZ):  # a ValueError of json is damage
            self.preprocessing = json.loads(str(self._read("preprocessing"))) if "preprocessing" in names else None

    @functools.cached_property
    def shape(self) -> tuple[int, int, int]:
        height, width, channels = self._header(f"{next(iter(self.splits))}/image")[0][1:]
        return height, width, channels

    def _count(self, split):
        """The number of images of a split. UserError unless all its features have as many rows, of the right shapes."""
        headers = {name.partition("/")[2]: self._header(name) for name in self._names(split)}
        expected = {"image": (4, np.uint8), "emotion": (1, np.integer), "affect": (2, np.floating), "id": (1, np.str_)}
        count = headers["emotion"][0][:1]
        for feature, (shape, dtype) in headers.items():
            dimensions, kind = expected.get(feature, (len(shape), np.generic))
            if len(shape) != dimensions or not np.issubdtype(dtype, kind) or shape[:1] != count:
                raise UserError(
                    f"{self.path}: {split}/{feature[:60]}: expected {dimensions} dimensions, {count} rows and numbers "
                    f"or texts as `export-data` writes them, got {dtype} {list(shape)}"
                )
        labels = self._read(f"{split}/emotion")
        if len(unknown := labels[(labels < -1) | (labels >= len(self.emotions))]):
            raise UserError(
                f"{self.path}: {split}/emotion: expected numbers from 0 to {len(self.emotions) - 1}, the places in its "
                f"emotions, or -1 for an image without a label, got {unknown[0]}"
            )
        return count[0]

    @property
    def features(self) -> set[str]:
        """The features that all splits have."""
        return set.intersection(*({name.partition("/")[2] for name in self._names(split)} for split in self.splits))

    def values(self, split: str, feature: str) -> np.ndarray:
        parts = _parts(split, self)
        count = sum(self.splits[part] for part in parts)
        return _join(({feature: self._read(f"{part}/{feature}")} for part in parts), count)[feature]

    def load(self, split: str) -> dict[str, np.ndarray]:
        names = [{name.partition("/")[2] for name in self._names(part)} for part in _parts(split, self)]
        return {feature: self.values(split, feature) for feature in sorted(set.intersection(*names))}

    def load_encoded(self, split: str) -> tuple[dict[str, np.ndarray], None]:
        return {feature: self.values(split, feature) for feature in self.wanted}, None

    def crops(self) -> Crops:
        if not {"photo", "square"} <= self.features:
            raise MissingFileError(f"{self.path} does not say where its faces lie in photos")
        splits = [split for split in self.splits if not split.endswith("_clean")]
        names = np.concatenate([np.full(self.splits[split], split, object) for split in splits])
        parts = [
            np.concatenate([self._read(f"{split}/{name}") for split in splits]) for name in ("id", "photo", "square")
        ]
        return Crops(names, parts[0].astype(object), parts[1].astype(object), parts[2], self.shape[0])

    def _names(self, split):
        return [name for name in self.names if name.startswith(f"{split}/")]

    def _header(self, name):
        with archives.damage(self.path, archives.NPZ):
            return archives.array_header(self.archive, name)

    def _read(self, name):
        with archives.damage(self.path, archives.NPZ):
            return archives.read_array(self.archive, name)


class _PreparedDataset:
    """A prepared TFDS data set."""

    def __init__(self, name, data_dir, extra=()) -> None:
        from edram_fer.preprocessing import datasets

        self.folder = Path(data_dir) / name
        with _damage(self.folder):
            self.builder = datasets.builder(name, data_dir)
            info = self.builder.info
            self.emotions = checked_classes(info.features["emotion"].names, f"data set {name}: emotions")
            self.version, self.fingerprint = str(info.version), datasets.fingerprint(self.builder)
            self.preprocessing = (info.metadata or {}).get("settings")
            self.splits = {_checked_split(name, split): part.num_examples for split, part in info.splits.items()}
            self.shape, self.features = info.features["image"].shape, set(info.features)
        self.wanted = (*_WANTED, *extra)
        self.read = {}

    def values(self, split: str, feature: str) -> np.ndarray:
        return self.load_encoded(split)[0][feature]

    def load(self, split: str) -> dict[str, np.ndarray]:
        parts = _parts(split, self)
        with _damage(self.folder):
            content = _join(itertools.chain.from_iterable(map(self._batches, parts)), self._count(parts))
            for key, values in content.items():
                if values.dtype == object:
                    content[key] = np.array([value.decode() for value in values])
            return content

    def load_encoded(self, split: str) -> tuple[dict[str, np.ndarray], Callable[..., Any]]:
        """({"image": bytes [N], "emotion", "affect", ...} in file order, the function that decodes one image).

        The images stay in memory as encoded in the file (PNG), which takes a fraction of the memory of their pixels, so
        they can be read in any order.
        """
        parts = _parts(split, self)
        content = _join(map(self._encoded_part, parts), self._count(parts))
        return content, self.builder.info.features["image"].decode_example

    def crops(self) -> Crops:
        return read_crops(self.builder.data_path, self.shape[0])

    def _encoded_part(self, split):
        import tensorflow_datasets as tfds

        if split not in self.read:
            decoders = {"image": tfds.decode.SkipDecoding()}
            partial = tfds.decode.PartialDecoding(dict.fromkeys(self.wanted, True), decoders=decoders)
            with _damage(self.folder):
                self.read[split] = _join(self._batches(split, partial), self._count([split]))
        return self.read[split]

    def _batches(self, split, decoders=None):
        import tensorflow_datasets as tfds

        dataset = self.builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)
        return tfds.as_numpy(dataset.batch(1024))

    def _count(self, parts):
        return sum(self.splits[part] for part in parts)


@contextlib.contextmanager
def _damage(folder: Path) -> Generator[None, None, None]:
    """Whatever TFDS and TensorFlow raise for a damaged data set, of which they document little, as a UserError."""
    try:
        yield
    except (UserError, ImportError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk, not of a file's content
            raise
        raise UserError(
            f"the data set in {folder} is damaged: {type(error).__name__}: {reason(error)}; prepare it again with "
            "--force"
        ) from error


def _checked_split(source, split):
    """The name of a split, which becomes the name of a folder and a part of sums."""
    if "+" in split:
        raise UserError(f"{source}: split: expected a name without '+', got {reprlib.repr(split)}")
    return path_component(f"{source}: split", split)


def _parts(split, opened):
    """The names in a sum of splits. UserError for one that is unknown or occurs twice."""
    names = split.split("+")
    for name in names:
        if name not in opened.splits:
            whole = f" in {split!r}" if len(names) > 1 else ""
            raise UserError(f"split: expected one of {', '.join(opened.splits)}, got {name!r}{whole}")
        if names.count(name) > 1:
            raise UserError(f"split: {name!r} occurs in {split!r} more than once")
    return names


def _join(parts: Iterable[dict[str, np.ndarray]], count: int) -> dict[str, np.ndarray]:
    """Concatenate arrays that have the same features and `count` rows in all.

    Numbers are copied to their place before the next part is read, so that memory holds them once. Texts of different
    lengths have different types and are joined at the end.
    """
    whole, texts, row = {}, collections.defaultdict(list), 0
    for part in parts:
        size = len(next(iter(part.values())))
        if size == count:
            return part
        for name, values in part.items():
            if values.dtype.kind in "OSU":
                texts[name].append(values)
                continue
            if name not in whole:
                whole[name] = np.empty((count, *values.shape[1:]), values.dtype)
            whole[name][row : row + size] = values
        row += size
    return whole | {name: np.concatenate(values) for name, values in texts.items()}
