"""Occlusion maps of a run: what each part of an image is worth to its model."""

import warnings

import numpy as np

from edram_fer.attention.occlusion import corners, occlusion_maps
from edram_fer.run import layout
from edram_fer.studies.resumable import Resumable
from edram_fer.studies.saliency.drawing import draw_occlusion
from edram_fer.studies.saliency.outcome import finish, grey_level


def occlusion(observer, *, window=None, stride=None, fill=0, tolerance=0, restart=False):
    """Occlusion maps of each image (see `attention.occlusion`).

    Args:
        observer: `edram_fer.studies.observer.Observer`.
        window, stride: in pixels; None: a sixth of the shorter side, and a quarter of that.
        fill: grey level 0 to 255 of the square, or "mean", that of the images.
        tolerance: of the pointing game, in pixels.
        restart: begin again in place of what was begun with other settings.

    Writes, into the run folder, saliency_occlusion.npz with "drop" and "error_rate" float32 [n, H, W], "mean_drop" and
    "mean_error_rate" [K, H, W] (nan where there are none), "id" [n], "label" int [n], "emotions" [K];
    saliency_occlusion.json; and figures/saliency_samples.png and saliency_occlusion.png.

    Returns: the content of the JSON file.

    Raises ValueError for a window, stride, fill or tolerance out of range, for an answer that is not finite, and where
    maps with other settings lie in the run.
    """
    shape, count = observer.images.shape[1:3], len(observer.images)
    window = max(1, round(min(shape) / 6)) if window is None else window
    stride = max(1, window // 4) if stride is None else stride
    squares, level = len(corners(shape, window, stride)), grey_level(fill, observer.images)
    settings = {"method": "occlusion", **observer.settings(), "window": window, "stride": stride, "fill": level}
    state = Resumable(
        observer.run / layout.OCCLUSION_MAPS,
        settings,
        lambda: {name: np.full((count, *shape), np.nan, np.float32) for name in ("drop", "error_rate")},
        restart=restart,
    )
    for row in state.steps(count, f"occlusion, {squares} squares an image"):
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
    means = {name: _class_means(state.arrays[name], observer) for name in ("drop", "error_rate")}
    state.arrays |= {"id": observer.ids, "label": observer.labels, "emotions": np.array(observer.emotions)}
    state.arrays |= {f"mean_{name}": values for name, values in means.items()}
    state.save()
    draw_occlusion(observer, state.arrays)
    found = {"squares_per_image": squares, "emotions": _of_emotions(observer, means)}
    return finish(observer, settings, found, state.arrays["drop"], tolerance, layout.OCCLUSION)


def _of_emotions(observer, means):
    """{emotion: its images, how many are classified correctly whole, the mean of each kind of map}."""
    found = {}
    for k, name in enumerate(observer.emotions):
        right = observer.original_correct()[observer.labels == k]
        amounts = {key: values[k].mean() for key, values in means.items()}
        found[name] = {"images": len(right), "correct": right.sum(), **amounts}
    return found


def _class_means(maps, observer):
    """Mean of maps [n, H, W] over the images of each class where they are defined: [K, H, W], else nan."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a class without an image, which is nan
        return np.stack([np.nanmean(maps[observer.labels == k], axis=0) for k in range(len(observer.emotions))])
