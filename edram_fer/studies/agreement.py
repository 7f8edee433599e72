"""Does a run look where people look? Its maps and scan paths against a file of fixations."""

import numpy as np

from edram_fer import files
from edram_fer.attention import baselines, fixations
from edram_fer.data import face_landmarks
from edram_fer.errors import UserError
from edram_fer.run import layout
from edram_fer.run.evaluated_run import EvaluatedRun


def agree(
    run,
    path,
    *,
    split=None,
    outside="raise",
    sigma=None,
    find_landmarks=False,
    data=None,
    data_dir=None,
    repeats=1000,
    seed=0,
):
    """Hold an evaluated run against fixations; write agreement.json and figures/agreement.svg of the run.

    Args:
        run: the run folder; split: one that it was evaluated on, None: the first.
        path: CSV of fixations (see `attention.fixations`) whose images are named by the ids of the images, in pixels
            of the prepared images.
        outside: "raise", or "drop" rows beside their image.
        sigma: of the people's maps, in pixels; None: a tenth of the shorter side, about one degree of the visual field.
        find_landmarks: let dlib find landmarks, for the map of the mean face, where the data set has none.
        data, data_dir: where the images are, as in `evaluation.evaluate`.
        repeats, seed: of the intervals; the seed also shuffles and halves.

    Returns: the content of agreement.json: "split", "fixations_file", "fixations_note" (a sentence on what was read), "sigma", "images"
    with fixations, "images_without_fixations" (images of the split), "images_missed_by_windows" (images whose windows all miss
    them), "maps" and "paths" as `baselines.compare_maps` and `compare_paths` give them ("paths" None for a run without
    windows in time order).

    Raises ValueError for a run without windows of its own, a split that was not evaluated, a file none of whose images
    is an image of the split, and as `fixations.read`.
    """
    from edram_fer.figures.agreement import agreement as draw  # Matplotlib only where something is drawn
    from edram_fer.figures.style import save

    run = EvaluatedRun(run)
    split = run.splits[0] if split is None else split
    if split not in run.splits:
        raise UserError(f"split: {run.folder} was evaluated on {', '.join(run.splits)}, not on {split!r}")
    found, features = run.predictions(split), run.features(split, data=data, data_dir=data_dir)
    shape = np.shape(features["image"])[1:3]
    read = fixations.read_for_images(path, found["id"], shape, outside=outside)
    points, note = face_landmarks.get_landmarks(features, find=find_landmarks)
    sigma = baselines.DEGREE * min(shape) if sigma is None else sigma
    options = {"landmarks": points, "repeats": repeats, "seed": seed}
    result = {
        "split": split,
        "fixations_file": str(path),
        "fixations_note": read.report(),
        "sigma": sigma,
        "images": len(set(read.image)),
        "images_without_fixations": len(found["id"]) - len(set(read.image)),
        "landmarks_note": note,
        **baselines.compare_with_fixations(found, read, shape, sigma, **options),
    }
    result = files.plain(result)
    files.write_json(run.folder / layout.AGREEMENT, result)
    save(draw(result), run.folder / layout.FIGURES / layout.AGREEMENT_FIGURE)
    return result
