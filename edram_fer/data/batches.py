"""From a split to batches: tf.data on the TensorFlow backend, PyDatasets on the others.

NumPy draws the order of a training epoch and all random numbers of its images as functions of (seed, epoch), so that
training can start at any step of any epoch and all backends see the same batches, up to rounding.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from edram_fer import devices
from edram_fer.data import augment, erasing, guides, landmarks, mixup, open_source
from edram_fer.errors import UserError
from edram_fer.preprocessing.emotions import EIGHT

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Batches:
    """Batches of one split for `fit` and `evaluate`: ({"image": float32 [B, H, W, C], ...}, targets).

    The targets are "emotion", with `affect` also "affect" float32 [B, 2], and the `constants`, the same for every
    image. The emotion is int32 [B] (indices into `classes`); with `mixup` or `soft` it is probabilities float32
    [B, K]. Images whose emotion is not in `classes` are left out.

    Attributes:
        source, split, data_dir: See `edram_fer.data`.
        classes: The model's emotions, in its order; labels are converted by name.
        batch_size: Images per batch.
        seed: Seed of order and augmentation.
        augmentation: None: the images are unchanged and in the order of the split, and the last batch may be shorter,
            as evaluation requires. Otherwise incomplete batches are left out.
        mixup: Alpha of `edram_fer.data.mixup`, 0: none; only with an augmentation.
        soft: Whether the target is the data set's soft label, restricted to `classes`.
        affect: Whether valence and arousal are among the targets.
        landmarks: Whether "landmarks" float32 [B, 68, 2] in pixels, warped with the image, are among the inputs.
        guide: Where the glimpses are guided to; the target of "windows" is then float32 [B, N, 3], see `guides.Guide`.
            What people look at is drawn anew in each epoch with an augmentation, once without.
        constants: Further targets, name -> array of one image.
        device_data: Whether the training images stay in the memory of the device, see `on_device`.
        replicas: The devices that divide each batch among them.

    Raises:
        MissingFileError: The source does not exist.
        UserError: The source lacks the split, has no soft labels (or only hard ones), has no landmarks for any face, or
            has too few images. The log reports the number of faces without landmarks.
    """

    source: str
    split: str
    classes: tuple[str, ...]
    batch_size: int
    seed: int = 0
    augmentation: augment.Augmentation | None = None
    mixup: float = 0.0
    soft: bool = False
    affect: bool = True
    landmarks: bool = False
    guide: guides.Guide = guides.Guide()
    constants: dict[str, Any] = dataclasses.field(default_factory=dict)
    device_data: bool = False
    data_dir: Path | None = None
    replicas: devices.Replicas = devices.ONE
    # The opened source; the index in `classes` of each of its emotions; the indices of the images that are kept; how
    # many of these each class has; where people would look on the images, None: no glimpse follows people.
    opened: Any = dataclasses.field(init=False, repr=False, compare=False)
    lookup: np.ndarray = dataclasses.field(init=False, repr=False, compare=False)
    kept: np.ndarray = dataclasses.field(init=False, repr=False, compare=False)
    counts: np.ndarray = dataclasses.field(init=False, repr=False, compare=False)
    viewings: guides.Viewings | None = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        extra = ["landmarks"] * self.has_landmarks + ["soft_label"] * self.soft
        opened = open_source(self.source, self.data_dir, extra)
        labels = opened.values(self.split, "emotion")
        lookup = [self.classes.index(name) if name in self.classes else -1 for name in opened.emotions]
        lookup = np.array([*lookup, -1], "int32")  # the last entry is for images without a label (-1)
        object.__setattr__(self, "opened", opened)
        object.__setattr__(self, "lookup", lookup)
        object.__setattr__(self, "kept", np.flatnonzero(lookup[labels] >= 0))
        object.__setattr__(self, "counts", np.bincount(lookup[labels[self.kept]], minlength=len(self.classes)))
        if not len(self.kept) or (self.augmentation and len(self.kept) < self.batch_size):
            fewest = self.batch_size if self.augmentation else 1
            raise UserError(
                f"{self.source}, split {self.split}: expected at least {fewest} images of {', '.join(self.classes)}, "
                f"found {len(self.kept)} among {len(labels)}"
            )
        if self.augmentation and self.batch_size % self.replicas.count:
            raise UserError(
                f"batch_size: expected a multiple of {self.replicas.count}, the number of devices, got "
                f"{self.batch_size}"
            )
        self._check_features()
        viewings = None
        if self.guide.people:
            names = [*opened.emotions, ""]  # an image without a label has -1
            points = opened.values(self.split, "landmarks")
            viewings = guides.Viewings(self.guide, points, [names[label] for label in labels])
        object.__setattr__(self, "viewings", viewings)

    def _check_features(self):
        location = f"{self.source}, split {self.split}"
        if self.soft and not set(self.classes) <= set(EIGHT):
            raise UserError(f"{location}: soft labels are for the eight emotions, not for {', '.join(self.classes)}")
        if self.soft and (self.opened.values(self.split, "soft_label")[self.kept].max(axis=1) == 1).all():
            raise UserError(f"{location}: labels=soft needs soft labels, these are all hard; try ferplus/probability")
        if self.has_landmarks:
            landmarks.check(self.opened.values(self.split, "landmarks")[self.kept], location)

    @property
    def has_landmarks(self) -> bool:
        """Whether landmarks are read."""
        return self.landmarks or bool(self.guide.parts)

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        whole, rest = divmod(len(self.kept), self.batch_size)
        return whole if self.augmentation else whole + bool(rest)

    def start(self, epoch: int = 0, step: int = 0) -> "tf.data.Dataset[Any] | keras.utils.PyDataset":
        """The batches from a step of an epoch onwards. They are endless, so `fit` needs `steps_per_epoch`; without
        augmentation, they end after one pass."""
        if keras.backend.backend() == "tensorflow":
            return _tf_dataset(self, epoch, step)
        return (_DeviceBatches if self.on_device else _ArrayBatches)(self, epoch, step)

    @property
    def on_device(self) -> bool:
        """Whether the training images stay in the memory of each device: with `device_data`, and on JAX with a GPU or
        TPU, or with several devices, if they take at most half of it. What `start` returns then yields what
        `preparation` takes."""
        if self.augmentation is None:
            return False
        if self.device_data:
            return True
        if keras.backend.backend() != "jax" or not (self.replicas.count > 1 or devices.has_accelerator()):
            return False
        return len(self.kept) * math.prod(self.opened.shape) <= devices.memory() / 2

    def preparation(self) -> Callable[..., tuple[Any, Any]] | None:
        """What makes the batches inside the compiled training step, see `FERModel.prepare_batch`; None: `start` yields
        whole batches.

        On TensorFlow it holds the images of the split, on JAX they are among its arguments, because a compiled step
        would contain a second copy of what it holds.
        """
        if not self.on_device:
            return None
        if keras.backend.backend() != "tensorflow":
            return self.prepare
        images = _with_targets(self, self.opened.load(self.split))
        return functools.partial(self.prepare, _on_device(self, images))

    def prepare(self, images: Mapping[str, Any], rows: Any, numbers: Mapping[str, Any]) -> tuple[Any, Any]:
        """Make one batch on the device, inside the compiled training step.

        Args:
            images: The features of the whole split: "image" uint8 [N, H, W, C], and the others as `batch` takes them.
            rows: Indices of the images of the batch, int [B].
            numbers: The numbers that `draw` returns for these images.

        Returns:
            (inputs, targets), as `batch` does.
        """
        chosen = {name: ops.take(values, rows, axis=0) for name, values in images.items()}
        chosen["image"] = ops.cast(chosen["image"], "float32") / 255
        return self.batch(chosen, numbers)

    def order(self, epoch: int) -> np.ndarray:
        """Indices of the images in their order in an epoch, the same on every backend."""
        if not self.augmentation:
            return self.kept
        return np.random.default_rng([self.seed, epoch, 0]).permutation(self.kept)

    def draw(self, epoch: int, count: int) -> dict[str, np.ndarray]:
        """Random numbers of an epoch for all `count` images of the split: name -> float32 [count, ...]."""
        numbers = {}
        if self.augmentation is not None:
            numbers["augmentation"] = augment.draw(self.seed, epoch, count)
            if self.augmentation.erase:
                size = self.opened.shape[:2]
                numbers["boxes"] = erasing.draw(self.seed, epoch, count, self.augmentation.erase, size)
            if self.mixup:
                numbers["shares"] = mixup.draw(self.seed, epoch, count, self.mixup)
        if self.guide.epochs:  # validation has the weight of the end, so that the losses of all epochs compare
            weight = self.guide.weight(math.inf if self.augmentation is None else epoch)
            numbers["guide_weights"] = np.full(count, weight, "float32")
        if self.viewings is not None:
            numbers["looked_at"] = self.viewings.draw(self.seed, epoch)
        return numbers

    def targets(self, images: Mapping[str, np.ndarray]) -> np.ndarray:
        """The target of each image of the split: int32 [N], or probabilities float32 [N, K]. Targets of images that are
        left out are meaningless.

        Args:
            images: Features of the split: "emotion" int [N], with `soft` also "soft_label" [N, 8].
        """
        labels = self.lookup[images["emotion"]]
        if self.soft:
            shares = np.asarray(images["soft_label"])[:, [EIGHT.index(name) for name in self.classes]]
            return (shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-7)).astype("float32")
        return np.eye(len(self.classes), dtype="float32")[labels] if self.mixup else labels

    def batch(self, images: Mapping[str, Any], numbers: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Make one batch with `keras.ops`, eagerly or inside tf.data.

        Args:
            images: "image" float32 [B, H, W, C] in [0, 1], "emotion" as returned by `targets`, "affect", "landmarks".
            numbers: The numbers that `draw` returns for these images.

        Returns:
            (inputs, targets).
        """
        inputs = {name: images[name] for name in ("image", "landmarks") if name in images}
        targets = {name: images[name] for name in ("emotion", "affect") if name in images}
        looked_at, size = numbers.get("looked_at"), self.opened.shape[:2]
        if self.augmentation is not None:
            drawn = numbers["augmentation"]
            inputs["image"] = augment.apply(self.augmentation, inputs["image"], drawn, numbers.get("boxes"))
            if self.has_landmarks:
                windows = augment.matrices(self.augmentation, drawn, size)
                inputs["landmarks"] = landmarks.warp(inputs["landmarks"], windows, size)
                if looked_at is not None:
                    looked_at = landmarks.warp_points(looked_at, windows, size)
            if self.mixup:
                inputs["image"], targets = mixup.mix(inputs["image"], targets, numbers["shares"])
        if self.guide.parts:
            weights = numbers.get("guide_weights", ops.ones_like(inputs["landmarks"][:, 0, 0]))
            targets["windows"] = self.guide.targets(inputs["landmarks"], looked_at, weights, size)
        if not self.landmarks:
            inputs.pop("landmarks", None)
        count = ops.shape(inputs["image"])[0]
        constants = {name: ops.repeat(value[None], count, axis=0) for name, value in self.constants.items()}
        return inputs, {**constants, **targets}

    def features(self) -> list[str]:
        """Names of the features that `batch` needs in addition to the image."""
        return ["emotion", *["affect"] * self.affect, *["landmarks"] * self.has_landmarks]


