"""The figures of a run's information maps, from their arrays and the images."""

import numpy as np

from edram_fer.attention.maps import mean_face
from edram_fer.figures.saliency import mean_maps, sample_maps, z_maps
from edram_fer.figures.style import save
from edram_fer.run import layout

SAMPLES = 3  # of each emotion


def draw_occlusion(observer, arrays):
    """Samples of each emotion, first those classified correctly, as saliency_samples.png; means as saliency_occlusion.png."""
    members = _members(observer)
    wrong_last = np.argsort(~observer.original_correct(), kind="stable")
    chosen = [wrong_last[np.isin(wrong_last, rows)][:SAMPLES] for rows in members.values()]
    samples = [(observer.images[rows], arrays["drop"][rows], arrays["error_rate"][rows]) for rows in chosen]
    figure = sample_maps(samples, [observer.emotions[k] for k in members])
    save(figure, observer.run / layout.FIGURES / layout.OCCLUSION_SAMPLES)
    rows = list(members)
    labels = [(observer.emotions[k], len(members[k])) for k in members]
    figure = mean_maps(_faces(observer, members), arrays["mean_drop"][rows], arrays["mean_error_rate"][rows], labels)
    save(figure, observer.run / layout.FIGURES / layout.OCCLUSION_FIGURE)


def draw_bubbles(observer, arrays):
    """The z map of all trials and of each emotion: saliency_bubbles.png."""
    members = _members(observer)
    faces = [mean_face(observer.images), *_faces(observer, members)]
    maps = np.stack([arrays["z_all"], *(arrays["z"][k] for k in members)])
    labels = [("all", int(arrays["trials"].sum()))]
    labels += [(observer.emotions[k], int(arrays["trials"][k])) for k in members]
    save(z_maps(faces, maps, labels), observer.run / layout.FIGURES / layout.BUBBLES_FIGURE)


def _members(observer):
    """{class: its rows}, of the classes that have images."""
    return {int(k): np.flatnonzero(observer.labels == k) for k in np.unique(observer.labels)}


def _faces(observer, members):
    return [mean_face(observer.images[rows]) for rows in members.values()]
