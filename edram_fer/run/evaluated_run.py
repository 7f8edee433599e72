"""Read an evaluated run: its scores, the predictions for each split, and the images that they belong to."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from edram_fer import data as prepared
from edram_fer import files
from edram_fer.errors import MissingFileError, UserError
from edram_fer.run import evaluation_folder, layout, predictions


class EvaluatedRun:
    """A run folder after evaluation.

    Args:
        folder: The run folder, or the name of an included model, see `evaluation_folder.find`.

    Attributes:
        folder: Path of the run folder.
        recipe: Content of recipe.json.
        metrics: Content of metrics.json.
        rows: The predictions table, all splits.
        splits: Names in the order of the evaluation, including "<split>_clean" and averages such as "<split>_flip".

    Raises:
        MissingFileError: The run has not been evaluated; the message gives the command.
        UserError: A file is damaged, or metrics and predictions come from different evaluations.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = evaluation_folder.find(folder)
        for name in (layout.METRICS, layout.PREDICTIONS):
            if not (self.folder / name).exists():
                command = shlex.join(["edram-fer", "evaluate", str(folder)])
                raise MissingFileError(f"{self.folder / name} is missing: evaluate the run first, with {command}")
        self.recipe = files.read_json(self.folder / layout.RECIPE)
        self.metrics = layout.read_metrics(self.folder / layout.METRICS)
        self.rows = predictions.read(self.folder / layout.PREDICTIONS)
        self.splits: list[str] = list(self.metrics["splits"])
        self._features: dict[tuple[str, str, Path | str | None], dict[str, np.ndarray]] = {}
        for split in self.splits:
            self._check(split)

    def table(self, split: str) -> pa.Table:
        """The rows of a split, see `predictions.table`."""
        return predictions.select_split(self.rows, split)

    def predictions(self, split: str) -> dict[str, Any]:
        """The rows of a split as arrays, see `predictions.unpack`."""
        return predictions.unpack(self.table(split))

    def average(self, split: str) -> str | None:
        """How the predictions of a split are averaged, as a phrase, or None. Windows refer to the unchanged images."""
        return self._plain(split)[1]

    def data_split(self, split: str) -> str:
        """The split of the data set that the images of a split come from."""
        return self._plain(split)[0]

    def choose(self, split: str | None) -> str:
        """The split, if the run was evaluated on it; None: `preferred`.

        Raises:
            UserError: The run was not evaluated on it.
        """
        if split is not None and split not in self.splits:
            command = shlex.join(["edram-fer", "evaluate", str(self.folder), "--split", split])
            raise UserError(
                f"{self.folder} was not evaluated on split {split!r}, only on {', '.join(self.splits)}; run {command}"
            )
        return preferred(self.splits) if split is None else split

    def features(
        self, split: str, *, data: str | None = None, data_dir: Path | str | None = None
    ) -> dict[str, np.ndarray]:
        """The features of a split's images, in the order of its rows.

        Args:
            split: One of `splits`.
            data, data_dir: See `evaluation.evaluate`; None: the evaluated data set, in the folder used for training.

        Returns:
            Arrays by name, see `edram_fer.data.load_split`.

        Raises:
            UserError: The data set does not hold the images that were evaluated.
        """
        source, data_dir = layout.run_data(
            self.folder, data or layout.locate(self.folder, self.metrics["run"]["data"]), data_dir
        )
        part = self.data_split(split)
        key = (source, part, data_dir)
        if key not in self._features:
            self._features = {key: prepared.load_split(source, part, data_dir=data_dir)}  # only the last one is kept
        features = self._features[key]
        index = {str(name): row for row, name in enumerate(features["id"])}
        ids = self.table(split)["id"].to_pylist()
        if strange := [name for name in ids if name not in index]:
            raise UserError(
                f"{self.folder}, split {split}: {len(strange)} of {len(ids)} images, such as {strange[0]!r}, are "
                f"not in split {part} of {source}: it is not the data set that was evaluated"
            )
        rows = np.array([index[name] for name in ids])
        return {name: values[rows] for name, values in features.items()}

    def _plain(self, split):
        """(the split without averaging, how it is averaged or None)."""
        whole = self._table_split(split)
        plain, phrase = predictions.average(whole)
        return (plain, phrase) if plain in self.splits else (whole, None)

    def _table_split(self, split):
        """The split of the table that contains a split: "<split>_clean" is a part of "<split>"."""
        return split if split in self.rows["split"].unique().to_pylist() else split.removesuffix("_clean")

    def _check(self, split):
        """Raise a UserError unless metrics.json and the predictions hold the same number of images of a split."""
        split_name, scores = f"{self.folder}, split {split}", self.metrics["splits"][split]
        try:
            expected = scores["images"] + sum(scores["excluded"].values())
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{self.folder / layout.METRICS}, split {split}: no numbers of images: {error!r}"
            ) from error
        try:
            rows = self.table(split)
        except UserError as error:
            raise UserError(f"{split_name}: {layout.METRICS} and {layout.PREDICTIONS} do not match: {error}") from error
        if len(rows) != expected:
            raise UserError(
                f"{split_name}: {layout.METRICS} and {layout.PREDICTIONS} do not match: {len(rows)} predictions, but "
                f"metrics of {expected} images; evaluate the run again"
            )


def preferred(splits: Sequence[str]) -> str:
    """The split to look at when none is named: test, which did not choose the model, otherwise the first.

    >>> preferred(["validation", "test"])
    'test'
    """
    return "test" if "test" in splits else splits[0]
