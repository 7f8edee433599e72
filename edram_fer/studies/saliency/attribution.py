"""Attribution maps of a run: how much each pixel of an image contributed to the probability of its emotion."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edram_fer import intervals
from edram_fer.attention import attribution
from edram_fer.attention.baselines import other_images
from edram_fer.errors import UserError
from edram_fer.models.gradients import InputGradient, LastMaps
from edram_fer.run import layout
from edram_fer.studies.observer import Observer
from edram_fer.studies.perturbations import grey_level
from edram_fer.studies.resumable import Resumable
from edram_fer.studies.saliency.drawing import draw_attribution
from edram_fer.studies.saliency.results import write_result

CURVES = ("deletion", "insertion")
STEPS = 16  # of these curves
Method = Callable[[int], tuple[np.ndarray, float]]


def compute_attribution_maps(
    observer: Observer,
    *,
    method: str,
    noise: float = 0.15,
    samples: int = 32,
    masks: int = 1000,
    cells: int = 7,
    fill: float | str = "mean",
    tolerance: float = 0,
    restart: bool = False,
) -> dict[str, Any]:
    """Attribution maps of each image (see `attention.attribution`), and how well they order the pixels.

    The run folder receives saliency_METHOD.npz, with "maps" float32 [n, H, W], "deletion" and "insertion" [n, 17],
    "id" [n], "label" int [n] and "emotions" [K]; saliency_METHOD.json; and figures/saliency_METHOD.png.

    Args:
        observer: the model and the images.
        method: of the class's probability, "integrated-gradients", from an image of the grey level `fill`, "smoothgrad"
            or "rise", which needs no gradient, so that it holds for exported models; or of its logit, "grad-cam", with
            the last maps of all glimpses or crops. Gradients pass through the sensor and the choice of windows.
        noise, samples: of SmoothGrad, see `attribution.smooth_gradient`.
        masks, cells: of RISE: the number of masks of an image, and see `attribution.random_masks`.
        fill: grey level 0 to 255 of pixels that are taken away, or "mean", the mean of the images.
        tolerance: tolerance of the pointing game, in pixels.
        restart: start again and replace existing maps.

    Returns:
        The content of saliency_METHOD.json: "method", the settings, "accuracy_original", "curves": for "maps" and
        "shuffled_maps", each map for another image (None if there is none), the mean area under the curves of
        "deletion" and "insertion", with their intervals; for integrated gradients "completeness", the "median" and the
        "largest" error of a map's sum; and what `results.write_result` adds.

    Raises:
        UserError: an option is out of range, the model has no gradient, a prediction is not finite, or the run holds
            maps with other settings.
    """
    if samples < 1 or masks < 2 or not noise > 0:
        raise UserError(
            f"expected samples of at least 1, masks of at least 2 and noise above 0, got {samples}, {masks} and {noise}"
        )
    level, count, shape = grey_level(fill, observer.images), len(observer.images), observer.images.shape[1:3]
    own = {"smoothgrad": {"noise": noise, "samples": samples}, "rise": {"masks": masks, "cells": cells}}
    settings = {"method": method, **observer.settings(), "fill": level, **own.get(method, {})}
    attribute = _METHODS[method](observer, level, own.get(method, {}))
    file, maps_file, _ = layout.attribution_files(method)
    state = Resumable(
        observer.run / maps_file,
        settings,
        lambda: {
            "maps": np.full((count, *shape), np.nan, np.float32),
            "errors": np.zeros(count),
            **{name: np.full((count, STEPS + 1), np.nan, np.float32) for name in (*CURVES, *map(_shuffled, CURVES))},
        },
        restart=restart,
    )
    others = other_images(count, observer.seed) if count > 1 else None
    for step in state.steps(2 * count, method):  # first all maps, then their curves, for which another map is needed
        row = step % count
        if step < count:
            state.arrays["maps"][row], state.arrays["errors"][row] = attribute(row)
            continue
        for name, chosen in [(str, row), *([] if others is None else [(_shuffled, others[row])])]:
            curves = attribution.deletion_insertion(
                lambda images, row=row: observer.answer(images, row),
                observer.images[row],
                state.arrays["maps"][chosen],
                observer.labels[row],
                fill=level,
                steps=STEPS,
            )
            for kind, values in curves.items():
                state.arrays[name(kind)][row] = values
    state.arrays |= {"id": observer.ids, "label": observer.labels, "emotions": np.array(observer.emotions)}
    state.save()
    draw_attribution(observer, state.arrays["maps"], method)
    numbers: dict[str, Any] = {"curves": _areas(state.arrays, observer)}
    if method == "integrated-gradients":
        errors = state.arrays["errors"]
        numbers["completeness"] = {"median": np.median(errors), "largest": errors.max()}
    return write_result(observer, file, settings, numbers, state.arrays["maps"], tolerance)


def _shuffled(name: str) -> str:
    return f"shuffled_{name}"


def _areas(arrays: dict[str, np.ndarray], observer: Observer) -> dict[str, Any]:
    """{"maps", "shuffled_maps": {"deletion", "insertion": {"value", "interval"}}}."""
    result: dict[str, Any] = {}
    for name, key in (("maps", str), ("shuffled_maps", _shuffled)):
        areas = np.array([[attribution.area(curve) for curve in arrays[key(kind)]] for kind in CURVES])
        ends = intervals.bootstrap(
            lambda rows, areas=areas: {"": areas[:, rows].mean(axis=1)},
            areas.shape[1],
            subjects=observer.subjects,
            seed=observer.seed,
        )
        pairs = zip(CURVES, areas.mean(axis=1), ends[""], strict=True)
        result[name] = {kind: {"value": value, "interval": interval.tolist()} for kind, value, interval in pairs}
    return result


def _inputs(observer: Observer, row: int, images: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs of the model for images [m, H, W, C] in [0, 1] made from one image, and their labels."""
    inputs = {"image": images}
    if observer.landmarks is not None:
        inputs["landmarks"] = np.repeat(observer.landmarks[row : row + 1], len(images), axis=0)
    return inputs, np.full(len(images), observer.labels[row])


