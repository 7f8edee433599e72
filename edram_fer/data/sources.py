"""Prepared data sets: what is in them, and their splits in memory.

A source is the name of a prepared TFDS data set ("fer2013", "drawn_faces/grey48") or the path of an arrays file
(".npz", made by `write_arrays`), which needs no TensorFlow. Wherever a split is asked for, several may be, as a sum:
"fold_0+fold_1" is the one followed by the other, for data sets that are split by subjects.
"""

import functools
import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from edram_fer import files
from edram_fer.data import face_landmarks
from edram_fer.errors import MissingFileError, UserError


def default_data_dir():
    """Where prepared data sets lie: $EDRAM_FER_DATA, else `data` in the current folder."""
    return Path(os.environ.get("EDRAM_FER_DATA", "data"))


def emotions(source, *, data_dir=None):
    """Class names of the data set's labels, in label order."""
    return open_source(source, data_dir).emotions


def splits(source, *, data_dir=None):
    """{split name: number of images}."""
    return open_source(source, data_dir).splits


def describe(source, *, data_dir=None):
    """{"source", "version", "fingerprint", "image_size" (H, W), "channels", "emotions", "splits", "faces"} of a source;
    "faces" tells how they were made from photos (fields of `edram_fer.preprocessing.faces.Settings`), None of faces as published.
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
        "faces": opened.faces,
    }


def class_counts(source, split, *, data_dir=None):
    """{emotion: number of images} of a split."""
    opened = open_source(source, data_dir)
    labels = opened.labels(split)
    counts = np.bincount(labels[labels >= 0], minlength=len(opened.emotions))
    return dict(zip(opened.emotions, counts.tolist(), strict=True))


def arrays(source, split, *, data_dir=None):
    """One split in memory.

    Returns: dict of "image" uint8 [N, H, W, C], "emotion" int [N] (indices into `emotions`), "affect" float32 [N, 2]
    (-2 where not known), "id" str [N], and whatever else the data set has: "duplicate", "landmarks", "mask",
    "subject", ...

    Raises ValueError for an unknown split, FileNotFoundError where the source is not there.
    """
    return open_source(source, data_dir).arrays(split)


def write_arrays(source, path, *, data_dir=None, find_landmarks=False):
    """Write all splits of a source to one .npz for environments without TensorFlow.

    Args:
        find_landmarks: let dlib find the faces' 68 landmarks where the source has none; nan where it finds no face.

    Returns: `describe(source)`.

    Raises ValueError for another suffix, and as `face_landmarks.get_landmarks`.
    """
    path, description = Path(path), describe(source, data_dir=data_dir)
    if path.suffix != ".npz":
        raise UserError(f"{path}: an arrays file ends in .npz")
    content = {key: np.array(description[key]) for key in ("source", "version", "fingerprint", "emotions")}
    content["faces"] = np.array(json.dumps(description["faces"]))
    for split in description["splits"]:
        features = arrays(source, split, data_dir=data_dir)
        if find_landmarks:
            features["landmarks"] = face_landmarks.get_landmarks(features, find=True)[0].astype("float32")
        for feature, values in features.items():
            content[f"{split}/{feature}"] = values.astype("U") if values.dtype == object else values
    with files.replace(path) as temporary:
        np.savez_compressed(temporary, **content)
    return description


def open_source(source, data_dir, extra=()):
    """A source with `emotions`, `splits`, `version`, `fingerprint`, `faces`, `shape` (H, W, C) and the methods
    `labels(split)`, `arrays(split)` and `encoded(split)`.

    Args:
        extra: features that `encoded` gives beside image, emotion and affect.

    Raises ValueError where a split has no such feature.
    """
    if str(source).endswith(".npz"):
        opened = _ArraysFile(Path(source))
    else:
        opened = _Prepared(str(source), Path(data_dir or default_data_dir()), extra)
    for feature in extra:
        if feature not in opened.features:
            raise UserError(f"{source} holds no {feature}{_WHERE_FROM.get(feature, '')}")
    return opened


_WHERE_FROM = {
    "landmarks": ", by which the model finds where to look; `prepare ... --landmarks` finds them in photos, `export "
    "... --landmarks` in crops; crops=fixed5 and an empty guide need none",
    "soft_label": ", which labels=soft trains on; ferplus and AffectNet+ have them, labels=hard needs none",
}


_DAMAGED = (KeyError, EOFError, OSError, ValueError, zipfile.BadZipFile, zlib.error)


class _ArraysFile:
    """An arrays file, each part of it read when asked for."""

    def __init__(self, path):
        self.path = path
        try:
            zipfile.ZipFile(path).close()  # of a damaged archive, np.load leaves the file open
            self.content = np.load(path, allow_pickle=False)
            names = self.content.files
            self.emotions = tuple(str(name) for name in self.content["emotions"])
            self.version, self.fingerprint = str(self.content["version"]), str(self.content["fingerprint"])
            self.splits = {n.split("/")[0]: len(self.content[n]) for n in names if n.endswith("/emotion")}
            self.faces = json.loads(str(self.content["faces"])) if "faces" in names else None
        except FileNotFoundError:
            raise MissingFileError(f"{path} is missing; expected an arrays file") from None
        except (*_DAMAGED, AttributeError) as error:  # an .npy under a false name has no `files`
            raise UserError(f"{path} is no whole arrays file: {error}") from error
        missing = {f"{s}/{f}" for s in self.splits for f in ("image", "affect", "id")} - set(names)
        if missing or not self.splits:
            lacking = ", ".join(sorted(missing)) or "any <split>/emotion"
            raise UserError(f"{path} is no whole arrays file: it lacks {lacking}")

    @functools.cached_property
    def shape(self):
        return self.arrays(next(iter(self.splits)))["image"].shape[1:]

    @property
    def features(self):
        """Those that all splits have."""
        each = [{n.partition("/")[2] for n in self.content.files if n.startswith(f"{split}/")} for split in self.splits]
        return set.intersection(*each)

    def labels(self, split):
        return np.concatenate([self.content[f"{part}/emotion"] for part in _parts(split, self)])

    def arrays(self, split):
        return _joined([self._part(part) for part in _parts(split, self)])

    def _part(self, split):
        prefix = f"{split}/"
        try:
            return {n.removeprefix(prefix): self.content[n] for n in self.content.files if n.startswith(prefix)}
        except _DAMAGED as error:
            raise UserError(f"{self.path}, split {split}: not readable: {error}") from error

    def encoded(self, split):
        return self.arrays(split), None


class _Prepared:
    """A prepared TFDS data set."""

    def __init__(self, name, data_dir, extra=()):
        from edram_fer.preprocessing import datasets

        self.builder = datasets.builder(name, data_dir)
        info = self.builder.info
        self.emotions = tuple(info.features["emotion"].names)
        self.version, self.fingerprint = str(info.version), datasets.fingerprint(self.builder)
        self.faces = (info.metadata or {}).get("settings")
        self.splits = {split: part.num_examples for split, part in info.splits.items()}
        self.shape, self.features = info.features["image"].shape, set(info.features)
        self.wanted = ("image", "emotion", "affect", *extra)
        self.read = {}

    def labels(self, split):
        return self.encoded(split)[0]["emotion"]

    def arrays(self, split):
        return _joined([self._part(part) for part in _parts(split, self)])

    def _part(self, split):
        import tensorflow_datasets as tfds

        dataset = self.builder.as_dataset(split=split, shuffle_files=False)
        content = _joined([*tfds.as_numpy(dataset.batch(1024))])
        for key, values in content.items():
            if values.dtype == object:
                content[key] = np.array([value.decode() for value in values])
        return content

    def encoded(self, split):
        """({"image": bytes [N], "emotion", "affect", ...} in file order, what decodes one image).

        The images stay in memory as they lie on disk (PNG), a fraction of their pixels: any order can be read.
        """
        content = _joined([self._encoded_part(part) for part in _parts(split, self)])
        return content, self.builder.info.features["image"].decode_example

    def _encoded_part(self, split):
        import tensorflow_datasets as tfds

        if split in self.read:
            return self.read[split]
        wanted = dict.fromkeys(self.wanted, True)
        decoders = tfds.decode.PartialDecoding(wanted, decoders={"image": tfds.decode.SkipDecoding()})
        dataset = self.builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)
        self.read[split] = _joined([*tfds.as_numpy(dataset.batch(1024))])
        return self.read[split]


def _parts(split, opened):
    """The names in a sum of splits. ValueError for one that is not there or stands there twice."""
    names = split.split("+")
    for name in names:
        if name not in opened.splits:
            whole = f" in {split!r}" if len(names) > 1 else ""
            raise UserError(f"split: expected one of {', '.join(opened.splits)}, got {name!r}{whole}")
        if names.count(name) > 1:
            raise UserError(f"split: {name!r} stands in {split!r} more than once")
    return names


def _joined(parts):
    """Dicts of arrays one after the other, with the features that all of them have."""
    if len(parts) == 1:
        return parts[0]
    shared = [key for key in parts[0] if all(key in part for part in parts)]
    return {key: np.concatenate([part[key] for part in parts]) for key in shared}
