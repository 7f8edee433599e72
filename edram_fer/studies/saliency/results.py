"""The result of every method: the scores of the maps against masks, and a JSON file."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edram_fer import files, intervals
from edram_fer.attention.pointing import pointing, scorable
from edram_fer.studies.observer import Observer


def write_result(
    observer: Observer,
    file: str,
    settings: Mapping[str, Any],
    numbers: Mapping[str, Any],
    maps: np.ndarray,
    tolerance: float,
) -> dict[str, Any]:
    """Score the maps and write the JSON file of the method into the run folder.

    Args:
        observer: the observer with the images of the maps.
        file: name of the JSON file.
        settings: settings of the method.
        numbers: results of the method.
        maps: [n, H, W], the maps to score.
        tolerance: tolerance of the pointing game, in pixels.

    Returns:
        The content of the file: the settings; "accuracy_original", the accuracy for the original images; the numbers;
        "mask_scores" as returned by `attention.pointing.pointing` for "maps" and, if the model has windows, "windows"
        (their density), or None if no image has a map and a mask that is neither empty nor full; and "intervals_note",
        what the number of subjects means for the intervals.
    """
    result = {**settings, "accuracy_original": observer.original_correct().mean(), **numbers}
    result |= {
        "mask_scores": _mask_scores(observer, maps, tolerance),
        "intervals_note": intervals.note(observer.subjects),
    }
    result = files.plain(result)
    files.write_json(observer.run / file, result)
    return result


def _mask_scores(observer, maps, tolerance):
    if observer.masks is None:
        return None
    windows = observer.window_density()
    candidates = {"maps": maps} if windows is None else {"maps": maps, "windows": windows}
    if not scorable(candidates, observer.masks).any():
        return None
    return pointing(candidates, observer.masks, subjects=observer.subjects, tolerance=tolerance, seed=observer.seed)
