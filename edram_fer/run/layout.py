"""The run folder: the names of its files, and what several stages read from it."""

from pathlib import Path

from edram_fer import files
from edram_fer.errors import UserError

RECIPE, ENVIRONMENT, HISTORY = "recipe.json", "environment.json", "history.csv"
CHECKPOINTS, LATEST, MODEL, TENSORBOARD = "checkpoints", "checkpoints/latest.npz", "model.keras", "tensorboard"
PREDICTIONS, METRICS, REGION_SHARES = "predictions.parquet", "metrics.json", "region_shares.json"
FIGURES, REPORT = "figures", "report.html"

# The figures of a run by name: those of each split lie in figures/SPLIT/, the others in figures/.
SPLIT_FIGURES = (
    *("heatmaps.png", "heatmaps_predicted.png", "scan_paths.png"),  # these and the samples need the images
    *("samples_correct.png", "samples_incorrect.png"),
    "crops.png",  # of a model that weighs its windows
    *("differences_classes.png", "differences_steps.png", "differences_labels.png"),
    *("region_preference.svg", "region_steps.svg"),
    *("accuracy_by_glimpse.svg", "early_exit.svg", "confusion.svg"),
)
RUN_FIGURES = ("curves.svg",)
# Drawn by the commands window-ablation, agreement, saliency, robustness and region-weights; an evaluation leaves them.
STUDY_FIGURES = (
    *("window_ablation.svg", "agreement.svg", "saliency_samples.png", "saliency_occlusion.png", "saliency_bubbles.png"),
    *("robustness.svg", "region_weights.svg"),
)


def read_metrics(path):
    """Read metrics.json. FileNotFoundError when missing, ValueError when damaged; both name the file."""
    metrics = files.read_json(path)
    if not metrics.get("splits") or "run" not in metrics:
        raise UserError(f"{path} holds no metrics: expected `run` and `splits` with at least one split")
    return metrics


def run_data(run, data=None, data_dir=None):
    """The data set of a run and the folder in which it lies.

    Args:
        run: the run folder.
        data: a source that `edram_fer.data` reads; None: the one that the run was trained on.
        data_dir: where prepared data sets lie; None: where they lay for training.

    Returns: (source, data_dir or None).

    Raises FileNotFoundError or ValueError naming recipe.json where it is missing or names no data.
    """
    run = Path(run)
    recipe = files.read_json(run / RECIPE)
    if data is None and "data" not in recipe:
        raise UserError(f"{run / RECIPE} is not the recipe of a run: it names no `data`")
    if data_dir is None and (run / ENVIRONMENT).exists():
        data_dir = files.read_json(run / ENVIRONMENT).get("data_dir")
    return recipe["data"] if data is None else data, data_dir


def clear_evaluation(run):
    """Remove what an evaluation wrote and its figures drew, so that no file of it lies beside one of the next."""
    run = Path(run)
    for name in (REPORT, REGION_SHARES, METRICS):
        (run / name).unlink(missing_ok=True)
    clear_figures(run)


def clear_figures(run):
    """Remove the figures of a run's evaluation; those of the studies stay."""
    outdated = {Path(name).stem for name in (*SPLIT_FIGURES, *RUN_FIGURES)}
    figures = Path(run) / FIGURES
    for path in figures.rglob("*"):
        if path.stem in outdated and path.is_file():
            path.unlink()
    for split in figures.glob("*/"):
        if not any(split.iterdir()):
            split.rmdir()
