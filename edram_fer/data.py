"""From a prepared data set to batches: tf.data on the TensorFlow backend, NumPy arrays on the others.

A source is the name of a prepared TFDS data set ("fer2013", "drawn_faces/grey48") or the path of an arrays file
(".npz", made by `write_arrays`), which needs no TensorFlow. Wherever a split is asked for, several may be, as a sum:
"fold_0+fold_1" is the one followed by the other, for data sets that are split by subjects. The order of a training
epoch and the random numbers of each picture's augmentation are functions of (seed, epoch), so any step of any epoch can
be started from.
"""

import dataclasses
import functools
import os
import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np

from edram_fer import augment, files


def default_data_dir():
    """Where prepared data sets lie: $EDRAM_FER_DATA, else `data` in the current folder."""
    return Path(os.environ.get("EDRAM_FER_DATA", "data"))


def emotions(source, *, data_dir=None):
    """Class names of the data set's labels, in label order."""
    return _open(source, data_dir).emotions


def splits(source, *, data_dir=None):
    """{split name: number of pictures}."""
    return _open(source, data_dir).splits


def describe(source, *, data_dir=None):
    """{"source", "version", "fingerprint", "image_size" (H, W), "channels", "emotions", "splits"} of a source."""
    opened = _open(source, data_dir)
    height, width, channels = opened.shape
    return {
        "source": str(source),
        "version": opened.version,
        "fingerprint": opened.fingerprint,
        "image_size": [height, width],
        "channels": channels,
        "emotions": list(opened.emotions),
        "splits": dict(opened.splits),
    }


def class_counts(source, split, *, data_dir=None):
    """{emotion: number of pictures} of a split."""
    opened = _open(source, data_dir)
    labels = opened.labels(split)
    counts = np.bincount(labels[labels >= 0], minlength=len(opened.emotions))
    return dict(zip(opened.emotions, counts.tolist(), strict=True))


def arrays(source, split, *, data_dir=None):
    """One split in memory.

    Returns: dict of "image" uint8 [N, H, W, C], "emotion" int [N] (indices into `emotions`), "affect" float32 [N, 2]
    (UNKNOWN = -2 where not known), "id" str [N], and whatever else the data set has: "duplicate", "landmarks", "mask",
    "subject", ...

    Raises ValueError for an unknown split, FileNotFoundError where the source is not there.
    """
    return _open(source, data_dir).arrays(split)


def write_arrays(source, path, *, data_dir=None):
    """Write all splits of a source to one .npz for environments without TensorFlow. Returns `describe(source)`."""
    path, description = Path(path), describe(source, data_dir=data_dir)
    if path.suffix != ".npz":
        raise ValueError(f"{path}: an arrays file ends in .npz")
    content = {key: np.array(description[key]) for key in ("source", "version", "fingerprint", "emotions")}
    for split in description["splits"]:
        for feature, values in arrays(source, split, data_dir=data_dir).items():
            content[f"{split}/{feature}"] = values.astype("U") if values.dtype == object else values
    with files.replace(path) as temporary:
        np.savez_compressed(temporary, **content)
    return description


