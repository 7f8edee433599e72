"""Windows to look at in place of a model's own: does it matter where it looks?

The question is answered by the accuracy with each: own minus mean is what adapting to the picture brings, mean minus
random what the learned habit brings.
"""

import numpy as np

from edram_fer.attention.baselines import other_pictures
from edram_fer.attention.windows import extents
from edram_fer.errors import UserError

KINDS = ("mean", "shuffled", "random", "whole")


def alternative(kind, windows, seed=0):
    """Windows [B, N, 2, 3] in place of a model's own `windows` [B, N, 2, 3].

    Args:
        kind: "mean": of each step, over all pictures; "shuffled": those of another picture, all steps of it together;
            "random": of the own size and turn, at a place drawn evenly from those where the window lies inside the
            picture (a larger one is in the middle); "whole": the whole picture at every step.
        seed: of "shuffled" and "random".

    Raises ValueError for another kind, and where one picture cannot be given the windows of another.
    """
    windows = np.asarray(windows, float)
    if kind == "mean":
        return np.broadcast_to(windows.mean(axis=0), windows.shape).copy()
    if kind == "shuffled":
        return windows[other_pictures(len(windows), seed)]
    if kind == "random":
        room = np.maximum(1 - extents(windows), 0)
        centres = np.random.default_rng(seed).uniform(-1, 1, room.shape) * room
        return np.concatenate([windows[..., :2], centres[..., None]], axis=-1)
    if kind == "whole":
        return np.broadcast_to(np.eye(2, 3), windows.shape).copy()
    raise UserError(f"windows: expected one of {', '.join(KINDS)}, got {kind!r}")
