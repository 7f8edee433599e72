"""Windows to look at in place of a model's own: does it matter where it looks?

The question is answered by the accuracy with each: own minus mean is what adapting to the image brings, mean minus
random what the learned habit brings.
"""

import numpy as np

from edram_fer.attention.baselines import other_images
from edram_fer.attention.windows import extents
from edram_fer.errors import UserError

KINDS = ("mean", "shuffled", "random", "whole")


def alternative(kind, windows, seed=0):
    """Windows [B, N, 2, 3] in place of a model's own `windows` [B, N, 2, 3].

    Args:
        kind: "mean": of each step, over all images; "shuffled": those of another image, all steps of it together;
            "random": of the own size and turn, at a place drawn evenly from those where the window lies inside the
            image (a larger one is in the middle); "whole": the whole image at every step.
        seed: of "shuffled" and "random".

    Raises ValueError for another kind, and where one image cannot be given the windows of another.
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
