"""Bubbles: which parts of a face, shown alone, let a model answer right.

Source: Gosselin and Schyns 2001 (doi 10.1016/S0042-6989(01)00097-9). In each trial an image is seen through Gaussian
apertures at random places; where an open pixel goes with a right answer, it carries information. The map is the
correlation of the two over the trials, as a z score.
"""

import numpy as np

from edram_fer.errors import UserError

SUMS = ("trials", "correct", "mask", "mask_squared", "mask_correct")


def apertures(centres, shape, sigma):
    """Masks float64 [T, H, W] in [0, 1] of T trials, 1 where the image is open.

    Each is the sum of its Gaussians, 1 at their centres, cut off at 1.

    Args:
        centres: [T, B, 2] as (x, y) in pixels, pixel centres at whole numbers, infinite where there is none.
        shape: (H, W).
        sigma: standard deviation in pixels.

    Raises ValueError for a sigma that is not positive.
    """
    if not sigma > 0:
        raise UserError(f"sigma: expected a positive number of pixels, got {sigma}")
    across, down = (
        np.exp(-((np.arange(side) - np.asarray(centres)[..., axis, None]) ** 2) / (2 * sigma**2))
        for axis, side in enumerate(shape[::-1])
    )
    return np.minimum(down.swapaxes(1, 2) @ across, 1)


def scatter(trials, bubbles, shape, seed):
    """Centres [trials, B, 2] of apertures as (x, y) in pixels, drawn evenly from the image's area.

    The number of a trial's apertures is drawn, too, from Poisson's distribution with mean `bubbles`; what it has fewer
    than B are at infinity. With the same number in all trials, as in the paper, an aperture here would be one less
    elsewhere, and what is good for nothing would correlate with wrong answers.
    """
    random = np.random.default_rng(seed)
    counts = random.poisson(bubbles, trials)
    centres = random.uniform(-0.5, np.array(shape[::-1]) - 0.5, (trials, counts.max(initial=0), 2))
    return np.where((np.arange(centres.shape[1]) < counts[:, None])[..., None], centres, np.inf)


def revealed(images, masks, fill):
    """Images [T, H, W, C] through their masks [T, H, W], float32; elsewhere the `fill`, a grey level or [C]."""
    open_ = masks[..., None]
    return (open_ * images + (1 - open_) * np.asarray(fill, float)).astype(np.float32)


def enough_bubbles(accuracy, wanted, most):
    """The least number of bubbles, 1 to `most`, with which the accuracy is as wanted; `most` where none is.

    accuracy: function of a number of bubbles to a share of right answers, taken to grow with it (bisection).
    """
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if accuracy(middle) >= wanted else (middle + 1, high)
    return low


def no_trials(classes, shape):
    """Sums over no trials: dict of "trials" and "correct" [K], "mask", "mask_squared" and "mask_correct" [K, H, W]."""
    return {name: np.zeros((classes, *shape) if SUMS.index(name) > 1 else classes) for name in SUMS}


def add_trials(sums, masks, right, labels):
    """Add T trials to `sums`, in place: masks [T, H, W], whether each was answered right, and its true class [T]."""
    right = np.asarray(right, float)
    for row, mask in enumerate(masks):
        label = labels[row]
        sums["trials"][label] += 1
        sums["correct"][label] += right[row]
        sums["mask"][label] += mask
        sums["mask_squared"][label] += mask * mask
        sums["mask_correct"][label] += mask * right[row]


def z_map(sums):
    """How an open pixel goes with a right answer, as a z score [..., H, W].

    Args:
        sums: of each class, or added up over some, as `no_trials` names them.

    Returns: Pearson's r of mask and correctness over n trials, times sqrt(n - 1). Were the answers dealt out to the
    trials at random, each pixel's z would have mean 0 and variance 1, exactly, whatever the masks. nan where it is not
    defined: all answers right, all wrong, or fewer than 2 trials.
    """
    trials, right = (sums[name][..., None, None] for name in ("trials", "correct"))
    covariance = trials * sums["mask_correct"] - sums["mask"] * right
    variances = (trials * sums["mask_squared"] - sums["mask"] ** 2) * (right * (trials - right))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variances > 0, covariance / np.sqrt(variances), np.nan) * np.sqrt(np.maximum(trials - 1, 0))
