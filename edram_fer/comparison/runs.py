"""Evaluated runs, checked to be of the same data set, split and emotions, their rows in one order."""

import dataclasses
from pathlib import Path

import numpy as np

from edram_fer.attention import has_windows
from edram_fer.attention.windows import is_recurrent
from edram_fer.errors import UserError
from edram_fer.run.evaluated_run import EvaluatedRun

ROWS = ("id", "truth", "prediction", "steps", "probabilities", "windows", "weights", "true_affect", "affect")
_NUMBERS = {1: "one", 2: "two"}


@dataclasses.dataclass(frozen=True)
class Run:
    """One of the runs that are compared.

    Attributes:
        name: the end of its path that tells it from the others.
        evaluated: EvaluatedRun; scores: its metrics of the split.
        predictions: `predictions.unpack`ed rows, in the order of the first run, the probabilities in that of its emotions.
        has_windows: whether it has windows of its own; recurrent: whether it answers after each of several.
    """

    name: str
    evaluated: EvaluatedRun
    scores: dict
    predictions: dict
    has_windows: bool
    recurrent: bool

    @property
    def correct(self):
        """Which images are classified correctly in the end, bool [n]."""
        return self.predictions["prediction"] == self.predictions["truth"]

    @property
    def info(self):
        """What metrics.json tells of the model and its evaluation."""
        return self.evaluated.metrics["run"]

    @property
    def steps(self):
        """Number of steps of its windows, in time order: 1 of a model that is not recurrent."""
        return self.predictions["windows"].shape[1] if self.recurrent else 1


@dataclasses.dataclass(frozen=True)
class Runs:
    """Runs on the images of one split whose true emotion the models know.

    Attributes:
        split, data: names; emotions: in canonical order; runs: list of Run; truth: names [n]; subjects: [n] or None.
    """

    split: str
    data: str
    emotions: list
    runs: list

    @property
    def truth(self):
        return self.runs[0].predictions["truth"]

    @property
    def subjects(self):
        return self.runs[0].predictions["subjects"]

    def features(self, *, data=None, data_dir=None):
        """The features of the images, in the order of the rows; raises as `EvaluatedRun.features`."""
        first = self.runs[0].evaluated
        features = first.features(self.split, data=data, data_dir=data_dir)
        place = {name: row for row, name in enumerate(first.predictions(self.split)["id"])}
        rows = np.array([place[name] for name in self.runs[0].predictions["id"]])
        return {name: values[rows] for name, values in features.items()}

    @property
    def present(self):
        """The emotions that there are images of."""
        return [name for name in self.emotions if (self.truth == name).any()]


def read(folders, split=None, *, fewest=2):
    """Read runs to be compared.

    Args:
        folders: run folders; the first is the one that the others are compared with.
        split: None: the first that all were evaluated on.
        fewest: how many there have to be, 1 or 2.

    Returns: Runs.

    Raises FileNotFoundError and ValueError as `EvaluatedRun`, and ValueError, naming both runs, for the same run twice
    and for runs of different data sets, splits, emotions, images or true emotions.
    """
    folders = [Path(folder) for folder in folders]
    if len(folders) < fewest:
        raise UserError(f"expected {_NUMBERS[fewest]} or more runs to compare, got {len(folders)}")
    for index, folder in enumerate(folders):
        if folder.resolve() in [other.resolve() for other in folders[:index]]:
            raise UserError(f"{folder} is given twice: expected different runs")
    evaluated = [EvaluatedRun(folder) for folder in folders]
    first = evaluated[0]
    for other in evaluated[1:]:
        _same_data(first, other)
    split = _split(evaluated, split)
    emotions = first.metrics["splits"][split]["confusion"]["emotions"]  # in canonical order
    found = [_rows(run, split, emotions) for run in evaluated]
    for other, rows in zip(evaluated[1:], found[1:], strict=True):
        _same_emotions(first, found[0], other, rows)
        _same_images(first, found[0], other, rows)
    aligned = [_aligned(rows, found[0]["id"], emotions) for rows in found]
    runs = [
        Run(name, run, run.metrics["splits"][split], rows, has_windows(rows["windows"]), is_recurrent(rows))
        for name, run, rows in zip(_names(folders), evaluated, aligned, strict=True)
    ]
    return Runs(split, first.metrics["run"]["data"], emotions, runs)


