"""Read evaluated runs for comparison: same data set, split and emotions, with all rows in the same order."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edram_fer.attention import has_windows
from edram_fer.attention.windows import is_recurrent
from edram_fer.errors import UserError
from edram_fer.run.evaluated_run import EvaluatedRun, preferred

ROWS = ("id", "truth", "prediction", "steps", "probabilities", "windows", "weights", "true_affect", "affect")
_NUMBERS = {1: "one", 2: "two"}


@dataclasses.dataclass(frozen=True)
class Run:
    """One of the compared runs.

    Attributes:
        name: the last parts of its path, as many as distinguish the runs.
        evaluated: the evaluated run.
        scores: its metrics on the split.
        predictions: rows as `run.predictions.unpack` returns them, in the order of the first run; the probabilities are
            in the order of `Runs.emotions`.
        has_windows: whether the model has windows of its own.
        recurrent: whether it predicts after each of several windows.
    """

    name: str
    evaluated: EvaluatedRun
    scores: dict[str, Any]
    predictions: dict[str, Any]
    has_windows: bool
    recurrent: bool

    @property
    def correct(self) -> np.ndarray:
        """Which images are classified correctly after the last step, bool [n]."""
        return self.predictions["prediction"] == self.predictions["truth"]

    @property
    def info(self) -> dict[str, Any]:
        """The part of metrics.json about the model and its evaluation."""
        return self.evaluated.metrics["run"]

    @property
    def steps(self) -> int:
        """Number of windows in time order; 1 for a model that is not recurrent."""
        return self.predictions["windows"].shape[1] if self.recurrent else 1


@dataclasses.dataclass(frozen=True)
class Runs:
    """Runs on the same images: all images of one split whose true emotion the models know.

    Attributes:
        split: name of the split.
        data: name of the data set.
        emotions: class names in canonical order.
        runs: the runs; the others are compared with the first.
    """

    split: str
    data: str
    emotions: list[str]
    runs: list[Run]

    @property
    def truth(self) -> np.ndarray:
        """True emotions, names [n]."""
        return self.runs[0].predictions["truth"]

    @property
    def subjects(self) -> np.ndarray | None:
        """Subjects [n], or None where the data set has none."""
        return self.runs[0].predictions["subjects"]

    def features(self, *, data: str | None = None, data_dir: Path | str | None = None) -> dict[str, np.ndarray]:
        """Features of the images in the order of the rows; arguments and errors as in `EvaluatedRun.features`."""
        reference = self.runs[0].evaluated
        features = reference.features(self.split, data=data, data_dir=data_dir)
        index = {name: row for row, name in enumerate(reference.predictions(self.split)["id"])}
        rows = np.array([index[name] for name in self.runs[0].predictions["id"]])
        return {name: values[rows] for name, values in features.items()}

    @property
    def present(self) -> list[str]:
        """The emotions that occur in the split."""
        return [name for name in self.emotions if (self.truth == name).any()]


def read(folders: Sequence[Path | str], split: str | None = None, *, minimum: int = 2) -> Runs:
    """Read the runs to compare.

    Args:
        folders: run folders, or names of included models that were evaluated; the others are compared with the first.
        split: split to compare on; None: test, or the first that all were evaluated on.
        minimum: smallest number of runs, 1 or 2.

    Raises:
        UserError: see `EvaluatedRun`; also, naming both runs, if a run is listed twice, or if data sets, splits,
            emotions, images or true emotions differ.
    """
    if len(folders) < minimum:
        raise UserError(f"expected {_NUMBERS[minimum]} or more runs to compare, got {len(folders)}")
    evaluated = [EvaluatedRun(folder) for folder in folders]
    folders = [run.folder for run in evaluated]
    for index, folder in enumerate(folders):
        if folder.resolve() in [other.resolve() for other in folders[:index]]:
            raise UserError(f"{folder} is listed twice: expected different runs")
    reference = evaluated[0]
    for other in evaluated[1:]:
        _check_same_data(reference, other)
    split = _choose_split(evaluated, split)
    emotions = reference.metrics["splits"][split]["confusion"]["emotions"]  # in canonical order
    predictions = [_known_predictions(run, split) for run in evaluated]
    for other, other_predictions in zip(evaluated[1:], predictions[1:], strict=True):
        _check_same_emotions(reference, predictions[0], other, other_predictions)
        _check_same_images(reference, predictions[0], other, other_predictions)
    aligned = [_align(run_predictions, predictions[0]["id"], emotions) for run_predictions in predictions]
    runs = [
        Run(name, run, run.metrics["splits"][split], rows, has_windows(rows["windows"]), is_recurrent(rows))
        for name, run, rows in zip(_names(folders), evaluated, aligned, strict=True)
    ]
    return Runs(split, reference.metrics["run"]["data"], emotions, runs)


def _choose_split(evaluated: Sequence[EvaluatedRun], split: str | None) -> str:
    if split is None:
        common = [name for name in evaluated[0].splits if all(name in run.splits for run in evaluated)]
        if not common:
            splits = "; ".join(f"{run.folder}: {', '.join(run.splits)}" for run in evaluated)
            raise UserError(f"the runs were not evaluated on a common split ({splits})")
        return preferred(common)
    for run in evaluated:
        run.choose(split)
    return split


def _known_predictions(run, split):
    """Predictions for the images whose true emotion the model knows."""
    predictions = run.predictions(split)
    names, times = np.unique(predictions["id"].astype(str), return_counts=True)
    if (times > 1).any():
        raise UserError(f"{run.folder}, split {split}: image {str(names[times > 1][0])!r} has more than one row")
    has_emotion = np.isin(predictions["truth"], predictions["emotions"])
    return _select(predictions, np.flatnonzero(has_emotion))


def _select(predictions, rows):
    selected = {name: predictions[name][rows] for name in ROWS}
    subjects = None if predictions["subjects"] is None else predictions["subjects"][rows]
    return {**selected, "emotions": predictions["emotions"], "subjects": subjects}


def _check_same_data(reference, other):
    """Compare the fingerprints if both are known: one data set may have two names (its own and the path of its NPZ
    file), and two data sets may have the same name ("folder")."""
    evaluations = [run.metrics["run"] for run in (reference, other)]
    names = [evaluation["data"] for evaluation in evaluations]
    digests = [evaluation.get("data_fingerprint") for evaluation in evaluations]
    if None not in digests:
        if digests[0] == digests[1]:
            return
        names = [f"{name} with the fingerprint {digest[:12]}" for name, digest in zip(names, digests, strict=True)]
    _check_same("data set", reference, names[0], other, names[1])


def _check_same(subject, reference, value, other, other_value, hint=""):
    if value != other_value:
        raise UserError(
            f"{subject}: {reference.folder} has {value}, {other.folder} has {other_value}; expected the same{hint}"
        )


def _check_same_emotions(reference, predictions, other, other_predictions):
    names, other_names = (", ".join(sorted(table["emotions"])) for table in (predictions, other_predictions))
    has_card = any("card" in run.recipe for run in (reference, other))
    hint = "; `ignored_classes` in a card leaves classes out" if has_card else ""
    _check_same("emotions", reference, names, other, other_names, hint)


def _check_same_images(reference, predictions, other, other_predictions):
    truth, other_truth = (
        dict(zip(table["id"], table["truth"], strict=True)) for table in (predictions, other_predictions)
    )
    if unmatched := [*(truth.keys() - other_truth.keys()), *(other_truth.keys() - truth.keys())]:
        raise UserError(
            f"{reference.folder} and {other.folder} were not evaluated on the same images: {min(unmatched)!r} is in "
            f"only one of them ({len(truth)} and {len(other_truth)} images)"
        )
    for name, emotion in truth.items():
        if emotion != other_truth[name]:
            raise UserError(
                f"image {name!r} is {emotion} in {reference.folder} and {other_truth[name]} in {other.folder}: "
                f"expected the same labels"
            )


def _align(predictions, ids, emotions):
    """Predictions in the order of `ids`, with the probabilities in the order of `emotions`."""
    index = {name: row for row, name in enumerate(predictions["id"])}
    order = [predictions["emotions"].index(name) for name in emotions]
    aligned = _select(predictions, np.array([index[name] for name in ids]))
    return {**aligned, "emotions": emotions, "probabilities": aligned["probabilities"][:, :, order]}


def _names(folders):
    """The last parts of each path, as many as distinguish the paths."""
    parts = [folder.resolve().parts for folder in folders]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise AssertionError("the same folder twice")  # `read` rejects this
