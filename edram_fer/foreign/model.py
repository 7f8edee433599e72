"""A model from elsewhere with the contract of all models: one step, and the whole image as its only window."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import cv2
import keras
import numpy as np

from edram_fer.errors import UserError
from edram_fer.foreign import runtimes
from edram_fer.foreign.card import Card, read_card
from edram_fer.models import images
from edram_fer.models.contract import UNKNOWN_AFFECT, FERModel
from edram_fer.models.spatial_transformer import IDENTITY
from edram_fer.models.tensor import Shape

GREY_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (ITU-R BT.601, as in OpenCV)
SMALLEST = 1e-12  # probability whose logarithm stands for a probability of 0
# How far a sum of probabilities may be from 1: quantised models round each of them. Logits that are so near to 1 by
# chance are rare, and those within the smaller one have gone through a softmax.
LARGEST_GAP, SMALLEST_GAP = 0.05, 1e-4


def load(path: Path | str, threads: int | None = None) -> "ForeignModel":
    """Load the model that a card describes.

    Args:
        path: the card.
        threads: number of threads of ONNX Runtime or LiteRT; None: their default.

    Raises:
        MissingFileError: the card or its model file is missing.
        MissingPackageError: the package that runs the file is not installed.
        UserError: the card or the file is unusable, or they do not fit together.

    >>> import json
    >>> keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]).save("two.keras")
    >>> content = {"model": "two.keras", "classes": ["joy", "sadness"], "image_size": 48, "colour": "grey"}
    >>> _ = Path("two.yaml").write_text(json.dumps(content | {"scaling": [0, 1], "output": "logits"}))  # JSON is YAML
    >>> load("two.yaml").emotions
    ('happy', 'sad')
    """
    return ForeignModel(read_card(path), threads)


class ForeignModel(FERModel):
    """A model from elsewhere.

    It takes images of any size, grey or RGB: they are resized, converted and scaled as the card says. Images that
    shrink are averaged over areas, images that grow are interpolated bilinearly. It can neither be trained nor saved.

    Args:
        card: what its input and output mean.
        threads: see `load`.

    Attributes:
        card: the card.
        parameters: number of trainable parameters, or None where the file does not tell.

    Raises:
        UserError: see `load`.
    """

    def __init__(self, card: Card, threads: int | None = None) -> None:
        runtime = runtimes.open_model(card.model, card.output_name, threads)
        _check_input(card, runtime.shape)
        super().__init__(name="foreign", emotions=[card.classes[position] for position in card.kept])
        self.calibration = card.calibration
        self.card, self.parameters = card, runtime.parameters
        self._runtime = runtime
        self.arguments = {"image_size": card.image_size, "channels": card.channels, "affect": False}
        self.build_for_image()

    def input_shapes(self) -> dict[str, Shape]:
        return {"image": (None, None, None, None)}

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        classes = len(self.card.kept)
        shapes = {"emotion": (1, classes), "affect": (1, 2), "windows": (1, 2, 3), "weights": (1,)}
        self.output_shapes = {name: (None, *shape) for name, shape in shapes.items()}
        self.built = True

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        batch = inputs["image"] if isinstance(inputs, Mapping) else inputs
        try:
            values = np.asarray(keras.ops.convert_to_numpy(batch))
        except (NotImplementedError, TypeError) as error:  # raised by the tensors of TensorFlow and JAX inside a graph
            raise UserError(f"{self.card.path}: a model from elsewhere cannot be compiled or exported") from error
        outputs = self.predict_on_batch(values)
        return {name: keras.ops.convert_to_tensor(values) for name, values in outputs.items()}

    def predict_on_batch(self, x: Any) -> dict[str, np.ndarray]:
        batch = np.asarray(x["image"] if isinstance(x, Mapping) else x)
        if batch.ndim == 3 and self.card.channels == 1:
            batch = batch[..., None]
        if batch.ndim != 4 or batch.shape[-1] not in (1, 3):
            raise UserError(f"images: expected [B, H, W, C] with C = 1 or 3, got {list(batch.shape)}")
        images.check(batch, batch.shape[1:])
        logits = self._logits(prepare(batch, self.card))[:, None]
        return {
            "emotion": logits,
            "affect": np.full((len(batch), 1, 2), UNKNOWN_AFFECT, np.float32),
            "windows": np.tile(np.array(IDENTITY, np.float32), (len(batch), 1, 1, 1)),
            "weights": np.ones((len(batch), 1), np.float32),
        }

    def predict(self, x: Any, batch_size: int = 32, **kwargs: Any) -> dict[str, np.ndarray]:
        batch = x["image"] if isinstance(x, Mapping) else x
        parts = [self.predict_on_batch(batch[start : start + batch_size]) for start in range(0, len(batch), batch_size)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _logits(self, batch: np.ndarray) -> np.ndarray:
        """Logits [B, K] of the classes that are not ignored."""
        values = self._run(batch)
        if values.shape[:1] != batch.shape[:1]:
            raise UserError(
                f"{self.card.model}: expected an output with one row for each of {len(batch)} images, got the shape "
                f"{list(values.shape)}"
            )
        values = values.reshape(len(values), -1)
        if values.shape[1] != len(self.card.classes):
            raise UserError(
                f"{self.card.path}: classes: expected {values.shape[-1]} names, one for each number in the output of "
                f"{self.card.model.name}, got {len(self.card.classes)}"
            )
        is_probability = self.card.output == "probabilities"
        gap = LARGEST_GAP if is_probability else SMALLEST_GAP
        sums_to_one = bool((values >= -1e-3).all() and (abs(values.sum(axis=1) - 1) < gap).all())
        if np.isfinite(values).all() and sums_to_one != is_probability:
            got = "sums of 1" if sums_to_one else f"numbers from {values.min():.3g} to {values.max():.3g}"
            meaning = "rows that sum to 1" if is_probability else "numbers before the softmax"
            raise UserError(
                f"{self.card.path}: output: {self.card.output} are {meaning}; expected them from "
                f"{self.card.model.name}, got {got}"
            )
        values = values[:, self.card.kept]
        return np.log(np.maximum(values, SMALLEST)) if is_probability else values

    def _run(self, batch: np.ndarray) -> np.ndarray:
        """The output for a batch of any size from a model that may have been saved for batches of one size."""
        size, run = self._runtime.shape[0], self._runtime.run
        if size is None or size == len(batch):
            return run(batch)
        parts = []
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            parts.append(run(filled)[: len(part)])
        return np.concatenate(parts)

    def fit(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise UserError(f"{self.card.path}: a model from elsewhere cannot be trained")

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise UserError(f"{self.card.path}: a model from elsewhere is not saved: copy {self.card.model} and its card")


def prepare(batch: np.ndarray, card: Card) -> np.ndarray:
    """Convert images to what a model from elsewhere expects.

    Args:
        batch: [B, H, W, C], grey or RGB; uint8 in 0 to 255 or floats in [0, 1].
        card: size, colour, scaling and layout.

    Returns:
        float32 [B, height, width, channels] or [B, channels, height, width].
    """
    pixels = batch.astype(np.float32) / (255 if batch.dtype == np.uint8 else 1)
    if card.channels == 1 and pixels.shape[-1] == 3:
        pixels = (pixels @ GREY_WEIGHTS)[..., None]
    height, width = card.image_size
    if pixels.shape[1:3] != (height, width):
        shrinks = height <= pixels.shape[1] and width <= pixels.shape[2]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized = [cv2.resize(image, (width, height), interpolation=method) for image in pixels]
        pixels = np.stack(resized).reshape(len(pixels), height, width, -1)
    if card.channels == 3:
        pixels = np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
        pixels = pixels[..., ::-1] if card.colour == "bgr" else pixels
    black, white = card.scaling
    scaled = (black + pixels * (white - black) - np.array(card.mean, np.float32)) / np.array(card.std, np.float32)
    return np.ascontiguousarray(scaled if card.layout == "NHWC" else scaled.transpose(0, 3, 1, 2), np.float32)


def _check_input(card: Card, shape: tuple[int | None, ...]) -> None:
    """Raise UserError unless images as the card describes them fit the input of the model file."""
    expected = (*card.image_size, card.channels)
    if card.layout == "NCHW":
        expected = (card.channels, *card.image_size)
    sides = shape[1:]
    if len(sides) != 3 or any(side not in (None, size) for side, size in zip(sides, expected, strict=True)):
        text = ", ".join("any" if side is None else str(side) for side in sides)
        raise UserError(
            f"{card.path}: image_size, colour and layout: expected images of [{text}], the input of "
            f"{card.model.name}, got {list(expected)} ({card.layout}, {card.colour})"
        )
