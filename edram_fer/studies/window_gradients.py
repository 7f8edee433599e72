"""Window gradients: how the answer would change if the model looked a little elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edram_fer import attention, files, intervals
from edram_fer.attention.alternatives import mean_window
from edram_fer.attention.windows import SLOPES, is_recurrent, slopes
from edram_fer.errors import UserError
from edram_fer.models.gradients import InputGradient
from edram_fer.run import layout
from edram_fer.studies.observer import Observer
from edram_fer.studies.resumable import Resumable


def window_gradients(
    observer: Observer, *, noise: float = 1.0, samples: int = 32, restart: bool = False
) -> dict[str, Any]:
    """The gradient of the probability of each image's class with respect to every entry of the model's own windows.

    The answer wavers with every fraction of a pixel by which a window moves, so the gradient at one place does not tell
    what a move of a pixel does. As SmoothGrad does for images (`attention.attribution.smooth_gradient`), it is averaged
    over windows with added noise. While a window moves, the others do not follow, except that the where-path of an
    EDRAM is told of the move.

    The run folder receives window_gradients.npz, with "windows" and "gradients" float32 [n, N, 2, 3], "id" [n], "label"
    int [n] and "emotions" [K]; window_gradients.json; and figures/window_gradients.png.

    Args:
        observer: the model and the images.
        noise: standard deviation of the windows' places in pixels, independently in x and y; 0: no noise.
        samples: number of noisy sets of windows of each image; without noise one is enough.
        restart: start again and replace existing gradients.

    Returns:
        The content of window_gradients.json: the settings; "windows", their N names; "groups", as returned by
        `summarise`; and "intervals_note", what the number of subjects means for the intervals.

    Raises:
        UserError: an option is out of range, the model has no windows of its own or no gradient, or the run holds
            gradients with other settings.
    """
    if samples < 1 or not noise >= 0:
        raise UserError(f"expected samples of at least 1 and noise of at least 0, got {samples} and {noise}")
    windows = observer.original["windows"]
    if not attention.has_windows(windows):
        raise UserError(f"{observer.run}: the model sees the whole of every image: it has no windows to move")
    settings = {**observer.settings(), "noise": noise, "samples": samples, "batch_size": observer.batch_size}
    state = Resumable(
        observer.run / layout.WINDOW_GRADIENTS_ARRAYS,
        settings,
        lambda: {"windows": windows, "gradients": np.zeros_like(windows)},
        restart=restart,
    )
    height, width = observer.images.shape[1:3]
    gradient, size = _gradient(observer), observer.batch_size
    for step in state.steps(-(-len(windows) // size), "window gradients"):
        rows, rng = slice(step * size, (step + 1) * size), np.random.default_rng([observer.seed, step])
        for _ in range(samples if noise else 1):
            shift = np.zeros_like(windows[rows])
            shift[..., 2] = noise * 2 / np.array([width - 1, height - 1]) * rng.standard_normal(shift.shape[:3])
            state.arrays["gradients"][rows] += gradient(rows, shift) / (samples if noise else 1)
    state.arrays |= {"id": observer.ids, "label": observer.labels, "emotions": np.array(observer.emotions)}
    state.save()
    changes = slopes(windows, state.arrays["gradients"], (height, width))
    members = [np.flatnonzero(observer.labels == index) for index in range(len(observer.emotions))]
    groups = [("all", np.arange(len(changes))), *zip(observer.emotions, members, strict=True)]
    groups = [(name, rows) for name, rows in groups if len(rows)]
    numbers = summarise(changes, groups, subjects=observer.subjects, seed=observer.seed)
    names = [f"glimpse {step + 1}" for step in range(windows.shape[1])]
    if not is_recurrent(observer.original):
        names = attention.names(windows.mean(axis=0))
    note = intervals.note(observer.subjects)
    result = {**settings, "windows": names, "groups": numbers, "intervals_note": note}
    files.write_json(observer.run / layout.WINDOW_GRADIENTS, files.plain(result))
    _draw(observer, groups, names, numbers)
    return result


def _gradient(observer: Observer) -> Callable[[slice, np.ndarray], np.ndarray]:
    """Function from rows of the observer's images and shifts of their windows, [m, N, 2, 3], to gradients [m, N, 2, 3].

    Under a zoom limit the where-path of an EDRAM reads another matrix than the sensor; then both are moved.
    """
    original = observer.original
    given = {"windows": original["windows"]}
    if "emitted" in original and not np.array_equal(emitted := original["emitted"][:, :-1], given["windows"]):
        given["emitted"] = emitted
    gradients = [InputGradient(observer.model, of=name) for name in given]

    def gradient(rows: slice, shift: np.ndarray) -> np.ndarray:
        inputs = {"image": observer.images[rows] / np.float32(255)}
        inputs |= {name: values[rows] + shift for name, values in given.items()}
        if observer.landmarks is not None:
            inputs["landmarks"] = observer.landmarks[rows]
        return np.sum([one(inputs, observer.labels[rows])[1] for one in gradients], axis=0)

    return gradient


def summarise(
    changes: np.ndarray,
    groups: Sequence[tuple[str, np.ndarray]],
    *,
    subjects: Sequence[str] | np.ndarray | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Means over the images of each group.

    Args:
        changes: [n, N, 4], see `attention.windows.slopes`.
        groups: pairs of a name and rows, at least one.
        subjects: [n] names, resampled together; None: the images are resampled.
        seed: seed of the intervals.

    Returns:
        For each group {"name", "images", and for each of `attention.windows.SLOPES` {"mean" [N], "interval" [N, 2],
        "size" [N]}}: the mean change; its 95 % interval; and the mean absolute change, which tells how much the window
        matters. If the mean is small beside the size, what one image gains by the move, another loses.
    """
    result: list[dict[str, Any]] = []
    for name, rows in groups:
        values = changes[rows]
        ends = intervals.bootstrap(
            lambda drawn, values=values: {"mean": values[drawn].mean(axis=0)},
            len(values),
            subjects=None if subjects is None else np.asarray(subjects)[rows],
            seed=seed,
        )["mean"]
        mean, size = values.mean(axis=0), np.abs(values).mean(axis=0)
        slopes_of_moves = {
            move: {"mean": mean[:, index], "interval": ends[:, index], "size": size[:, index]}
            for index, move in enumerate(SLOPES)
        }
        result.append({"name": name, "images": len(rows), **slopes_of_moves})
    return result


def _draw(
    observer: Observer,
    groups: Sequence[tuple[str, np.ndarray]],
    names: Sequence[str],
    numbers: Sequence[Mapping[str, Any]],
) -> None:
    """Write figures/window_gradients.png."""
    from edram_fer.attention.maps import mean_face
    from edram_fer.figures.style import save
    from edram_fer.figures.window_gradients import window_gradients as figure  # imports Matplotlib

    faces = [mean_face(observer.images[rows]) for _, rows in groups]
    windows = [mean_window(observer.original["windows"][rows]) for _, rows in groups]
    save(figure(faces, windows, names, numbers), observer.run / layout.FIGURES / layout.WINDOW_GRADIENTS_FIGURE)
