"""What a paper reports, and the runs that reproduce it."""

import dataclasses
import importlib
import shlex
from collections.abc import Mapping
from pathlib import Path

from edram_fer.errors import UserError
from edram_fer.recipes import recipe as recipes
from edram_fer.recipes.recipe import Recipe
from edram_fer.studies.sweep import grid

NAMES = ("ablavatski2017", "forch2019", "minaee2019", "wang2020")
SINGLE = "recipe"  # a combination of no settings, as `studies.sweep.means` calls it


@dataclasses.dataclass(frozen=True)
class Value:
    """A number that the paper reports.

    Attributes:
        value: The score in [0, 1]; None: the paper has no such number, but ours belongs beside the others.
        split: The split that ours is measured on.
        combination: Of settings, as in means.csv of a sweep: "zoom_limit=0.5", or "recipe".
        score: "accuracy" or "mean_class_accuracy".
    """

    value: float | None
    split: str = "test"
    combination: str = SINGLE
    score: str = "accuracy"


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of the paper, and ours.

    Attributes:
        shows: What the published figure shows.
        path: Ours, in the folder `figures` of each run.
        published: False: the paper has no such figure.
    """

    shows: str
    path: str
    published: bool = True


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An experiment of a paper: runs of one recipe on one data set.

    Attributes:
        name: Also of its folder.
        title: One line.
        recipe: Name of the recipe.
        data: Its data set.
        settings: "key=value" for all runs.
        vary: Key of a setting -> its values; a run for each combination.
        splits: The splits that the runs are evaluated on.
        values: The numbers of the paper.
        figures: The figures of the paper.
        studies: Names of `reproduction.STUDIES` that the figures need.
        people: Whether runs are compared with people's gaze.
        differences: What differs from the published protocol, in sentences.
        preparation: Options of `edram-fer prepare` that are not its defaults.
        reader: Options of the data set's reader (`prepare --set`).
        access: How to get the data.
        quick: "key=value" settings of a trial, which shows that everything works.
    """

    name: str
    title: str
    recipe: str
    data: str
    access: str
    settings: tuple[str, ...] = ()
    vary: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    splits: tuple[str, ...] = ("test",)
    values: tuple[Value, ...] = ()
    figures: tuple[Figure, ...] = ()
    studies: tuple[str, ...] = ()
    people: bool = False
    differences: tuple[str, ...] = ()
    preparation: Mapping[str, object] = dataclasses.field(default_factory=dict)
    reader: Mapping[str, object] = dataclasses.field(default_factory=dict)
    quick: tuple[str, ...] = ()

    def runs(self, seeds: int = 1, quick: bool = False) -> dict[str, Recipe]:
        """{folder name: Recipe} of all runs, see `studies.sweep.grid`."""
        return grid(self.recipe, self.vary, seeds, self._settings(quick))

    def train_command(self, seeds: int = 1, quick: bool = False) -> str:
        """The command that trains and evaluates the same runs."""
        words = ["edram-fer", "sweep", self.recipe, "--seeds", str(seeds)]
        for key, values in self.vary.items():
            words += ["--vary", f"{key}={','.join(values)}"]
        for setting in self._settings(quick):
            words += ["--set", setting]
        for split in self.splits:
            words += ["--split", split]
        return shlex.join(words)

    @property
    def dataset(self) -> str:
        """The name of the data set, without its configuration."""
        return self.data.partition("/")[0]

    @property
    def prepared_as(self) -> str:
        """What `edram-fer prepare` calls the data set. It names a configuration of photos after their options, so only
        the label modes of FERPlus are part of the name."""
        return self.data if self.dataset == "ferplus" else self.dataset

    def prepare_command(self, data_dir: Path | str | None = None) -> str:
        """The command that prepares the data set from its files, in the folder SOURCE; None: in the default folder."""
        words = ["edram-fer", "prepare", self.prepared_as, "--source", "SOURCE"]
        for option, value in self.preparation.items():
            words += [f"--{option}", str(value)]
        for option, value in self.reader.items():
            words += ["--set", f"{option}={value}"]
        return shlex.join(words if data_dir is None else [*words, "--data-dir", str(data_dir)])

    def _settings(self, quick):
        data = [f"data={self.data}"] if recipes.get(self.recipe).data != self.data else []
        return [*data, *self.settings, *(self.quick if quick else ())]


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """An experiment that a module of `benchmarks/` makes, which is in the checkout and not in the package.

    Attributes:
        name, title, differences: As for `Experiment`.
        module: "benchmarks.NAME"; it takes --out FOLDER and writes result.json.
        package: That carries its data.
        arguments: Of the module.
        values: The numbers of the paper: of the last step of "models", "edram", "error_percent" in result.json.
        quick: Arguments of a trial, which come after the others.
    """

    name: str
    title: str
    module: str
    package: str
    arguments: tuple[str, ...]
    values: tuple[Value, ...]
    differences: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()

    def words(self, quick: bool = False) -> list[str]:
        """The words after `python -m`, without --out."""
        return [self.module, *self.arguments, *(self.quick if quick else ())]


@dataclasses.dataclass(frozen=True)
class Paper:
    """A paper and its experiments.

    Attributes:
        name: Of NAMES.
        reference: Authors, title, place, year.
        experiments: In the order of the paper.
    """

    name: str
    reference: str
    experiments: tuple[Experiment | Benchmark, ...]


def get(name: str) -> Paper:
    """A paper by name.

    Raises:
        UserError: No paper has that name.

    >>> [experiment.data for experiment in get("minaee2019").experiments][:2]
    ['fer2013', 'fer2013']
    """
    if name not in NAMES:
        raise UserError(f"paper: expected one of {', '.join(NAMES)}, got {name!r}")
    return importlib.import_module(f"edram_fer.papers.{name}").PAPER
