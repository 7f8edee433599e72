"""Windows that replace a model's own windows, to test whether it matters where the model looks.

The accuracies with each kind of windows answer this: the model's windows minus the mean windows is the gain from
adapting to the image; mean minus random is the gain from the learned mean position.
"""

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.attention.baselines import other_images
from edram_fer.attention.windows import extents
from edram_fer.errors import UserError

KINDS = ("mean", "shuffled", "random", "whole")


def alternative(kind: str, windows: ArrayLike, seed: int = 0) -> np.ndarray:
    """Windows that replace a model's own windows.

    Args:
        kind: "mean": the mean window over all images, at each step; "shuffled": the windows of another image, with all
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
    windows = np.asarray(windows, float)
    if kind == "mean":
        return np.broadcast_to(windows.mean(axis=0), windows.shape).copy()
    if kind == "shuffled":
        return windows[other_images(len(windows), seed)]
    if kind == "random":
        room = np.maximum(1 - extents(windows), 0)
        centres = np.random.default_rng(seed).uniform(-1, 1, room.shape) * room
        return np.concatenate([windows[..., :2], centres[..., None]], axis=-1)
    if kind == "whole":
        return np.broadcast_to(np.eye(2, 3), windows.shape).copy()
    raise UserError(f"windows: expected one of {', '.join(KINDS)}, got {kind!r}")
