"""All figures of an evaluated run, from its files and the images that it was evaluated on."""

import numpy as np
from tqdm.auto import tqdm

from edram_fer import attention, files
from edram_fer.attention import early_exit as exits
from edram_fer.attention import regions
from edram_fer.attention.maps import mean_face
from edram_fer.attention.windows import is_recurrent
from edram_fer.data import face_landmarks
from edram_fer.errors import UserError
from edram_fer.figures.accuracy_by_glimpse import accuracy_by_glimpse
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

OTHERS = 25  # single paths drawn below the mean path of a class


def draw(run, load_features=None, *, find_landmarks=False, pdf=False):
    """Draw the figures of a run folder: those of each split into figures/SPLIT/, the others into figures/.

    An average over views ("<split>_flip", "<split>_ten_crop") has the windows of the images themselves: only what its
    numbers say is drawn. What the regions of the face get is also written to region_shares.json.

    Args:
        run: the run folder, evaluated.
        load_features: function from the name of a split to the features of its images, in the order of its rows, such as
            `EvaluatedRun.features`. Without it what shows faces or asks for landmarks is not drawn.
        find_landmarks: let dlib find them where the data set has none.
        pdf: also save each figure as PDF.

    Returns: list of the written paths.

    Raises FileNotFoundError or ValueError naming a file that is missing or damaged, ValueError when the number of
    images is not that of the rows.
    """
    run = EvaluatedRun(run)
    written = []
    if load_features is not None:  # without them those that show faces stay
        layout.clear_figures(run.folder)

    def keep(folder, drawn):
        for name, figure in drawn.items():
            written.append(save(figure, folder / name))
            if pdf:
                written.append(save(figure, (folder / name).with_suffix(".pdf")))

    keep(run.folder / layout.FIGURES, _of_the_run(run))
    told, landmarks = {}, {}  # ids are unique in a split of the data set only
    for split in tqdm(run.splits, desc="figures", unit="split", disable=None):
        found, scores, folder = (
            run.predictions(split),
            run.metrics["splits"][split],
            run.folder / layout.FIGURES / split,
        )
        keep(folder, _of_numbers(found, scores))
        if load_features is None or run.average(split):
            continue
        features, emotions = load_features(split), scores["confusion"]["emotions"]
        if len(features["image"]) != len(found["id"]):
            images = len(features["image"])
            raise UserError(f"split {split} has {len(found['id'])} predictions, but {images} images were given")
        keep(folder, _of_faces(found, np.asarray(features["image"]), emotions))
        known = landmarks.setdefault(run.data_split(split), {})
        drawn, told[split] = _of_regions(found, features, emotions, find_landmarks, known)
        keep(folder, drawn)
    if told:
        files.write_json(run.folder / layout.REGION_SHARES, files.plain(told))
    return written


def _of_the_run(run):
    drawn = {}
    if (run.folder / layout.HISTORY).exists():
        monitor = run.recipe.get("monitor", "val_loss")
        drawn[layout.CURVES] = curves(read_history(run.folder / layout.HISTORY), monitor)
    if (run.folder / layout.WINDOW_ABLATION).exists():
        drawn[layout.WINDOW_ABLATION_FIGURE] = window_ablation(files.read_json(run.folder / layout.WINDOW_ABLATION))
    return drawn


def _of_numbers(found, scores):
    matrix, accuracy = scores["confusion"], scores["accuracy_after_glimpse"]
    drawn = {layout.CONFUSION: confusion(matrix["counts"], matrix["emotions"])}
    if len(accuracy) > 1:
        recalls = {}
        for name in matrix["emotions"]:
            own = found["truth"] == name
            if own.any():
                recalls[name] = (found["steps"][own] == name).mean(axis=0)
        drawn[layout.ACCURACY_BY_GLIMPSE] = accuracy_by_glimpse(
            accuracy, scores["intervals"]["accuracy_after_glimpse"], recalls
        )
        drawn[layout.EARLY_EXIT] = early_exit(exits.curve_from_predictions(found))
    return drawn


