"""Which information the runs use: mean occlusion maps of the emotions, how alike they are, and the regions of the face.

What `edram_fer.studies.saliency.occlusion` keeps of a run is read back here.
"""

import dataclasses
import itertools
import json

import numpy as np

from edram_fer.attention import agreement, regions
from edram_fer.comparison.attention_tables import ALL
from edram_fer.errors import UserError
from edram_fer.run import layout
from edram_fer.studies import resumable


@dataclasses.dataclass(frozen=True)
class Occlusion:
    """Occlusion maps of a run: what the probability of the true emotion falls by when a square hides a pixel.

    Attributes:
        settings: of the study, "images", "seed", "window", "stride" and "fill" among them.
        drop: [n, H, W] of each image; ids: [n]; truth: names [n].
    """

    settings: dict
    drop: np.ndarray
    ids: np.ndarray
    truth: np.ndarray

    def members(self, group):
        """Which images are of an emotion, or of "all", bool [n]."""
        return np.full(len(self.truth), True) if group == ALL else self.truth == group

    def mean(self, group):
        """The mean map of an emotion, or of "all" images, [H, W]; nan without an image."""
        own = self.drop[self.members(group)]
        return own.mean(axis=0) if len(own) else np.full(self.drop.shape[1:], np.nan)


def maps(runs, shape):
    """{run: Occlusion} of the runs that have finished maps of images of this split.

    Args:
        runs: Runs; shape: (H, W) of the images.

    Raises ValueError, naming the file, where it is damaged or its maps are of another shape or of other images.
    """
    found, known = {}, set(runs.runs[0].predictions["id"])
    for run in runs.runs:
        path = run.evaluated.folder / layout.OCCLUSION_MAPS
        arrays = resumable.read(path) if path.exists() else {}
        if "mean_drop" not in arrays:  # not begun, or not finished
            continue
        settings = json.loads(str(arrays[resumable.SETTINGS]))
        if settings["split"] != runs.split:
            continue
        drop = arrays["drop"].astype(float)
        if drop.shape[1:] != tuple(shape):
            raise UserError(f"{path}: maps of {list(drop.shape[1:])} pixels, the images have {list(shape)}")
        if strange := [name for name in arrays["id"] if name not in known]:
            raise UserError(f"{path}: image {str(strange[0])!r} is not among the {len(known)} of split {runs.split}")
        truth = arrays["emotions"][arrays["label"]]
        found[run.name] = Occlusion(settings, drop, arrays["id"], truth)
    return found


def map_rows(found, present):
    """A row for each run and emotion (and all): the mean map's mean and its largest value with its place.

    Args:
        found: of `maps`; present: names of the emotions.

    Returns: rows with images, drop, largest, and x, y of that pixel in [-1, 1], y downwards.
    """
    told = []
    for name, own in found.items():
        for group in (ALL, *present):
            row = {"run": name, "emotion": group, "images": int(own.members(group).sum())}
            if row["images"]:
                mean = own.mean(group)
                place = np.unravel_index(mean.argmax(), mean.shape)
                y, x = 2 * np.array(place) / np.maximum(np.array(mean.shape) - 1, 1) - 1
                row |= {"drop": mean.mean(), "largest": mean.max(), "x": x, "y": y}
            told.append(row)
    return told


def agreement_rows(found, present):
    """A row for each pair of runs and emotion (and all): how alike the mean maps are.

    Returns: rows with cc, Pearson's correlation over the pixels, and cc_other_emotions, the mean correlation with the
    other run's maps of the other emotions: what is above it is about this emotion. nan where a map is constant or there
    is none, None of all images.
    """
    told = []
    for (name, own), (name_of_other, other) in itertools.combinations(found.items(), 2):
        for group in (ALL, *present):
            row = {"run": name, "other": name_of_other, "emotion": group, "cc": _cc(own.mean(group), other.mean(group))}
            others = [each for each in present if each != group and group != ALL and other.members(each).any()]
            others = [_cc(own.mean(group), other.mean(each)) for each in others]
            told.append({**row, "cc_other_emotions": float(np.mean(others)) if others else None})
    return told


def region_rows(found, runs, points, shape):
    """A row for each run, emotion (and all) and region of the face: the mean fall where the square hides it.

    Args:
        found: of `maps`; runs: Runs; points: landmarks [n, 68, 2] of their images in pixels, nan where unknown, or
            None: then there is nothing to tell; shape: (H, W).

    Returns: rows with drop, the mean over the region's pixels of each image and then over the images that have
    landmarks, and images, their number.
    """
    told, place = [], {name: row for row, name in enumerate(runs.runs[0].predictions["id"])}
    for name, own in found.items() if points is not None else ():
        labels = regions.labels(points[[place[each] for each in own.ids]], shape)
        for group in (ALL, *runs.present):
            for number, region in enumerate(regions.REGIONS):
                hidden = (labels == number) & own.members(group)[:, None, None]
                some = hidden.any(axis=(1, 2))
                row = {"run": name, "emotion": group, "region": region, "images": int(some.sum())}
                if some.any():
                    row["drop"] = float(np.mean(own.drop[some].mean(axis=(1, 2), where=hidden[some])))
                told.append(row)
    return told


def _cc(one, other):
    """Correlation of two maps; nan where there is none of one of them."""
    return agreement.cc(one, other) if np.isfinite([one, other]).all() else np.nan
