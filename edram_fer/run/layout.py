"""The run folder: the names of its files, and functions that several stages use to read them."""

import reprlib
from pathlib import Path
from typing import Any

from edram_fer import files
from edram_fer.errors import UserError
from edram_fer.preprocessing.values import path_component

# Written by training.
RECIPE, ENVIRONMENT, HISTORY = "recipe.json", "environment.json", "history.csv"
CHECKPOINTS, LATEST, MODEL, TENSORBOARD = "checkpoints", "checkpoints/latest.npz", "model.keras", "tensorboard"

# The model of a run in which nothing was trained, if it is described by a card; otherwise it is MODEL.
CARD = "card.yaml"

# The model in the folder of an evaluation, if it is an exported file.
EXPORTED = ("model.onnx", "model.tflite")

# Written by the evaluation, its figures and its report.
PREDICTIONS, METRICS, REPORT = "predictions.parquet", "metrics.json", "report.html"
REGION_SHARES = "region_shares.json"

# Written into the folder of an evaluation on other data than the run's; in RUN/evaluations/ by default.
EVALUATION, EVALUATIONS = "evaluation.json", "evaluations"

# The key of environment.json and evaluation.json for the working folder, from which relative paths count; see `locate`.
WORKING_FOLDER = "working_folder"

# Written by a sweep into the folder of a run that failed.
TRACEBACK = "traceback.txt"

# Written by the studies: their numbers, and the arrays that are computed step by step.
WINDOW_ABLATION, AGREEMENT = "window_ablation.json", "agreement.json"
ROBUSTNESS, REGION_WEIGHTS = "robustness.json", "region_weights.json"
OCCLUSION, OCCLUSION_MAPS = "saliency_occlusion.json", "saliency_occlusion.npz"
BUBBLES, BUBBLES_MAPS = "saliency_bubbles.json", "saliency_bubbles.npz"
WINDOW_GRADIENTS, WINDOW_GRADIENTS_ARRAYS = "window_gradients.json", "window_gradients.npz"
ATTRIBUTIONS = ("integrated-gradients", "smoothgrad", "grad-cam", "rise")

# Figures: the figures of a split are in figures/SPLIT/, all others in figures/.
FIGURES = "figures"
HEATMAPS, HEATMAPS_PREDICTED, SCAN_PATHS = "heatmaps.png", "heatmaps_predicted.png", "scan_paths.png"
SAMPLES_CORRECT, SAMPLES_INCORRECT, CROPS = "samples_correct.png", "samples_incorrect.png", "crops.png"
DIFFERENCES_CLASSES, DIFFERENCES_STEPS = "differences_classes.png", "differences_steps.png"
DIFFERENCES_LABELS = "differences_labels.png"
REGION_PREFERENCE, REGION_STEPS = "region_preference.svg", "region_steps.svg"
ACCURACY_BY_GLIMPSE, EARLY_EXIT, CONFUSION = "accuracy_by_glimpse.svg", "early_exit.svg", "confusion.svg"
RELIABILITY, RISK_COVERAGE = "reliability.svg", "risk_coverage.svg"
SPLIT_FIGURES = (
    *(HEATMAPS, HEATMAPS_PREDICTED, SCAN_PATHS, SAMPLES_CORRECT, SAMPLES_INCORRECT, CROPS),
    *(DIFFERENCES_CLASSES, DIFFERENCES_STEPS, DIFFERENCES_LABELS),
    *(REGION_PREFERENCE, REGION_STEPS, ACCURACY_BY_GLIMPSE, EARLY_EXIT, CONFUSION),
    *(RELIABILITY, RISK_COVERAGE),
)
CURVES = "curves.svg"
RUN_FIGURES = (CURVES,)
WINDOW_ABLATION_FIGURE, AGREEMENT_FIGURE = "window_ablation.svg", "agreement.svg"
WINDOW_GRADIENTS_FIGURE = "window_gradients.png"
OCCLUSION_SAMPLES, OCCLUSION_FIGURE = "saliency_samples.png", "saliency_occlusion.png"
BUBBLES_FIGURE = "saliency_bubbles.png"
ROBUSTNESS_FIGURE, REGION_WEIGHTS_FIGURE = "robustness.svg", "region_weights.svg"
# Drawn by the studies; a new evaluation leaves them in place.
STUDY_FIGURES = (
    *(WINDOW_ABLATION_FIGURE, WINDOW_GRADIENTS_FIGURE, AGREEMENT_FIGURE),
    *(OCCLUSION_SAMPLES, OCCLUSION_FIGURE, BUBBLES_FIGURE),
    *(ROBUSTNESS_FIGURE, REGION_WEIGHTS_FIGURE),
    *(f"saliency_{method}.png" for method in ATTRIBUTIONS),
)

