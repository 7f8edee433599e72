"""A run's model as an observer in an experiment: a balanced choice of images, and answers to changed ones."""

import hashlib
from pathlib import Path

import numpy as np

from edram_fer import attention, files
from edram_fer.errors import UserError
from edram_fer.run import layout


class Observer:
    """The model of a run and the images that it is asked about.

    Args:
        run: the run folder.
        split, data, data_dir, batch_size: as in `evaluate.evaluate`.
        count: how many, see `balanced`; None: all.
        seed: of the choice.

    Attributes:
        run, split, seed: as given; emotions: the K class names; landmarks: [n, 68, 2] of a model that needs them.
        images: uint8 [n, H, W, C]; labels: int [n]; ids: [n]; subjects: [n] or None; masks: uint8 [n, H, W, 1], the
            pixels that the expression changed, or None.
        original: what the model says of the unchanged images, see `inference.predict`.

    Raises ValueError for fewer than 1 image, a split without an image that the model knows, a model whose answer is
    not finite.
    """

    def __init__(self, run, *, split="test", count=None, seed=0, data=None, data_dir=None, batch_size=128):
        from edram_fer.evaluation import inference
        from edram_fer.run import checkpoints  # Keras only where a model runs

        self.run, self.split, self.seed, self.batch_size = Path(run), split, seed, batch_size
        self.model = checkpoints.load(run)
        self.emotions = list(self.model.emotions)
        found, labels = inference.labelled(self.run, self.model, split, data=data, data_dir=data_dir)
        rows = balanced(labels, len(labels) if count is None else count, seed)
        self.images, self.labels, self.ids = found["image"][rows], labels[rows], found["id"][rows].astype(str)
        self.subjects = found["subject"][rows] if "subject" in found else None
        self.masks = found["mask"][rows] if "mask" in found else None
        self.landmarks = inference.inputs(self.model, found).get("landmarks")
        self.landmarks = None if self.landmarks is None else self.landmarks[rows]
        self.original = self.outputs(self.images, np.arange(len(rows)))

    def outputs(self, images, rows, landmarks=None):
        """All that the model says of m changed images, see `inference.predict`.

        Args:
            images: [m, H, W, C] in grey levels 0 to 255.
            rows: int [m], which of the `images` of the observer each was made from.
            landmarks: [m, 68, 2] in pixels; None: those of the `rows`.

        Raises ValueError that names these where the answer is not finite.
        """
        from edram_fer.evaluation import inference

        try:
            images = images if images.dtype == np.uint8 else images / np.float32(255)
            if landmarks is None and self.landmarks is not None:
                landmarks = self.landmarks[rows]
            return inference.predict(self.model, images, self.batch_size, landmarks=landmarks)
        except inference.NonFiniteOutput as error:
            raise UserError(error.message_for(self.ids[rows], self.split)) from None

    def answer(self, images, rows, landmarks=None):
        """Probabilities [m, K] of the last step for m changed images; arguments as of `outputs`, `rows` int [m] or
        one number for all."""
        return self.outputs(images, np.broadcast_to(rows, len(images)), landmarks)["probabilities"][:, -1]

    def correct(self, images, rows, landmarks=None):
        """Whether each of m changed images is classified correctly, bool [m]; arguments as of `outputs`."""
        return self.answer(images, rows, landmarks).argmax(axis=1) == self.labels[rows]

    def original_correct(self):
        """Whether each of the unchanged images is classified correctly, bool [n]."""
        return self.original["probabilities"][:, -1].argmax(axis=1) == self.labels

    def window_density(self):
        """The share of each pixel in the windows of the model, [n, H, W]; None of one that sees the whole image."""
        windows, weights = self.original["windows"], self.original["weights"]
        if not attention.has_windows(windows):
            return None
        shape = self.images.shape[1:3]
        return np.stack([attention.weighted_coverage(*pair, shape) for pair in zip(windows, weights, strict=True)])

    def settings(self):
        """What decides the answers, as JSON values: the choice of images, digests of them and of the model."""
        images = hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()
        model = files.digest(self.run / layout.MODEL)
        return {
            "split": self.split,
            "images": len(self.images),
            "seed": self.seed,
            "images_digest": images[:16],
            "model_digest": model[:16],
        }


def balanced(labels, count, seed=0):
    """Rows of `count` images, int [min(count, n)], as many of each class as there are: drawn at random and dealt out
    in turns, so that any first part of them is balanced, too. Raises ValueError for a count below 1."""
    if count < 1:
        raise UserError(f"images: expected at least 1, got {count}")
    labels = np.asarray(labels)
    order = np.random.default_rng(seed).permutation(len(labels))
    turn = np.empty(len(labels), int)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        turn[members] = np.arange(len(members))
    return np.lexsort((labels, turn))[:count]