def _gradient(observer: Observer) -> Callable[[int], attribution.Gradient]:
    gradient = InputGradient(observer.model)
    return lambda row: lambda images: gradient(*_inputs(observer, row, images))


def _integrated(observer: Observer, level: float, options: dict[str, Any]) -> Method:
    gradient = _gradient(observer)
    return lambda row: attribution.integrated_gradients(gradient(row), observer.images[row] / 255, level / 255)[:2]


def _smooth(observer: Observer, level: float, options: dict[str, Any]) -> Method:
    gradient = _gradient(observer)

    def attribute(row: int) -> tuple[np.ndarray, float]:
        seed = [observer.seed, row]
        return attribution.smooth_gradient(gradient(row), observer.images[row] / 255, seed, **options), 0.0

    return attribute


def _grad_cam(observer: Observer, level: float, options: dict[str, Any]) -> Method:
    last_maps = LastMaps(observer.model)

    def attribute(row: int) -> tuple[np.ndarray, float]:
        maps, gradients, windows = last_maps(*_inputs(observer, row, observer.images[row : row + 1] / 255))
        return attribution.grad_cam(maps[0], gradients[0], windows[0], observer.images.shape[1:3]), 0.0

    return attribute


def _rise(observer: Observer, level: float, options: dict[str, Any]) -> Method:
    def attribute(row: int) -> tuple[np.ndarray, float]:
        shape = observer.images.shape[1:3]
        masks = attribution.random_masks([observer.seed, row], options["masks"], shape, cells=options["cells"])
        label = observer.labels[row]
        return attribution.rise(
            lambda images: observer.answer(images, row), observer.images[row], label, masks, fill=level
        ), 0.0

    return attribute


_METHODS = {"integrated-gradients": _integrated, "smoothgrad": _smooth, "grad-cam": _grad_cam, "rise": _rise}
