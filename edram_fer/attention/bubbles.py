"""Bubbles: which parts of a face, shown alone, are sufficient for a correct prediction.

Source: Gosselin and Schyns 2001 (doi 10.1016/S0042-6989(01)00097-9). In each trial an image is seen through Gaussian
apertures at random positions. A pixel carries information if the prediction is correct more often when the pixel is
visible: the map is the correlation of visibility and correctness over the trials, as a z score.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import UserError

COUNTS = ("trials", "correct")  # sums of numbers
MASK_SUMS = ("mask", "mask_squared", "mask_correct")  # summed maps
SUMS = (*COUNTS, *MASK_SUMS)


def apertures(centres: ArrayLike, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """Masks of trials: the sum of the Gaussian apertures of each trial, which are 1 at their centres, clipped to 1.

    Args:
        centres: [T, B, 2] as (x, y) in pixels, pixel centres at whole numbers; infinite for no aperture.
        shape: (H, W) of the image.
        sigma: standard deviation in pixels.

    Returns:
        float64 [T, H, W] in [0, 1], 1 where the image is visible.

    Raises:
        UserError: sigma is not positive.
    """
    if not sigma > 0:
        raise UserError(f"sigma: expected a positive number of pixels, got {sigma}")
    centres = np.asarray(centres, float)
    masks = np.empty((len(centres), *shape))
    for mask, places in zip(masks, centres, strict=True):  # one by one: many small apertures would fill the memory
        across, down = (
            np.exp(-((np.arange(side) - places[:, axis, None]) ** 2) / (2 * sigma**2))
            for axis, side in enumerate(shape[::-1])
        )
        np.minimum(down.T @ across, 1, out=mask)
    return masks


def scatter(trials: int, bubbles: float, shape: tuple[int, int], seed: int | Sequence[int]) -> np.ndarray:
    """Random centres of apertures, uniform over the area of the image.

    The number of apertures in a trial is also random, from a Poisson distribution. With the same number in every trial,
    as in the paper, an aperture at one position means one aperture fewer elsewhere, and pixels without information
    would correlate with wrong answers.

    Args:
        trials: number of trials.
        bubbles: mean number of apertures in a trial.
        shape: (H, W) of the image.
        seed: seed of the random numbers.

    Returns:
        [trials, B, 2] as (x, y) in pixels, with B the largest number of apertures in a trial; unused entries are
        infinite.
    """
    random = np.random.default_rng(seed)
    counts = random.poisson(bubbles, trials)
    centres = random.uniform(-0.5, np.array(shape[::-1]) - 0.5, (trials, counts.max(initial=0), 2))
    return np.where((np.arange(centres.shape[1]) < counts[:, None])[..., None], centres, np.inf)


def reveal(images: np.ndarray, masks: np.ndarray, fill: ArrayLike) -> np.ndarray:
    """Images seen through masks.

    Args:
        images: [T, H, W, C].
        masks: [T, H, W] in [0, 1].
        fill: what is visible where the mask is 0: a grey level, or one for each channel.

    Returns:
        float32 [T, H, W, C].
    """
    visible = masks[..., None]
    return (visible * images + (1 - visible) * np.asarray(fill, float)).astype(np.float32)


def find_bubble_count(accuracy: Callable[[int], float], target: float, most: int) -> int:
    """Find the smallest number of bubbles with which a model reaches an accuracy, by bisection.

    Args:
        accuracy: function of the number of bubbles; assumed to increase.
        target: the accuracy to reach.
        most: the largest number of bubbles to consider.

    Returns:
        1 to `most`; `most` if no number reaches the target.

    >>> find_bubble_count(lambda count: count / 100, 0.355, 100)
    36
    """
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if accuracy(middle) >= target else (middle + 1, high)
    return low


def no_trials(classes: int, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """The sums before the first trial.

    Args:
        classes: number of classes K.
        shape: (H, W) of the image.

    Returns:
        {"trials", "correct": [K]; "mask", "mask_squared", "mask_correct": [K, H, W]}, all 0.
    """
    return {name: np.zeros((classes, *shape) if name in MASK_SUMS else classes) for name in SUMS}


def add_trials(sums: Mapping[str, np.ndarray], masks: np.ndarray, correct: ArrayLike, labels: ArrayLike) -> None:
    """Add T trials to the sums, in place.

    Args:
        sums: as returned by `no_trials`.
        masks: [T, H, W].
        correct: bool [T], whether the answer was correct.
        labels: int [T], the true classes.
    """
    for label, mask, score in zip(np.asarray(labels), masks, np.asarray(correct, float), strict=True):
        sums["trials"][label] += 1
        sums["correct"][label] += score
        sums["mask"][label] += mask
        sums["mask_squared"][label] += mask * mask
        sums["mask_correct"][label] += mask * score


def z_map(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Correlation of visibility and correctness at each pixel, as a z score.

    Args:
        sums: the sums of each class, see `no_trials`, or their totals over several classes.

    Returns:
        [..., H, W]: Pearson's r of mask and correctness over n trials, times sqrt(n - 1). If the answers were assigned
        to the trials at random, the z of each pixel would have exactly mean 0 and variance 1 for any masks. nan where
        it is undefined: all answers correct, all wrong, or fewer than 2 trials.
    """
    trials, correct = (sums[name][..., None, None] for name in COUNTS)
    covariance = trials * sums["mask_correct"] - sums["mask"] * correct
    variances = (trials * sums["mask_squared"] - sums["mask"] ** 2) * (correct * (trials - correct))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variances > 0, covariance / np.sqrt(variances), np.nan) * np.sqrt(np.maximum(trials - 1, 0))