@dataclasses.dataclass(frozen=True)
class Batches:
    """Batches of one split for fit and evaluate: ({"image": float32 [B, H, W, C]}, targets).

    The targets are "emotion" int32 [B] (indices into `classes`), with `affect` also "affect" float32 [B, 2], and the
    `constants`, the same for every picture. Pictures whose emotion is not in `classes` are left out.

    Attributes:
        source, split, data_dir: see the module.
        classes: the model's emotions, in its order; labels are converted by name.
        batch_size: pictures in a batch.
        seed: of order and augmentation.
        augmentation: augment.Augmentation; with None the pictures come in their own order, unchanged, the last batch
            as short as it must be: the way to evaluate. With one, incomplete batches are left out.
        affect: with valence and arousal among the targets.
        constants: further targets, name -> array of one picture.
    """

    source: str
    split: str
    classes: tuple
    batch_size: int
    seed: int = 0
    augmentation: augment.Augmentation | None = None
    affect: bool = True
    constants: dict = dataclasses.field(default_factory=dict)
    data_dir: Path | None = None

    def __post_init__(self):
        opened = _open(self.source, self.data_dir)
        labels = opened.labels(self.split)
        lookup = [self.classes.index(name) if name in self.classes else -1 for name in opened.emotions]
        lookup = np.array([*lookup, -1], "int32")  # the last is where a picture without label (-1) looks
        object.__setattr__(self, "opened", opened)
        object.__setattr__(self, "lookup", lookup)
        object.__setattr__(self, "kept", np.flatnonzero(lookup[labels] >= 0))
        object.__setattr__(self, "counts", np.bincount(lookup[labels[self.kept]], minlength=len(self.classes)))
        if not len(self.kept) or (self.augmentation and len(self.kept) < self.batch_size):
            need = self.batch_size if self.augmentation else 1
            raise ValueError(
                f"{self.source}, split {self.split}: expected at least {need} pictures of {', '.join(self.classes)}, "
                f"found {len(self.kept)} among {len(labels)}"
            )

    @property
    def steps(self):
        """Batches in an epoch."""
        whole, rest = divmod(len(self.kept), self.batch_size)
        return whole if self.augmentation else whole + bool(rest)

    def start(self, epoch=0, step=0):
        """What `fit` reads from that step of that epoch on: an endless tf.data.Dataset or a PyDataset, to be given
        `steps_per_epoch`. For evaluation (no augmentation): one pass."""
        if keras.backend.backend() == "tensorflow":
            return _tf_dataset(self, epoch, step)
        return _ArrayBatches(self, epoch, step)

    def order(self, epoch):
        """Indices of the pictures in that epoch's order, the same on every backend."""
        if not self.augmentation:
            return self.kept
        return np.random.default_rng([self.seed, epoch, 0]).permutation(self.kept)


class _ArrayBatches(keras.utils.PyDataset):
    """Batches in NumPy; the pictures of the split stay in memory as uint8.

    In training the index counts on through the epochs: Keras calls `on_epoch_end` before the first epoch too, so the
    epoch cannot be told from that.
    """

    def __init__(self, batches, epoch, step):
        super().__init__()
        self.batches, self.epoch = batches, None
        self.first = epoch * batches.steps + step if batches.augmentation else 0
        self.pictures = batches.opened.arrays(batches.split)

    @property
    def num_batches(self):
        return None if self.batches.augmentation else self.batches.steps

    def _begin_epoch(self, epoch):
        self.epoch, self.indices = epoch, self.batches.order(epoch)
        if self.batches.augmentation:
            self.numbers = augment.draw(self.batches.seed, epoch, len(self.pictures["image"]))

    def __getitem__(self, index):
        batches, size = self.batches, self.batches.batch_size
        epoch, step = divmod(self.first + index, batches.steps)
        if epoch != self.epoch:
            self._begin_epoch(epoch)
        chosen = self.indices[step * size : (step + 1) * size]
        images = self.pictures["image"][chosen].astype("float32") / 255
        if batches.augmentation:
            images = keras.ops.convert_to_numpy(augment.apply(batches.augmentation, images, self.numbers[chosen]))
        targets = {
            "emotion": batches.lookup[self.pictures["emotion"][chosen]],
            **({"affect": self.pictures["affect"][chosen]} if batches.affect else {}),
            **{name: np.repeat(value[None], len(chosen), axis=0) for name, value in batches.constants.items()},
        }
        return {"image": images}, targets


def _tf_dataset(batches, first_epoch, first_step):
    import tensorflow as tf

    pictures, decode = batches.opened.encoded(batches.split)
    pictures = {name: tf.constant(values) for name, values in pictures.items()}
    size, total, shape = batches.batch_size, len(pictures["emotion"]), batches.opened.shape
    lookup = tf.constant(batches.lookup)
    constants = {name: tf.constant(value) for name, value in batches.constants.items()}

    def batch(indices, numbers=None):
        images = tf.gather(pictures["image"], indices)
        if images.dtype == tf.string:
            images = tf.map_fn(decode, images, fn_output_signature=tf.uint8)
        images = tf.cast(tf.ensure_shape(images, (None, *shape)), tf.float32) / 255
        if numbers is not None:
            images = augment.apply(batches.augmentation, images, tf.gather(numbers, indices))
        targets = {
            "emotion": tf.gather(lookup, tf.gather(pictures["emotion"], indices)),
            **({"affect": tf.gather(pictures["affect"], indices)} if batches.affect else {}),
            **{name: tf.repeat(value[None], tf.shape(indices)[0], axis=0) for name, value in constants.items()},
        }
        return {"image": images}, targets

    if not batches.augmentation:
        return tf.data.Dataset.from_tensor_slices(batches.kept).batch(size).map(batch).prefetch(tf.data.AUTOTUNE)

    def one_epoch(epoch):
        order = tf.numpy_function(lambda e: batches.order(int(e)), [epoch], tf.int64, stateful=False)
        numbers = tf.numpy_function(
            lambda e: augment.draw(batches.seed, int(e), total), [epoch], tf.float32, stateful=False
        )
        numbers = tf.ensure_shape(numbers, (total, augment.NUMBERS))
        done = tf.where(epoch == first_epoch, first_step * size, 0)
        order = tf.ensure_shape(order, (None,))[done:]
        indices = tf.data.Dataset.from_tensor_slices(order).batch(size, drop_remainder=True)
        return indices.map(lambda chosen: batch(chosen, numbers), num_parallel_calls=tf.data.AUTOTUNE)

    epochs = tf.data.Dataset.counter(start=first_epoch, dtype=tf.int64)
    return epochs.flat_map(one_epoch).prefetch(tf.data.AUTOTUNE)


