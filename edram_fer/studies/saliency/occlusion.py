"""Occlusion maps of a run: how much each part of an image matters to the model."""

import warnings
from typing import Any

import numpy as np

from edram_fer.attention.occlusion import corners, occlusion_maps
from edram_fer.run import layout
from edram_fer.studies.observer import Observer
from edram_fer.studies.perturbations import grey_level
from edram_fer.studies.resumable import Resumable
from edram_fer.studies.saliency.drawing import draw_occlusion
from edram_fer.studies.saliency.results import write_result

MAPS = ("probability_drop", "error_rate")


def compute_occlusion_maps(
    observer: Observer,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill: float | str = 0,
    tolerance: float = 0,
    restart: bool = False,
) -> dict[str, Any]:
    """Occlusion maps of each image (see `attention.occlusion`).

    The run folder receives saliency_occlusion.npz, with "probability_drop" and "error_rate" float32 [n, H, W],
    "mean_probability_drop" and "mean_error_rate" [K, H, W] (nan for a class without images), "id" [n], "label" int [n]
    and "emotions" [K]; saliency_occlusion.json; and figures/saliency_samples.png and figures/saliency_occlusion.png.

    Args:
        observer: the model and the images.
        window: side of the square in pixels; None: a sixth of the shorter side of the image.
        stride: distance from one square to the next in pixels; None: a quarter of the window.
        fill: grey level 0 to 255 of the square, or "mean", the mean of the images.
        tolerance: tolerance of the pointing game, in pixels.
        restart: start again and replace existing maps.

    Returns:
        The content of saliency_occlusion.json: "method", the settings, "accuracy_original", "squares_per_image",
        "emotions" with the numbers of "images" and of "correct" predictions and the means of both maps, and
        "mask_scores", see `results.write_result`.

    Raises:
        UserError: the window, stride, fill or tolerance is out of range, a prediction is not finite, or the run holds
            maps with other settings.
    """
    shape, count = observer.images.shape[1:3], len(observer.images)
    window = max(1, round(min(shape) / 6)) if window is None else window
    stride = max(1, window // 4) if stride is None else stride
    squares, level = len(corners(shape, window, stride)), grey_level(fill, observer.images)
    settings = {"method": "occlusion", **observer.settings(), "window": window, "stride": stride, "fill": level}
    state = Resumable(
        observer.run / layout.OCCLUSION_MAPS,
        settings,
        lambda: {name: np.full((count, *shape), np.nan, np.float32) for name in MAPS},
        restart=restart,
    )
    for row in state.steps(count, f"occlusion, {squares} squares per image"):
        maps = occlusion_maps(
            lambda images, row=row: observer.answer(images, row),
            observer.images[row],
            observer.labels[row],
            window=window,
            stride=stride,
            fill=level,
        )
        for name, values in maps.items():
            state.arrays[name][row] = values
    means = {name: _class_means(state.arrays[name], observer) for name in MAPS}
    state.arrays |= {"id": observer.ids, "label": observer.labels, "emotions": np.array(observer.emotions)}
    state.arrays |= {f"mean_{name}": values for name, values in means.items()}
    state.save()
    draw_occlusion(observer, state.arrays)
    numbers = {"squares_per_image": squares, "emotions": _emotions(observer, means)}
    return write_result(observer, layout.OCCLUSION, settings, numbers, state.arrays["probability_drop"], tolerance)


def _emotions(observer, means):
    """{emotion: numbers of images and of correct predictions, and the mean of each kind of map}."""
    result = {}
    for k, name in enumerate(observer.emotions):
        correct = observer.original_correct()[observer.labels == k]
        map_means = {key: values[k].mean() for key, values in means.items()}
        result[name] = {"images": len(correct), "correct": correct.sum(), **map_means}
    return result


def _class_means(maps, observer):
    """Mean [K, H, W] of maps [n, H, W] over the images of each class, ignoring nan; nan without images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a class without images: its mean is nan
        return np.stack([np.nanmean(maps[observer.labels == k], axis=0) for k in range(len(observer.emotions))])
