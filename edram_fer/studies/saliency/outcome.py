"""What both kinds of information maps end in: scores against the masks, and a JSON file."""

import numpy as np

from edram_fer import files
from edram_fer.attention.pointing import pointing
from edram_fer.errors import UserError


def grey_level(fill, images):
    """Grey level 0 to 255 of a covered pixel: `fill`, or "mean", the mean of `images` over all channels.

    Raises ValueError for anything else.
    """
    if fill == "mean":
        return round(float(np.mean(images)), 2)
    try:
        level = float(fill)
    except ValueError:
        level = np.nan
    if not 0 <= level <= 255:
        raise UserError(f"fill: expected a grey level from 0 to 255 or mean, got {fill!r}")
    return level


def finish(observer, settings, found, maps, tolerance, file):
    """Score the maps, [n, H, W] of the observer's images, and write the JSON file of the method, `file`, into the run folder.

    Returns: its content: the `settings`, the accuracy on the original images, what was `found`, and "mask_scores", see
    `attention.pointing`, with the density of the model's own windows as "windows" where it has them; None where the
    data set has no masks.
    """
    whole = observer.original_correct().mean()
    result = {**settings, "accuracy_original": whole, **found, "mask_scores": _mask_scores(observer, maps, tolerance)}
    result = files.plain(result)
    files.write_json(observer.run / file, result)
    return result


def _mask_scores(observer, maps, tolerance):
    if observer.masks is None:
        return None
    windows = observer.window_density()
    candidates = {"maps": maps} if windows is None else {"maps": maps, "windows": windows}
    return pointing(candidates, observer.masks, tolerance=tolerance, seed=observer.seed)