def _of_faces(found, images, emotions):
    windows, weights, truth, recurrent = found["windows"], found["weights"], found["truth"], is_recurrent(found)
    drawn = {}
    if attention.has_windows(windows):
        for name, groups in ((layout.HEATMAPS, truth), (layout.HEATMAPS_PREDICTED, found["prediction"])):
            drawn[name] = heatmaps(images, windows, weights, groups, emotions, by_step=recurrent)
        drawn |= _differences(found, images, emotions)
    if recurrent:
        drawn[layout.SCAN_PATHS] = _mean_paths(found, images, emotions)
    confidence = found["probabilities"].max(axis=-1)
    if not recurrent and not np.allclose(weights, weights[:, :1]):  # an order of the windows to show
        rows = one_per_class(truth, found["prediction"], emotions)
        run = WeightedFaces("", windows[rows], weights[rows], found["prediction"][rows], confidence[rows, -1])
        drawn[layout.CROPS] = crops(images[rows], truth[rows], [run])
    names = None if recurrent else attention.names(windows.mean(axis=0)) if windows.shape[1] > 1 else ["window"]
    for name, right in ((layout.SAMPLES_CORRECT, True), (layout.SAMPLES_INCORRECT, False)):
        if rows := choose(truth, found["prediction"], emotions, correct=right):
            drawn[name] = samples(
                images[rows],
                windows[rows],
                found["steps"][rows],
                confidence[rows],
                truth[rows],
                weights=weights[rows],
                names=names,
            )
    return drawn


def _differences(found, images, emotions):
    """Each emotion against the others, each step against the one before, the true against the predicted label."""
    truth, recurrent = found["truth"], is_recurrent(found)
    sizes = [int((truth == name).sum()) for name in emotions]
    emotions = [name for name, size in zip(emotions, sizes, strict=True) if size]
    labels = [(name, size) for name, size in zip(emotions, filter(None, sizes), strict=True)]
    faces = np.stack([mean_face(images[truth == name]) for name in emotions])
    maps, named = (
        attention.densities(
            found["windows"], found["weights"], groups, emotions, images.shape[1:3], by_step=recurrent
        ).reshape(len(emotions), -1, *images.shape[1:3])
        for groups in (truth, found["prediction"])
    )
    steps = [f"glimpse {step + 1}" for step in range(maps.shape[1])] if recurrent else []
    drawn = {}
    if len(emotions) > 1:
        rest = attention.one_vs_rest(maps, [size for _, size in labels])
        drawn[layout.DIFFERENCES_CLASSES] = difference_maps(
            faces, rest, labels, steps, meaning="more or less than for the other emotions"
        )
        drawn[layout.DIFFERENCES_LABELS] = difference_maps(
            faces,
            attention.difference(maps, named),
            labels,
            steps,
            meaning="more or less with this true\nthan with this predicted emotion",
        )
    if recurrent:
        drawn[layout.DIFFERENCES_STEPS] = difference_maps(
            faces,
            attention.between_steps(maps),
            labels,
            [f"{step} to {step + 1}" for step in range(1, len(steps))],
            meaning="more or less than at the glimpse before",
        )
    return drawn


def _mean_paths(found, images, emotions, seed=0):
    """The mean path of each emotion over its mean face, above those of some single images."""
    random, centres = np.random.default_rng(seed), attention.centres(found["windows"])
    members = {name: np.flatnonzero(found["truth"] == name) for name in emotions}
    members = {name: rows for name, rows in members.items() if len(rows)}
    chosen = [random.choice(rows, min(OTHERS, len(rows)), replace=False) for rows in members.values()]
    return scan_paths(
        np.stack([mean_face(images[rows]) for rows in members.values()]),
        np.stack([found["windows"][rows].mean(axis=0) for rows in members.values()]),
        [f"{name} ({len(rows):,})" for name, rows in members.items()],
        others=[list(centres[rows]) for rows in chosen],
    )


def _of_regions(found, features, emotions, find, known):
    """Figures of the regions of the face, and what region_shares.json tells of them."""
    if not attention.has_windows(found["windows"]):
        return {}, {"note": "The model has no windows of its own: it looks at the whole of every image."}
    points, note = face_landmarks.get_landmarks(features, find=find, known=known)
    if points is None:
        return {}, {"note": note}
    shape = np.shape(features["image"])[1:3]
    shares = regions.shares_from_predictions(found, points, shape, emotions)
    drawn = {}
    if shares["images"].any():
        drawn[layout.REGION_PREFERENCE] = region_preference(shares)
        if is_recurrent(found):
            drawn[layout.REGION_STEPS] = region_steps(shares)
    return drawn, {"note": note, **shares}
