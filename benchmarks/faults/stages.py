"""The commands that are disturbed: what each starts from, how it is started and resumed, and what is compared.

All commands run in the folder of a case, beside `../inputs`, and write into its folder `out`.
"""

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.faults import comparison, inputs

OUT = "out"

# What cannot be equal in a run of training, by itself:
TRAINING: Mapping[str, comparison.Read | None] = {
    "*environment.json": comparison.without_keys("starts", "finished"),  # times, and a row for each start
    "*history.csv": comparison.without_column("seconds"),  # duration of an epoch
    "*checkpoints/latest.npz": comparison.checkpoint,  # the same durations
    "*checkpoints/lock": None,  # an empty file; whether it stays depends on the version of filelock
    "*model.keras": comparison.members("metadata.json"),  # the date on which Keras saved it, also in the archive
    "*tensorboard*": None,  # event files of TensorFlow: times, a file for each start
}
EVALUATION: Mapping[str, comparison.Read | None] = {
    # time, duration and speed
    "*metrics.json": comparison.without_keys("time", "seconds", "seconds_per_image"),
    "*report.html": comparison.without_text(r"evaluated \S+ \S+ UTC", r" in [\d.]+ s;", r"[\d.]+ ms per image"),
}
SAVED_MODEL: Mapping[str, comparison.Read | None] = {
    "*fingerprint.pb": comparison.ignored,  # holds a random number
    "*saved_model.pb": comparison.ignored,  # TensorFlow names its functions by random numbers
}


@dataclasses.dataclass(frozen=True)
class Stage:
    """A command that is disturbed.

    Attributes:
        command: the words after `edram-fer` for the folder of a case and the name of the folder to write into.
        rules: see `comparison.contents`.
        run: whether it starts from a trained run, which lies at `out`.
        backend: KERAS_BACKEND.
        codes: exit statuses of a success.
    """

    command: Callable[[Path, str], list[str]]
    rules: Mapping[str, comparison.Read | None] = dataclasses.field(default_factory=dict)
    run: bool = False
    backend: str = "tensorflow"
    codes: tuple[int, ...] = (0,)

    def begin(self, folder: Path) -> None:
        """Make the folder of a case as the command meets it at first, except for what is in the folder already."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.run:
            shutil.copytree(folder.parent / "inputs" / "run", folder / OUT)


def _train(folder: Path, out: str) -> list[str]:
    resumes = (folder / out / "recipe.json").exists()
    return ["train", "--resume", out, "--quiet"] if resumes else inputs.train_words(out)


def _prepare(*words: str) -> Callable[[Path, str], list[str]]:
    return lambda folder, out: ["prepare", *words, "--out", out]


def _sweep(folder: Path, out: str) -> list[str]:
    settings = inputs.set_words([*inputs.CNN, "epochs=2"])
    return ["sweep", "forch2019", "--vary", "label_smoothing=0.1,0.2", *settings, "--quiet", "--out", out]


_FACES = ("--size", "20", "--detectors", "none", "--validation", "0.2")

STAGES = {
    "train-tensorflow": Stage(_train, TRAINING),
    "train-jax": Stage(_train, TRAINING, backend="jax"),
    "prepare-photos": Stage(_prepare("folder", "--source", "../inputs/photos", *_FACES)),
    "prepare-rows": Stage(
        _prepare("table", "--source", "../inputs/photos/labels.csv", "--size", "20", "--detectors", "annotation")
    ),
    "prepare-tfds": Stage(_prepare("fer2013", "--source", "../inputs/fer2013.csv")),
    "prepare-beam": Stage(_prepare("folder", "--source", "../inputs/photos", *_FACES, "--beam=--runner=DirectRunner")),
    "predict": Stage(
        lambda folder, out: ["predict", "fer2013-edram", "../inputs/large", "--detectors", "none", "--out", out]
    ),
    "evaluate": Stage(lambda folder, out: ["evaluate", out], {**TRAINING, **EVALUATION}, run=True),
    "saliency": Stage(
        lambda folder, out: ["saliency", out, "--images", "28", "--window", "7"], {**TRAINING, **EVALUATION}, run=True
    ),
    "sweep": Stage(_sweep, {**TRAINING, **EVALUATION}),
    "export": Stage(lambda folder, out: ["export", out, "--format", "onnx"], TRAINING, run=True),
    "export-saved-model": Stage(
        lambda folder, out: ["export", out, "--format", "saved_model"], {**TRAINING, **SAVED_MODEL}, run=True
    ),
}
