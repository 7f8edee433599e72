"""The model of a run as the observer in an experiment, with a balanced sample of images."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edram_fer import attention, files
from edram_fer.errors import UserError


class Observer:
    """The model of a run, and the images of an experiment.

    Args:
        run: see `evaluation.evaluate`.
        split: split of the images.
        count: number of images, see `choose_balanced`; None: all.
        seed: seed of the sample.
        data: see `evaluation.evaluate`.
        data_dir: see `evaluation.evaluate`.
        out: see `evaluation.evaluate`.
        batch_size: images per batch.

    Attributes:
        run: the folder for the results, see `run.evaluation_folder`.
        split, seed, batch_size: the arguments.
        model: the model; emotions: its K class names.
        images: uint8 [n, H, W, C]; labels: int [n]; ids: [n]; subjects: [n] or None.
        masks: uint8 [n, H, W, 1], the pixels that the expression changed, or None.
        landmarks: [n, 68, 2] for a model that needs them, or None.
        original: predictions for the unchanged images, as returned by `inference.predict`.

    Raises:
        UserError: the count is below 1, no image of the split has an emotion that the model knows, or a prediction is
            not finite.
    """

    def __init__(
        self,
        run: Path | str,
        *,
        split: str = "test",
        count: int | None = None,
        seed: int = 0,
        data: str | None = None,
        data_dir: Path | str | None = None,
        out: Path | str | None = None,
        batch_size: int = 128,
    ) -> None:
        from edram_fer.evaluation import inference
        from edram_fer.run import checkpoints, evaluation_folder  # imports Keras

        self.run, data, data_dir = evaluation_folder.open_folder(run, data=data, data_dir=data_dir, out=out)
        self.split, self.seed, self.batch_size = split, seed, batch_size
        self.model = checkpoints.open_model(self.run)
        self.emotions = list(inference.class_names(self.model))
        features, labels = inference.load_labelled(self.run, self.model, split, data=data, data_dir=data_dir)
        rows = choose_balanced(labels, len(labels) if count is None else count, seed)
        self.images, self.labels, self.ids = features["image"][rows], labels[rows], features["id"][rows].astype(str)
        self.subjects = features["subject"][rows] if "subject" in features else None
        self.masks = features["mask"][rows] if "mask" in features else None
        landmarks = inference.inputs(self.model, features).get("landmarks")
        self.landmarks = None if landmarks is None else landmarks[rows]
        self.original = self.outputs(self.images, np.arange(len(rows)))

    def outputs(self, images: np.ndarray, rows: np.ndarray, landmarks: np.ndarray | None = None) -> dict[str, Any]:
        """Predictions for m perturbed images.

        Args:
            images: [m, H, W, C] in grey levels 0 to 255.
            rows: int [m], the index of the observer's image that each was made from.
            landmarks: [m, 68, 2] in pixels; None: the landmarks of the observer's images.

        Returns:
            As returned by `inference.predict`.

        Raises:
            UserError: a prediction is not finite; the message names the images.
        """
        from edram_fer.evaluation import inference

        images = images if images.dtype == np.uint8 else images / np.float32(255)
        if landmarks is None and self.landmarks is not None:
            landmarks = self.landmarks[rows]
        try:
            return inference.predict(self.model, images, self.batch_size, landmarks=landmarks)
        except inference.NonFiniteOutput as error:
            raise UserError(error.message_for(self.ids[rows], self.split)) from None

    def answer(self, images: np.ndarray, rows: ArrayLike, landmarks: np.ndarray | None = None) -> np.ndarray:
        """Probabilities [m, K] after the last step for m perturbed images.

        Args:
            images: see `outputs`.
            rows: see `outputs`; or one index for all images.
            landmarks: see `outputs`.
        """
        return self.outputs(images, np.broadcast_to(rows, len(images)), landmarks)["probabilities"][:, -1]

    def correct(self, images: np.ndarray, rows: np.ndarray, landmarks: np.ndarray | None = None) -> np.ndarray:
        """Whether each of m perturbed images is classified correctly, bool [m]; for the arguments see `outputs`."""
        return self.answer(images, rows, landmarks).argmax(axis=1) == self.labels[rows]

    def original_correct(self) -> np.ndarray:
        """Whether each of the unchanged images is classified correctly, bool [n]."""
        return self.original["probabilities"][:, -1].argmax(axis=1) == self.labels

    def window_density(self) -> np.ndarray | None:
        """The share of each pixel in the model's windows, [n, H, W]; None for a model that sees the whole image."""
        windows, weights = self.original["windows"], self.original["weights"]
        if not attention.has_windows(windows):
            return None
        shape = self.images.shape[1:3]
        return np.stack([attention.weighted_coverage(*pair, shape) for pair in zip(windows, weights, strict=True)])

    def settings(self) -> dict[str, Any]:
        """Everything that determines the predictions, as JSON values: the sample, and digests of images and model."""
        images = hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()
        from edram_fer.run import checkpoints  # imports Keras

        model = files.digest(checkpoints.model_path(self.run))
        return {
            "split": self.split,
            "images": len(self.images),
            "seed": self.seed,
            "images_digest": images[:16],
            "model_digest": model[:16],
        }


def choose_balanced(labels: ArrayLike, count: int, seed: int = 0) -> np.ndarray:
    """Sample images, the same number from each class as far as there are enough.

    The images of each class are shuffled and taken in turn, so that any first part of the sample is balanced as well.

    Args:
        labels: int [n].
        count: number of images.
        seed: seed of the shuffling.

    Returns:
        int [min(count, n)], rows.

    Raises:
        UserError: the count is below 1.

    >>> labels = np.array([0, 0, 0, 1])
    >>> labels[choose_balanced(labels, 2)].tolist()
    [0, 1]
    """
    if count < 1:
        raise UserError(f"images: expected at least 1, got {count}")
    labels = np.asarray(labels)
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(labels), int)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    return np.lexsort((labels, rank))[:count]