def _open(source, data_dir):
    if str(source).endswith(".npz"):
        return _ArraysFile(Path(source))
    return _Prepared(str(source), Path(data_dir or default_data_dir()))


_DAMAGED = (KeyError, EOFError, OSError, ValueError, zipfile.BadZipFile, zlib.error)


class _ArraysFile:
    """An arrays file, each part of it read when asked for."""

    def __init__(self, path):
        self.path = path
        try:
            self.content = np.load(path, allow_pickle=False)
            names = self.content.files
            self.emotions = tuple(str(name) for name in self.content["emotions"])
            self.version, self.fingerprint = str(self.content["version"]), str(self.content["fingerprint"])
            self.splits = {n.split("/")[0]: len(self.content[n]) for n in names if n.endswith("/emotion")}
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is missing; expected an arrays file") from None
        except (*_DAMAGED, AttributeError) as error:  # an .npy under a false name has no `files`
            raise ValueError(f"{path} is no whole arrays file: {error}") from error
        missing = {f"{s}/{f}" for s in self.splits for f in ("image", "affect", "id")} - set(names)
        if missing or not self.splits:
            lacking = ", ".join(sorted(missing)) or "any <split>/emotion"
            raise ValueError(f"{path} is no whole arrays file: it lacks {lacking}")

    @functools.cached_property
    def shape(self):
        return self.arrays(next(iter(self.splits)))["image"].shape[1:]

    def labels(self, split):
        return np.concatenate([self.content[f"{part}/emotion"] for part in _parts(split, self)])

    def arrays(self, split):
        return _joined([self._part(part) for part in _parts(split, self)])

    def _part(self, split):
        prefix = f"{split}/"
        try:
            return {n.removeprefix(prefix): self.content[n] for n in self.content.files if n.startswith(prefix)}
        except _DAMAGED as error:
            raise ValueError(f"{self.path}, split {split}: not readable: {error}") from error

    def encoded(self, split):
        return self.arrays(split), None


class _Prepared:
    """A prepared TFDS data set."""

    def __init__(self, name, data_dir):
        from preprocessing import datasets

        self.builder = datasets.builder(name, data_dir)
        info = self.builder.info
        self.emotions = tuple(info.features["emotion"].names)
        self.version, self.fingerprint = str(info.version), datasets.fingerprint(self.builder)
        self.splits = {split: part.num_examples for split, part in info.splits.items()}
        self.shape = info.features["image"].shape
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
        """({"image": bytes [N], "emotion", "affect"} in file order, what decodes one picture).

        The pictures stay in memory as they lie on disk (PNG), a fraction of their pixels: any order can be read.
        """
        content = _joined([self._encoded_part(part) for part in _parts(split, self)])
        return content, self.builder.info.features["image"].decode_example

    def _encoded_part(self, split):
        import tensorflow_datasets as tfds

        if split in self.read:
            return self.read[split]
        wanted = {"image": True, "emotion": True, "affect": True}
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
            raise ValueError(f"split: expected one of {', '.join(opened.splits)}, got {name!r}{whole}")
        if names.count(name) > 1:
            raise ValueError(f"split: {name!r} stands in {split!r} more than once")
    return names


def _joined(parts):
    """Dicts of arrays one after the other, with the features that all of them have."""
    if len(parts) == 1:
        return parts[0]
    shared = [key for key in parts[0] if all(key in part for part in parts)]
    return {key: np.concatenate([part[key] for part in parts]) for key in shared}
