"""All figures of an evaluated run, from its files and the images of the evaluation."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from edram_fer import attention, files
from edram_fer.attention import early_exit as exits
from edram_fer.attention import regions
from edram_fer.attention.maps import mean_face
from edram_fer.attention.windows import is_recurrent
from edram_fer.data import face_landmarks
from edram_fer.errors import UserError
from edram_fer.evaluation import calibration as calibration_measures
from edram_fer.figures.accuracy_by_glimpse import accuracy_by_glimpse
from edram_fer.figures.confidence import reliability, risk_coverage
from edram_fer.figures.confusion import confusion
from edram_fer.figures.crops import WeightedFaces, crops, one_per_class
from edram_fer.figures.curves import curves, read_history
from edram_fer.figures.differences import difference_maps
from edram_fer.figures.early_exit import early_exit
from edram_fer.figures.heatmaps import heatmaps
from edram_fer.figures.region_shares import region_preference, region_steps
from edram_fer.figures.samples import choose, samples
from edram_fer.figures.scan_paths import scan_paths
from edram_fer.figures.style import save
from edram_fer.figures.window_ablation import window_ablation
from edram_fer.run import layout
from edram_fer.run.evaluated_run import EvaluatedRun

INDIVIDUAL_PATHS = 25  # paths of individual images drawn below the mean path of a class


def draw(
    folder: Path | str,
    load_features: Callable[[str], dict[str, np.ndarray]] | None = None,
    *,
    find_landmarks: bool = False,
    pdf: bool = False,
) -> list[Path]:
    """Draw the figures of an evaluated run: the figures of each split in figures/SPLIT/, the others in figures/.

    An average over views ("<split>_flip", "<split>_ten_crop") has the windows of the unchanged images, so only figures
    of its scores are drawn. Attention by region of the face is also written to region_shares.json.

    Args:
        folder: the run folder.
        load_features: function from the name of a split to the features of its images, in the order of its rows, such
            as `EvaluatedRun.features`. None: figures that show faces or need landmarks are not drawn.
        find_landmarks: find landmarks with dlib if the data set has none.
        pdf: also save each figure as PDF.

    Returns:
        Paths of the written files.

    Raises:
        UserError: a file of the run is missing or damaged (the message names it), or the number of images differs from
            the number of predictions.
        OSError: the folder cannot be written; no figure is lost.
    """
    run = EvaluatedRun(folder)
    files.check_writable(run.folder / layout.FIGURES)
    written = []
    if load_features is not None:  # otherwise existing figures that show faces are kept
        layout.clear_figures(run.folder)

    def save_all(folder, figures):
        for name, figure in figures.items():
            written.append(save(figure, folder / name))
            if pdf:
                written.append(save(figure, (folder / name).with_suffix(".pdf")))

    save_all(run.folder / layout.FIGURES, _run_figures(run))
    shares, landmarks = {}, {}  # landmarks by split: image ids are unique within a split only
    for split in tqdm(run.splits, desc="figures", unit="split", disable=None):
        predictions, scores = run.predictions(split), run.metrics["splits"][split]
        split_folder = run.folder / layout.FIGURES / split
        save_all(split_folder, _score_figures(predictions, scores))
        if load_features is None or run.average(split):
            continue
        features, emotions = load_features(split), scores["confusion"]["emotions"]
        if len(features["image"]) != len(predictions["id"]):
            images = len(features["image"])
            raise UserError(f"split {split} has {len(predictions['id'])} predictions, but {images} images were given")
        save_all(split_folder, _face_figures(predictions, np.asarray(features["image"]), emotions))
        known = landmarks.setdefault(run.data_split(split), {})
        figures, shares[split] = _region_figures(predictions, features, emotions, find_landmarks, known)
        save_all(split_folder, figures)
    if shares:
        files.write_json(run.folder / layout.REGION_SHARES, files.plain(shares))
    return written


def _run_figures(run):
    figures = {}
    if (run.folder / layout.HISTORY).exists():
        monitor = run.recipe.get("monitor", "val_loss")
        figures[layout.CURVES] = curves(read_history(run.folder / layout.HISTORY), monitor)
    if (run.folder / layout.WINDOW_ABLATION).exists():
        figures[layout.WINDOW_ABLATION_FIGURE] = window_ablation(files.read_json(run.folder / layout.WINDOW_ABLATION))
    return figures


def _score_figures(predictions, scores):
    matrix, accuracy = scores["confusion"], scores["accuracy_after_glimpse"]
    figures = {layout.CONFUSION: confusion(matrix["counts"], matrix["emotions"])}
    if calibration := scores.get("calibration"):
        uncalibrated = calibration["uncalibrated"]  # None also for the average over views of a calibrated model
        figures[layout.RELIABILITY] = reliability(
            calibration["bins"],
            uncalibrated and uncalibrated["bins"],
            calibrated=predictions["calibration"] is not None,
        )
        known = np.isin(predictions["truth"], predictions["emotions"])
        truth = [predictions["emotions"].index(name) for name in predictions["truth"][known]]
        figures[layout.RISK_COVERAGE] = risk_coverage(
            *calibration_measures.risk_coverage(predictions["probabilities"][known, -1], truth)
        )
    if len(accuracy) > 1:
        recalls = {}
        for name in matrix["emotions"]:
            members = predictions["truth"] == name
            if members.any():
                recalls[name] = (predictions["steps"][members] == name).mean(axis=0)
        figures[layout.ACCURACY_BY_GLIMPSE] = accuracy_by_glimpse(
            accuracy, scores["intervals"]["accuracy_after_glimpse"], recalls
        )
        figures[layout.EARLY_EXIT] = early_exit(exits.curve_from_predictions(predictions))
    return figures


def _face_figures(predictions, images, emotions):
    windows, weights, truth, recurrent = (
        predictions["windows"],
        predictions["weights"],
        predictions["truth"],
        is_recurrent(predictions),
    )
    figures = {}
    if attention.has_windows(windows):
        for name, groups in ((layout.HEATMAPS, truth), (layout.HEATMAPS_PREDICTED, predictions["prediction"])):
            figures[name] = heatmaps(images, windows, weights, groups, emotions, by_step=recurrent)
        figures |= _difference_figures(predictions, images, emotions)
    if recurrent:
        figures[layout.SCAN_PATHS] = _mean_path_figure(predictions, images, emotions)
    confidence = predictions["probabilities"].max(axis=-1)
    if not recurrent and not np.allclose(
        weights, weights[:, :1]
    ):  # windows with different weights, which can be sorted
        rows = one_per_class(truth, predictions["prediction"], emotions)
        run = WeightedFaces("", windows[rows], weights[rows], predictions["prediction"][rows], confidence[rows, -1])
        figures[layout.CROPS] = crops(images[rows], truth[rows], [run])
    names = None if recurrent else attention.names(windows.mean(axis=0)) if windows.shape[1] > 1 else ["window"]
    for name, correct in ((layout.SAMPLES_CORRECT, True), (layout.SAMPLES_INCORRECT, False)):
        if rows := choose(truth, predictions["prediction"], emotions, correct=correct):
            figures[name] = samples(
                images[rows],
                windows[rows],
                predictions["steps"][rows],
                confidence[rows],
                truth[rows],
                weights=weights[rows],
                names=names,
            )
    return figures


def _difference_figures(predictions, images, emotions):
    """Compare each emotion with the others, each step with the previous one, the true with the predicted label."""
    truth, recurrent = predictions["truth"], is_recurrent(predictions)
    sizes = [int((truth == name).sum()) for name in emotions]
    emotions = [name for name, size in zip(emotions, sizes, strict=True) if size]
    labels = [(name, size) for name, size in zip(emotions, filter(None, sizes), strict=True)]
    faces = np.stack([mean_face(images[truth == name]) for name in emotions])
    maps, predicted_maps = (
        attention.densities(
            predictions["windows"], predictions["weights"], groups, emotions, images.shape[1:3], by_step=recurrent
        ).reshape(len(emotions), -1, *images.shape[1:3])
        for groups in (truth, predictions["prediction"])
    )
    steps = [f"glimpse {step + 1}" for step in range(maps.shape[1])] if recurrent else []
    figures = {}
    if len(emotions) > 1:
        rest = attention.one_vs_rest(maps, [size for _, size in labels])
        figures[layout.DIFFERENCES_CLASSES] = difference_maps(
            faces, rest, labels, steps, meaning="more or less than for the other emotions"
        )
        figures[layout.DIFFERENCES_LABELS] = difference_maps(
            faces,
            attention.difference(maps, predicted_maps),
            labels,
            steps,
            meaning="more or less for this true\nthan for this predicted emotion",
        )
    if recurrent:
        figures[layout.DIFFERENCES_STEPS] = difference_maps(
            faces,
            attention.step_differences(maps),
            labels,
            [f"{step} to {step + 1}" for step in range(1, len(steps))],
            meaning="more or less than at the previous glimpse",
        )
    return figures


def _mean_path_figure(predictions, images, emotions, seed=0):
    """The mean path of each emotion over its mean face, with the paths of some individual images."""
    random, centres = np.random.default_rng(seed), attention.centres(predictions["windows"])
    members = {name: np.flatnonzero(predictions["truth"] == name) for name in emotions}
    members = {name: rows for name, rows in members.items() if len(rows)}
    chosen = [random.choice(rows, min(INDIVIDUAL_PATHS, len(rows)), replace=False) for rows in members.values()]
    return scan_paths(
        np.stack([mean_face(images[rows]) for rows in members.values()]),
        np.stack([predictions["windows"][rows].mean(axis=0) for rows in members.values()]),
        [f"{name} ({len(rows):,})" for name, rows in members.items()],
        others=[list(centres[rows]) for rows in chosen],
    )


def _region_figures(predictions, features, emotions, find, known):
    """Figures of the face regions, and their entry in region_shares.json."""
    if not attention.has_windows(predictions["windows"]):
        return {}, {"note": "The model has no windows of its own: it sees the whole image."}
    landmarks, note = face_landmarks.get_landmarks(features, find=find, known=known)
    if landmarks is None:
        return {}, {"note": note}
    shape = np.shape(features["image"])[1:3]
    shares = regions.shares_from_predictions(predictions, landmarks, shape, emotions)
    figures = {}
    if shares["images"].any():
        figures[layout.REGION_PREFERENCE] = region_preference(shares)
        if is_recurrent(predictions):
            figures[layout.REGION_STEPS] = region_steps(shares)
    return figures, {"note": note, **shares}
