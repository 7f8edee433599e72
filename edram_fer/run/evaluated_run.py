"""An evaluated run, read back: its numbers, the predictions of each split, and the images that they are about."""

from pathlib import Path

import numpy as np

from edram_fer import data as prepared
from edram_fer import files
from edram_fer.errors import MissingFileError, UserError
from edram_fer.run import layout, predictions


class EvaluatedRun:
    """A run folder after evaluation.

    Args:
        folder: the run folder.

    Attributes:
        folder: Path; metrics, recipe: content of metrics.json and recipe.json; rows: the predictions table;
        splits: names, in the order of the evaluation, "<split>_clean" and averages as "<split>_flip"
        among them.

    Raises FileNotFoundError for a run that was not evaluated, with the command that does it, and ValueError naming a
    file that is damaged, or metrics and predictions that do not belong together.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.recipe = files.read_json(self.folder / layout.RECIPE)
        for name in (layout.METRICS, layout.PREDICTIONS):
            if not (self.folder / name).exists():
                command = f"edram-fer evaluate {self.folder}"
                raise MissingFileError(f"{self.folder / name} is missing: the run is not evaluated; {command} does it")
        self.metrics = layout.read_metrics(self.folder / layout.METRICS)
        self.rows = predictions.read(self.folder / layout.PREDICTIONS)
        self.splits = list(self.metrics["splits"])
        self._features = {}
        for split in self.splits:
            self._check(split)

    def table(self, split):
        """The rows of a split, as `edram_fer.run.predictions` makes them."""
        return predictions.select_split(self.rows, split)

    def predictions(self, split):
        """The rows of a split as `predictions.unpack` gives them."""
        return predictions.unpack(self.table(split))

    def average(self, split):
        """Of what a split's predictions are averages, a phrase, or None: their windows are those of the images."""
        return self._plain(split)[1]

    def data_split(self, split):
        """The data set's split that a split's images come from."""
        return self._plain(split)[0]

    def features(self, split, *, data=None, data_dir=None):
        """The features of a split's images, in the order of its rows.

        Args:
            data, data_dir: as in `evaluation.evaluate`; None: what was evaluated, where it lay for training.

        Returns: dict of arrays as `edram_fer.data.arrays` gives it.

        Raises ValueError where the data set does not hold the images that were evaluated.
        """
        source, data_dir = layout.run_data(self.folder, data or self.metrics["run"]["data"], data_dir)
        part = self.data_split(split)
        key = (source, part, data_dir)
        if key not in self._features:
            self._features = {key: prepared.arrays(source, part, data_dir=data_dir)}  # only the last one stays
        features = self._features[key]
        place = {str(name): row for row, name in enumerate(features["id"])}
        wanted = self.table(split)["id"].to_pylist()
        if strange := [name for name in wanted if name not in place]:
            raise UserError(
                f"{self.folder}, split {split}: {len(strange)} of {len(wanted)} images, such as {strange[0]!r}, are "
                f"not in split {part} of {source}: it is not the data set that was evaluated"
            )
        rows = np.array([place[name] for name in wanted])
        return {name: values[rows] for name, values in features.items()}

    def _plain(self, split):
        whole = self._whole(split)
        plain, words = predictions.average(whole)
        return (plain, words) if plain in self.splits else (whole, None)

    def _whole(self, split):
        """The split of the table that a split is or is a part of."""
        return split if split in self.rows["split"].unique().to_pylist() else split.removesuffix("_clean")

    def _check(self, split):
        try:
            rows, told = self.table(split), self.metrics["splits"][split]
            expected = told["images"] + sum(told["excluded"].values())
            if len(rows) != expected:
                raise UserError(f"{len(rows)} predictions, but metrics of {expected} images")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{self.folder}, split {split}: metrics.json and predictions.parquet do not belong together, or one is "
                f"damaged: {error}"
            ) from error
