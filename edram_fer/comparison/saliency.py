"""Which information the runs use: mean occlusion maps by emotion, their similarity, and regions of the face.

It reads the files that `edram_fer.studies.saliency.occlusion` wrote into the run folders.
"""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edram_fer.attention import agreement, regions
from edram_fer.comparison.attention_tables import ALL
from edram_fer.comparison.runs import Runs
from edram_fer.errors import UserError
from edram_fer.run import layout
from edram_fer.studies import resumable


@dataclasses.dataclass(frozen=True)
class Occlusion:
    """Occlusion maps of a run: the drop of the true class's probability when a square hides a pixel.

    Attributes:
        settings: settings of the study: "images", "seed", "window", "stride", "fill", ...
        probability_drop: [n, H, W], one map per image.
        ids: image ids [n].
        truth: emotion names [n].
    """

    settings: dict[str, Any]
    probability_drop: np.ndarray
    ids: np.ndarray
    truth: np.ndarray

    def members(self, group: str) -> np.ndarray:
        """Which images show an emotion, or belong to "all", bool [n]."""
        return np.full(len(self.truth), True) if group == ALL else self.truth == group

    def mean(self, group: str) -> np.ndarray:
        """Mean map [H, W] of an emotion or of "all"; nan without images."""
        maps = self.probability_drop[self.members(group)]
        return maps.mean(axis=0) if len(maps) else np.full(self.probability_drop.shape[1:], np.nan)


def maps(runs: Runs, shape: tuple[int, int]) -> dict[str, Occlusion]:
    """Occlusion maps of the runs whose study of this split is finished.

    Args:
        runs: the runs to compare.
        shape: (H, W) of the images.

    Returns:
        {run: Occlusion}.

    Raises:
        UserError: a file is damaged, or its maps have another shape or belong to other images.
    """
    result, ids = {}, set(runs.runs[0].predictions["id"])
    for run in runs.runs:
        path = run.evaluated.folder / layout.OCCLUSION_MAPS
        arrays = resumable.read(path) if path.exists() else {}
        if "mean_probability_drop" not in arrays:  # not started or not finished
            continue
        settings = json.loads(str(arrays[resumable.SETTINGS]))
        if settings["split"] != runs.split:
            continue
        drops = arrays["probability_drop"].astype(float)
        if drops.shape[1:] != tuple(shape):
            raise UserError(f"{path}: maps of {list(drops.shape[1:])} pixels, the images have {list(shape)}")
        if unknown := [name for name in arrays["id"] if name not in ids]:
            raise UserError(f"{path}: image {str(unknown[0])!r} is not among the {len(ids)} of split {runs.split}")
        result[run.name] = Occlusion(settings, drops, arrays["id"], arrays["emotions"][arrays["label"]])
    return result


def map_rows(maps: Mapping[str, Occlusion], present: Sequence[str]) -> list[dict[str, Any]]:
    """Mean and maximum of each run's mean map, by emotion (and all).

    Args:
        maps: from `maps`.
        present: names of the emotions.

    Returns:
        Rows with "images", "mean_probability_drop" and "max_probability_drop" over the map, and "max_x", "max_y", the
        position of the maximum in [-1, 1], y pointing down.
    """
    rows = []
    for name, occlusion in maps.items():
        for group in (ALL, *present):
            row = {"run": name, "emotion": group, "images": int(occlusion.members(group).sum())}
            if row["images"]:
                mean = occlusion.mean(group)
                peak = np.unravel_index(mean.argmax(), mean.shape)
                y, x = 2 * np.array(peak) / np.maximum(np.array(mean.shape) - 1, 1) - 1
                row |= {
                    "mean_probability_drop": mean.mean(),
                    "max_probability_drop": mean.max(),
                    "max_x": x,
                    "max_y": y,
                }
            rows.append(row)
    return rows


def agreement_rows(maps: Mapping[str, Occlusion], present: Sequence[str]) -> list[dict[str, Any]]:
    """Similarity of the mean maps of each pair of runs, by emotion (and all).

    Args:
        maps: from `maps`.
        present: names of the emotions.

    Returns:
        Rows with "cc", Pearson's correlation over the pixels (nan where a map is constant or missing), and
        "cc_other_emotions", the mean correlation with the other run's maps of the other emotions (None for all images):
        only correlation above it concerns this emotion.
    """
    rows = []
    for (name, first), (other_name, other) in itertools.combinations(maps.items(), 2):
        for group in (ALL, *present):
            others = [
                emotion for emotion in present if emotion != group and group != ALL and other.members(emotion).any()
            ]
            controls = [_correlation(first.mean(group), other.mean(emotion)) for emotion in others]
            rows.append(
                {
                    "run": name,
                    "other": other_name,
                    "emotion": group,
                    "cc": _correlation(first.mean(group), other.mean(group)),
                    "cc_other_emotions": float(np.mean(controls)) if controls else None,
                }
            )
    return rows


def region_rows(
    maps: Mapping[str, Occlusion], runs: Runs, landmarks: np.ndarray | None, shape: tuple[int, int]
) -> list[dict[str, Any]]:
    """Mean drop of the probability when a square hides each region of the face.

    Args:
        maps: from `maps`.
        runs: the runs to compare.
        landmarks: [n, 68, 2] of their images in pixels, nan where unknown; None: the result is empty.
        shape: (H, W) of the images.

    Returns:
        One row per run, emotion (and all) and region with "mean_probability_drop", over the region's pixels of each
        image and then over the images with landmarks, and "images", their number.
    """
    if landmarks is None:
        return []
    rows, index = [], {name: row for row, name in enumerate(runs.runs[0].predictions["id"])}
    for name, occlusion in maps.items():
        labels = regions.labels(landmarks[[index[image] for image in occlusion.ids]], shape)
        for group in (ALL, *runs.present):
            for number, region in enumerate(regions.REGIONS):
                hidden = (labels == number) & occlusion.members(group)[:, None, None]
                visible = hidden.any(axis=(1, 2))
                row = {"run": name, "emotion": group, "region": region, "images": int(visible.sum())}
                if visible.any():
                    drops = occlusion.probability_drop[visible].mean(axis=(1, 2), where=hidden[visible])
                    row["mean_probability_drop"] = float(drops.mean())
                rows.append(row)
    return rows


def _correlation(first: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two maps; nan where one of them is missing."""
    return agreement.cc(first, other) if np.isfinite([first, other]).all() else np.nan