class _ArrayBatches(keras.utils.PyDataset):
    """Batches in NumPy; the images of the split stay in memory as uint8.

    In training the index continues over the epochs: Keras calls `on_epoch_end` before the first epoch, too, so the
    calls do not identify the epoch.
    """

    def __init__(self, batches, epoch, step) -> None:
        super().__init__()
        self.batches, self.epoch = batches, None
        self.first = epoch * batches.steps + step if batches.augmentation else 0
        self.images = _with_targets(batches, batches.opened.load(batches.split))

    @property
    def num_batches(self) -> int | None:
        return None if self.batches.augmentation else self.batches.steps

    def _begin_epoch(self, epoch):
        self.epoch, self.indices = epoch, self.batches.order(epoch)
        self.numbers = self.batches.draw(epoch, len(self.images["emotion"]))

    def choose(self, index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The rows of the images of a batch, and their random numbers."""
        size = self.batches.batch_size
        epoch, step = divmod(self.first + index, self.batches.steps)
        if epoch != self.epoch:
            self._begin_epoch(epoch)
        rows = self.indices[step * size : (step + 1) * size]
        return rows, {name: drawn[rows] for name, drawn in self.numbers.items()}

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows, numbers = self.choose(index)
        images = {name: self.images[name][rows] for name in self.batches.features()}
        images["image"] = self.images["image"][rows].astype("float32") / 255
        batch = keras.tree.map_structure(ops.convert_to_numpy, self.batches.batch(images, numbers))
        return self.batches.replicas.divide(batch)


class _DeviceBatches(_ArrayBatches):
    """The arguments of `Batches.prepare`. The images of the split are copied to each device once."""

    def __init__(self, batches, epoch, step) -> None:
        super().__init__(batches, epoch, step)
        self.images = _on_device(batches, self.images)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows, numbers = self.choose(index)
        chosen = self.batches.replicas.divide({"rows": rows.astype("int32"), "numbers": numbers})
        return ({"images": self.images, **chosen},)


def _with_targets(batches, images):
    """The image and the other features of a split that `Batches.batch` takes."""
    images = {**images, "emotion": batches.targets(images)}
    return {name: images[name] for name in ("image", *batches.features())}


def _on_device(batches, images):
    arrays = batches.replicas.copy({name: np.asarray(values) for name, values in images.items()})
    return keras.tree.map_structure(ops.convert_to_tensor, arrays)


def _tf_dataset(batches, first_epoch, first_step):
    import tensorflow as tf

    images, decode = batches.opened.load_encoded(batches.split)
    images = _with_targets(batches, images)
    types = [tf.string if values.dtype == object else values.dtype for values in images.values()]
    size, total, shape = batches.batch_size, len(images["emotion"]), batches.opened.shape

    @tf.autograph.experimental.do_not_convert
    def batch(indices, numbers):
        numbers = {name: tf.gather(drawn, indices) for name, drawn in numbers.items()}
        if batches.on_device:
            return ({"rows": indices, "numbers": numbers},)
        # NumPy takes the images, because `tf.constant` would hold a second copy of all of them.
        rows = tf.numpy_function(lambda rows: [values[rows] for values in images.values()], [indices], types, False)
        chosen = {
            name: tf.ensure_shape(values, (None, *images[name].shape[1:]))
            for name, values in zip(images, rows, strict=True)
        }
        if chosen["image"].dtype == tf.string:
            chosen["image"] = tf.map_fn(decode, chosen["image"], fn_output_signature=tf.uint8)
        chosen["image"] = tf.cast(tf.ensure_shape(chosen["image"], (None, *shape)), tf.float32) / 255
        return batches.batch(chosen, numbers)

    if not batches.augmentation:
        drawn, indices = batches.draw(0, total), tf.data.Dataset.from_tensor_slices(batches.kept).batch(size)
        return indices.map(lambda chosen: batch(chosen, drawn)).prefetch(tf.data.AUTOTUNE)
    shapes = {name: drawn.shape[1:] for name, drawn in batches.draw(0, 1).items()}

    @tf.autograph.experimental.do_not_convert
    def one_epoch(epoch):
        order = tf.numpy_function(lambda e: batches.order(int(e)), [epoch], tf.int64, stateful=False)
        drawn = tf.numpy_function(
            lambda e: [*batches.draw(int(e), total).values()], [epoch], [tf.float32] * len(shapes), stateful=False
        )
        numbers = {n: tf.ensure_shape(d, (total, *shape)) for (n, shape), d in zip(shapes.items(), drawn, strict=True)}
        skipped = tf.where(epoch == first_epoch, first_step * size, 0)
        order = tf.ensure_shape(order, (None,))[skipped:]
        indices = tf.data.Dataset.from_tensor_slices(order).batch(size, drop_remainder=True)
        return indices.map(lambda chosen: batch(chosen, numbers), num_parallel_calls=tf.data.AUTOTUNE)

    epochs = tf.data.Dataset.counter(start=first_epoch, dtype=tf.int64)
    return epochs.flat_map(one_epoch).prefetch(tf.data.AUTOTUNE)