# The keys that metrics.json has for every split (evaluation.summary); it has more if affect is known.
SCORES = ("images", "excluded", "accuracy", "accuracy_after_glimpse", "per_class", "confusion", "intervals", "glimpses")


def attribution_files(method: str) -> tuple[str, str, str]:
    """The files of one of ATTRIBUTIONS: its numbers, its maps and its figure.

    >>> attribution_files("rise")
    ('saliency_rise.json', 'saliency_rise.npz', 'saliency_rise.png')
    """
    json, maps, figure = (f"saliency_{method}.{ending}" for ending in ("json", "npz", "png"))
    return json, maps, figure


def read_metrics(path: Path | str) -> dict[str, Any]:
    """Read metrics.json.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file is damaged or holds no metrics; the message names the file.
    """
    metrics = files.read_json(path)
    if not isinstance(metrics.get("run"), dict) or not isinstance(metrics.get("splits"), dict) or not metrics["splits"]:
        raise UserError(f"{path} holds no metrics: expected `run` and `splits` with at least one split")
    for split, scores in metrics["splits"].items():
        path_component(f"{path}: split", split)  # figures are drawn in a folder of that name
        if not isinstance(scores, dict):
            raise UserError(f"{path}: split {split}: expected an object with scores, got {reprlib.repr(scores)}")
        if missing := [name for name in SCORES if name not in scores]:
            raise UserError(f"{path} is incomplete: split {split} lacks {', '.join(missing)}; evaluate the run again")
    return metrics


def run_data(
    run: Path | str, data: str | None = None, data_dir: Path | str | None = None
) -> tuple[str, Path | str | None]:
    """The data set of a run and its folder.

    Args:
        run: The run folder.
        data: A source that `edram_fer.data` reads; None: the data set that the run was trained on, or in the folder of
            an evaluation (`run.evaluation_folder`) the evaluated one.
        data_dir: Folder of prepared data sets; None: the folder used for it.

    Returns:
        (source, data_dir or None).

    Raises:
        MissingFileError: recipe.json is missing.
        UserError: recipe.json or environment.json is damaged, or recipe.json names no data.
    """
    run = Path(run)
    if (run / EVALUATION).exists():
        evaluation = files.read_json(run / EVALUATION)
        if missing := [name for name in ("data", "data_dir") if name not in evaluation]:
            raise UserError(f"{run / EVALUATION} is incomplete: it lacks {', '.join(missing)}")
        return data or locate(run, evaluation["data"]), data_dir or evaluation["data_dir"]
    recipe = files.read_json(run / RECIPE)
    if data is None and "data" not in recipe:
        raise UserError(f"{run / RECIPE} is not the recipe of a run: it names no `data`")
    if data_dir is None and (run / ENVIRONMENT).exists():
        data_dir = files.read_json(run / ENVIRONMENT).get("data_dir")
    return locate(run, recipe["data"]) if data is None else data, data_dir


def locate(run: Path | str, name: str, *, folder: bool = False) -> str:
    """What a run calls `name`, a file or another run, from wherever the command is given.

    Args:
        run: The run folder, or the folder of an evaluation, which record the working folder in which they were made.
        name: A path, or the name of a data set or of an included model, which is returned as it is.
        folder: Whether it may be the path of any folder, not only of a run: never the name of a data set.

    Returns:
        The path in that folder if it is there, otherwise `name`.
    """
    record = next((path for path in (Path(run) / EVALUATION, Path(run) / ENVIRONMENT) if path.exists()), None)
    origin = files.read_json(record).get(WORKING_FOLDER) if record else None
    if not name or not isinstance(origin, str) or Path(origin) == Path.cwd():
        return name
    path = Path(origin) / name
    return str(path) if path.is_file() or (path / RECIPE).is_file() or (folder and path.is_dir()) else name


def clear_evaluation(run: Path | str) -> None:
    """Remove all files of an evaluation except the predictions, so that no outdated file remains."""
    run = Path(run)
    for name in (REPORT, REGION_SHARES, METRICS):
        (run / name).unlink(missing_ok=True)
    clear_figures(run)


def clear_figures(run: Path | str) -> None:
    """Remove the figures of a run's evaluation, also as PDF; the figures of studies and files of other names stay."""
    names = (*SPLIT_FIGURES, *RUN_FIGURES)
    figures = Path(run) / FIGURES
    for folder in (figures, *(path for path in figures.glob("*/") if not path.is_symlink())):
        outdated = [folder / Path(name).with_suffix(suffix) for name in names for suffix in (Path(name).suffix, ".pdf")]
        written = [path for path in outdated if path.is_file()]
        for path in written:
            path.unlink()
        if written and folder != figures and not any(folder.iterdir()):
            folder.rmdir()
