"""Windows that replace a model's own windows, to test whether it matters where the model looks.

The accuracies with each kind of windows answer this: the model's windows minus the mean windows is the gain from
adapting to the image, in place and in size; mean minus random is the gain from the learned mean position.
"""

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.attention.baselines import other_images
from edram_fer.attention.windows import checked, extents
from edram_fer.errors import UserError

KINDS = ("mean", "place", "size", "shuffled", "random", "whole")


def alternative(kind: str, windows: ArrayLike, seed: int = 0) -> np.ndarray:
    """Windows that replace a model's own windows.

    Args:
        kind: "mean": the mean window over all images, at each step (`mean_window`); "place": the model's centres with
            the size and rotation of the mean window; "size": the model's sizes and rotations at the mean centre;
            "shuffled": the windows of another image, with all
            its steps; "random": windows of the same size and rotation, at a position drawn uniformly such that the
            window lies inside the image (a window larger than the image stays in the middle); "whole": the whole image
            at every step.
        windows: the model's windows, [B, N, 2, 3].
        seed: seed for "shuffled" and "random".

    Returns:
        [B, N, 2, 3].

    Raises:
        UserError: `kind` is none of these, or there is a single image and "shuffled" needs another.

    >>> alternative("whole", [[[[0.5, 0, 0.2], [0, 0.5, 0]]]]).tolist()
    [[[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]]
    """
    windows = checked(windows)
    if kind in ("mean", "place", "size"):
        result = np.broadcast_to(mean_window(windows), windows.shape).copy()
        if kind == "place":
            result[..., 2] = windows[..., 2]
        elif kind == "size":
            result[..., :2] = windows[..., :2]
        return result
    if kind == "shuffled":
        return windows[other_images(len(windows), seed)]
    if kind == "random":
        room = np.maximum(1 - extents(windows), 0)
        centres = np.random.default_rng(seed).uniform(-1, 1, room.shape) * room
        return np.concatenate([windows[..., :2], centres[..., None]], axis=-1)
    if kind == "whole":
        return np.broadcast_to(np.eye(2, 3), windows.shape).copy()
    raise UserError(f"windows: expected one of {', '.join(KINDS)}, got {kind!r}")


def mean_window(windows: ArrayLike) -> np.ndarray:
    """The mean of windows over the first axis: of centre, width, height, shear and angle, each on its own.

    The mean of the matrices would be smaller than any of them if they are turned: windows of zoom 0.30 with angles of
    a standard deviation of 45 degrees have a mean matrix of zoom 0.22.

    Args:
        windows: [B, ..., 2, 3].

    Returns:
        [..., 2, 3]. A matrix is a rotation times [[width, shear], [0, height]], the height negative for a mirrored
        window; the angles are averaged on the circle.

    >>> quarter_turns = [[[0.3, 0, 0], [0, 0.3, 0]], [[0, -0.3, 0], [0.3, 0, 0]]]
    >>> mean_window(quarter_turns).round(3).tolist()
    [[0.212, -0.212, 0.0], [0.212, 0.212, 0.0]]
    """
    windows = checked(windows)
    first, second = windows[..., 0], windows[..., 1]
    angle = np.arctan2(first[..., 1], first[..., 0])
    x_axis = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    y_axis = np.stack([-x_axis[..., 1], x_axis[..., 0]], axis=-1)
    width, shear, height = (
        (column * axis).sum(axis=-1).mean(axis=0)
        for column, axis in ((first, x_axis), (second, x_axis), (second, y_axis))
    )
    angle = np.angle(np.exp(1j * angle).mean(axis=0))
    cos, sin = np.cos(angle), np.sin(angle)
    first, second = [cos * width, sin * width], [cos * shear - sin * height, sin * shear + cos * height]
    centre = windows[..., 2].mean(axis=0)
    return np.stack([np.stack(first, axis=-1), np.stack(second, axis=-1), centre], axis=-1)