def _split(evaluated, wanted):
    if wanted is None:
        common = [name for name in evaluated[0].splits if all(name in run.splits for run in evaluated)]
        if not common:
            each = "; ".join(f"{run.folder}: {', '.join(run.splits)}" for run in evaluated)
            raise UserError(f"the runs were evaluated on no split in common ({each})")
        return common[0]
    for run in evaluated:
        if wanted not in run.splits:
            raise UserError(
                f"{run.folder} was not evaluated on split {wanted!r}, only on {', '.join(run.splits)}; "
                f"edram-fer evaluate {run.folder} --split {wanted} does it"
            )
    return wanted


def _rows(run, split, emotions):
    """Rows of the images whose emotion the model knows."""
    found = run.predictions(split)
    names, times = np.unique(found["id"].astype(str), return_counts=True)
    if (times > 1).any():
        raise UserError(f"{run.folder}, split {split}: image {str(names[times > 1][0])!r} has more than one row")
    return _chosen(found, np.flatnonzero(np.isin(found["truth"].astype(str), found["emotions"])))


def _chosen(found, rows):
    chosen = {name: found[name][rows] for name in ROWS}
    subjects = None if found["subjects"] is None else found["subjects"][rows]
    return {**chosen, "emotions": found["emotions"], "subjects": subjects}


def _same_data(first, other):
    """One data set may have two names (its own, and that of its arrays file), and two data sets one ("folder"): where
    both fingerprints are known, these decide."""
    about = [run.metrics["run"] for run in (first, other)]
    told, prints = [each["data"] for each in about], [each.get("fingerprint") for each in about]
    if None not in prints:
        if prints[0] == prints[1]:
            return
        told = [f"{name} with the fingerprint {digest[:12]}" for name, digest in zip(told, prints, strict=True)]
    _same("data set", first, told[0], other, told[1])


def _same(what, first, value, other, value_of_other):
    if value != value_of_other:
        raise UserError(f"{what}: {first.folder} has {value}, {other.folder} has {value_of_other}; expected the same")


def _same_emotions(first, rows, other, rows_of_other):
    known, known_of_other = (sorted(found["emotions"]) for found in (rows, rows_of_other))
    _same("emotions", first, ", ".join(known), other, ", ".join(known_of_other))


def _same_images(first, rows, other, rows_of_other):
    truth, truth_of_other = (dict(zip(found["id"], found["truth"], strict=True)) for found in (rows, rows_of_other))
    if lacking := [name for name in truth if name not in truth_of_other] or [
        name for name in truth_of_other if name not in truth
    ]:
        raise UserError(
            f"{first.folder} and {other.folder} were not evaluated on the same images: {lacking[0]!r} is only in one "
            f"of them ({len(truth)} and {len(truth_of_other)} images)"
        )
    for name, emotion in truth.items():
        if emotion != truth_of_other[name]:
            raise UserError(
                f"image {name!r} is {emotion} in {first.folder} and {truth_of_other[name]} in {other.folder}: "
                f"expected the same labels"
            )


def _aligned(found, ids, emotions):
    place = {name: row for row, name in enumerate(found["id"])}
    order = [found["emotions"].index(name) for name in emotions]
    chosen = _chosen(found, np.array([place[name] for name in ids]))
    return {**chosen, "emotions": emotions, "probabilities": chosen["probabilities"][:, :, order]}


def _names(folders):
    """The last parts of the paths, as many as tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names
