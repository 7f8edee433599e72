"""The figures of a run's saliency maps."""

from collections.abc import Mapping

import numpy as np

from edram_fer.attention.maps import mean_face
from edram_fer.figures.saliency import attribution_maps, mean_maps, sample_maps, z_maps
from edram_fer.figures.style import save
from edram_fer.run import layout
from edram_fer.studies.observer import Observer

SAMPLES = 3  # images of each emotion


def draw_occlusion(observer: Observer, arrays: Mapping[str, np.ndarray]) -> None:
    """Draw saliency_samples.png, sample maps, and saliency_occlusion.png, the mean maps.

    The samples of each emotion are its first images, correctly classified images before misclassified ones.

    Args:
        observer: the observer with the images of the maps.
        arrays: as written by `occlusion.compute_occlusion_maps`.
    """
    members = _members(observer)
    correct_first = np.argsort(~observer.original_correct(), kind="stable")
    chosen = [correct_first[np.isin(correct_first, rows)][:SAMPLES] for rows in members.values()]
    samples = [(observer.images[rows], arrays["probability_drop"][rows], arrays["error_rate"][rows]) for rows in chosen]
    figure = sample_maps(samples, [observer.emotions[k] for k in members])
    save(figure, observer.run / layout.FIGURES / layout.OCCLUSION_SAMPLES)
    classes = list(members)
    labels = [(observer.emotions[k], len(rows)) for k, rows in members.items()]
    drops, error_rates = (list(arrays[f"mean_{name}"][classes]) for name in ("probability_drop", "error_rate"))
    figure = mean_maps(_mean_faces(observer, members), drops, error_rates, labels)
    save(figure, observer.run / layout.FIGURES / layout.OCCLUSION_FIGURE)


def draw_bubbles(observer: Observer, arrays: Mapping[str, np.ndarray]) -> None:
    """Draw saliency_bubbles.png: the z map of all trials and of each emotion.

    Args:
        observer: the observer with the images of the maps.
        arrays: as written by `bubbles.compute_bubbles_maps`.
    """
    members = _members(observer)
    faces = [mean_face(observer.images), *_mean_faces(observer, members)]
    maps = [arrays["z_all"], *(arrays["z"][k] for k in members)]
    labels = [("all", int(arrays["trials"].sum()))]
    labels += [(observer.emotions[k], int(arrays["trials"][k])) for k in members]
    save(z_maps(faces, maps, labels), observer.run / layout.FIGURES / layout.BUBBLES_FIGURE)


def draw_attribution(observer: Observer, maps: np.ndarray, method: str) -> None:
    """Draw saliency_METHOD.png: sample maps of each emotion, as `draw_occlusion` chooses them, and the mean map.

    Args:
        observer: the observer with the images of the maps.
        maps: [n, H, W].
        method: one of `layout.ATTRIBUTIONS`.
    """
    rows = []
    for k, members in _members(observer).items():
        chosen = sorted(members, key=lambda row: not observer.original_correct()[row])[:SAMPLES]
        rows.append((f"{observer.emotions[k]} ({len(members):,})", observer.images[chosen], maps[chosen], members))
    figure = attribution_maps(
        [
            (name, images, values, mean_face(observer.images[m]), maps[m].mean(axis=0))
            for name, images, values, m in rows
        ]
    )
    save(figure, observer.run / layout.FIGURES / layout.attribution_files(method)[2])


def _members(observer):
    """{class: indices of its images} for the classes that have images."""
    return {int(k): np.flatnonzero(observer.labels == k) for k in np.unique(observer.labels)}


def _mean_faces(observer, members):
    return [mean_face(observer.images[rows]) for rows in members.values()]
