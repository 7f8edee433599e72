"""Compare the attention maps and scan paths of a run with human fixations."""

from pathlib import Path
from typing import Any

import numpy as np

from edram_fer import files, intervals
from edram_fer.attention import baselines, fixations
from edram_fer.data import face_landmarks
from edram_fer.run import layout
from edram_fer.run.evaluated_run import EvaluatedRun


def measure_agreement(
    run: Path | str,
    path: Path | str,
    *,
    split: str | None = None,
    outside: str = "raise",
    sigma: float | None = None,
    find_landmarks: bool = False,
    data: str | None = None,
    data_dir: Path | str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare an evaluated run with human fixations; write agreement.json and figures/agreement.svg of the run.

    Args:
        run: the run folder.
        path: CSV of fixations (see `attention.fixations`), in pixels of the prepared images; its image names are the
            ids of the images.
        split: a split that the run was evaluated on; None: test, or if it was not evaluated, the first.
        outside: what to do with fixations outside their image: "raise" an error, or "drop" and count them.
        sigma: standard deviation of the Gaussians in the fixation maps, in pixels, with which the model's maps are
            smoothed as well; None: a tenth of the shorter side, about one degree of visual angle.
        find_landmarks: find landmarks with dlib, for the map of the mean face, if the data set has none.
        data: see `evaluation.evaluate`.
        data_dir: see `evaluation.evaluate`.
        seed: seed of the shuffling and of the random scan paths.

    Returns:
        The content of agreement.json: "split"; "fixations_file"; "fixations_note", a sentence on its rows;
        "intervals_note", why intervals are undefined, or ""; "sigma"; "images", with fixations;
        "images_without_fixations" in the split; "landmarks_note", a sentence on their source; and "maps", "paths" and
        "images_missed_by_windows" as returned by `baselines.compare_with_fixations`.

    Raises:
        UserError: the run has no windows of its own or was not evaluated on the split, or no fixation is on an image of
            the split; see also `fixations.read`.
        OSError: the run folder cannot be written.
    """
    from edram_fer.figures.agreement import agreement as draw  # imports Matplotlib
    from edram_fer.figures.style import save

    evaluated = EvaluatedRun(run)
    files.check_writable(evaluated.folder)
    split = evaluated.choose(split)
    predictions, features = evaluated.predictions(split), evaluated.features(split, data=data, data_dir=data_dir)
    shape = np.shape(features["image"])[1:3]
    people = fixations.read_for_images(path, predictions["id"], shape, outside=outside)
    landmarks, note = face_landmarks.get_landmarks(features, find=find_landmarks)
    sigma = baselines.DEGREE * min(shape) if sigma is None else sigma
    images = len(set(people.image))
    result = {
        "split": split,
        "fixations_file": str(path),
        "fixations_note": people.report(),
        "intervals_note": intervals.note(people.subject) if len(set(people.subject)) == 1 else "",
        "sigma": sigma,
        "images": images,
        "images_without_fixations": len(predictions["id"]) - images,
        "landmarks_note": note,
        **baselines.compare_with_fixations(predictions, people, shape, sigma, landmarks=landmarks, seed=seed),
    }
    result = files.plain(result)
    files.write_json(evaluated.folder / layout.AGREEMENT, result)
    save(draw(result), evaluated.folder / layout.FIGURES / layout.AGREEMENT_FIGURE)
    return result
