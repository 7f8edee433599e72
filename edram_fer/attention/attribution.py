"""Attribution: how much each pixel of an image contributed to a model's answer.

Sources: integrated gradients, Sundararajan, Taly and Yan 2017 (arXiv 1703.01365); SmoothGrad, Smilkov et al. 2017
(arXiv 1706.03825); Grad-CAM, Selvaraju et al. 2017 (arXiv 1610.02391); RISE and the curves of deletion and insertion,
Petsiuk, Das and Saenko 2018 (arXiv 1806.07421). The functions take the model as a function, so that they hold for any.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import UserError

Gradient = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Answer = Callable[[np.ndarray], np.ndarray]


def integrated_gradients(
    gradient: Gradient, image: ArrayLike, baseline: ArrayLike, *, tolerance: float = 0.01, most: int = 512
) -> tuple[np.ndarray, float, int]:
    """The integral of the gradient along the straight line from a baseline to the image, times their difference.

    The map sums to the score of the image minus that of the baseline (completeness). The trapezoidal rule halves its
    steps until that holds.

    Args:
        gradient: function from images [m, H, W, C] to their scores [m] and the gradients of these, [m, H, W, C].
        image: float [H, W, C].
        baseline: an image of the same shape, or one value for all pixels.
        tolerance: largest error of the sum, as a share of the difference of both scores (at least of 0.01).
        most: largest number of steps.

    Returns:
        float [H, W], summed over the channels; the error of its sum as a share as above; and the number of steps.

    >>> square = lambda images: (np.square(images).sum(axis=(1, 2, 3)), 2 * images)
    >>> integrated_gradients(square, [[[3.0], [1.0]]], 0)[0].round(6).tolist()
    [[9.0, 1.0]]
    """
    image = np.asarray(image, float)
    baseline = np.broadcast_to(np.asarray(baseline, float), image.shape)
    change, steps = image - baseline, 16

    def along(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return gradient(baseline + shares[:, None, None, None] * change)

    scores, gradients = along(np.linspace(0, 1, steps + 1))
    total = gradients[1:-1].sum(axis=0) + (gradients[0] + gradients[-1]) / 2
    difference = float(scores[-1] - scores[0])
    while True:
        attribution = (total / steps * change).sum(axis=-1)
        error = abs(float(attribution.sum()) - difference) / max(abs(difference), 0.01)
        if error <= tolerance or 2 * steps > most:
            return attribution, error, steps
        for middle in np.array_split((np.arange(steps) + 0.5) / steps, -(-steps // 64)):
            total = total + along(middle)[1].sum(axis=0)
        steps *= 2


def smooth_gradient(
    gradient: Gradient, image: ArrayLike, seed: int | list[int], *, noise: float = 0.15, samples: int = 32
) -> np.ndarray:
    """The size of the mean gradient over images with added noise (SmoothGrad).

    Args:
        gradient: see `integrated_gradients`.
        image: float [H, W, C] in [0, 1].
        seed: seed of the noise.
        noise: standard deviation of the normal noise, as a share of the image's range.
        samples: number of noisy images.

    Returns:
        float [H, W], 0 or more: the mean gradient's absolute value, summed over the channels.
    """
    image = np.asarray(image, float)
    spread = noise * np.ptp(image)
    noisy = image + spread * np.random.default_rng(seed).standard_normal((samples, *image.shape))
    return np.abs(gradient(noisy)[1].mean(axis=0)).sum(axis=-1)


def grad_cam(maps: ArrayLike, gradients: ArrayLike, windows: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Class activation maps of the last maps, brought from their windows into the image and added up.

    Args:
        maps: [N, h, w, D], of one image.
        gradients: [N, h, w, D], of its score with respect to the maps.
        windows: [N, 2, 3], matrices from a window's [-1, 1]^2 into the image's.
        shape: (H, W) of the image.

    Returns:
        float [H, W], 0 or more; 0 outside all windows.
    """
    maps, gradients = np.asarray(maps, float), np.asarray(gradients, float)
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    activations = np.maximum((weights * maps).sum(axis=-1), 0)
    return np.sum([_into_image(*pair, shape) for pair in zip(activations, np.asarray(windows), strict=True)], axis=0)


def _into_image(values: np.ndarray, window: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Values [h, w] of a window's cells at the pixels [H, W] of the image, interpolated bilinearly; 0 outside."""
    if abs(np.linalg.det(window[:, :2])) < 1e-6:
        return np.zeros(shape)
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    inside_window = np.linalg.solve(window[:, :2], np.stack([x - window[0, 2], y - window[1, 2]]).reshape(2, -1))
    columns, rows = (
        ((position + 1) / 2 * count - 0.5).reshape(shape).astype(np.float32)
        for position, count in zip(inside_window, values.shape[::-1], strict=True)
    )
    sampled = cv2.remap(
        values.astype(np.float32), columns, rows, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.where((np.abs(inside_window) <= 1 + 1e-6).all(axis=0).reshape(shape), sampled, 0)


def random_masks(
    seed: int | list[int], count: int, shape: tuple[int, int], *, cells: int = 7, share: float = 0.5
) -> np.ndarray:
    """The masks of RISE: random coarse grids, enlarged bilinearly and shifted by a random part of a cell.

    Args:
        seed: seed of the masks.
        count: number of masks.
        shape: (H, W) of the image.
        cells: cells of the grid along each side.
        share: probability that a cell is visible.

    Returns:
        float32 [count, H, W] in [0, 1], 1 where the image is visible.

    Raises:
        UserError: `cells` is below 1, or `share` is not between 0 and 1.
    """
    if cells < 1 or not 0 < share < 1:
        raise UserError(f"expected at least one cell and a share between 0 and 1, got {cells} and {share}")
    rng = np.random.default_rng(seed)
    height, width = (-(-side // cells) for side in shape)
    masks = np.empty((count, *shape), np.float32)
    for mask in masks:
        grid = (rng.random((cells + 1, cells + 1)) < share).astype(np.float32)
        large = cv2.resize(grid, ((cells + 1) * width, (cells + 1) * height), interpolation=cv2.INTER_LINEAR)
        row, column = rng.integers(height + 1), rng.integers(width + 1)
        mask[:] = large[row : row + shape[0], column : column + shape[1]]
    return masks


def rise(
    answer: Answer, image: np.ndarray, label: int, masks: np.ndarray, *, fill: float, batch: int = 512
) -> np.ndarray:
    """How much the visibility of each pixel raises the probability of a class, over random masks (RISE).

    Args:
        answer: function from images [m, H, W, C] in grey levels 0 to 255 to probabilities [m, K].
        image: uint8 [H, W, C].
        label: index of the class.
        masks: [M, H, W], see `random_masks`.
        fill: grey level where a mask is 0.
        batch: images per call.

    Returns:
        float [H, W]: the slope of the probability on the pixel's visibility. The published map, the mean of the masks
        weighted with the probabilities, also holds the mean probability, and the chance by which the masks show some
        pixels more often than others.
    """
    probabilities = np.concatenate(
        [
            answer(fill + masks[start : start + batch, ..., None] * (image - np.float32(fill)))[:, label]
            for start in range(0, len(masks), batch)
        ]
    )
    centred = masks - masks.mean(axis=0)
    products = np.tensordot(probabilities - probabilities.mean(), centred, axes=1)
    return products / np.maximum(np.square(centred).sum(axis=0), 1e-12)


def deletion_insertion(
    answer: Answer, image: np.ndarray, saliency: ArrayLike, label: int, *, fill: float, steps: int = 16
) -> dict[str, np.ndarray]:
    """How the probability of a class changes as pixels are removed or shown, the most salient first.

    Args:
        answer, image, label: see `rise`.
        saliency: [H, W].
        fill: grey level of removed pixels.
        steps: number of equal shares of the pixels.

    Returns:
        {"deletion", "insertion": float [steps + 1]}: the probability after each share, from none to all of the pixels.
        A good map has a small area under the first and a large one under the second, see `area`.
    """
    saliency = np.asarray(saliency)
    rank = np.empty(saliency.size, int)
    rank[np.argsort(-saliency, axis=None, kind="stable")] = np.arange(saliency.size)
    counts = np.rint(np.linspace(0, saliency.size, steps + 1))
    first = (rank.reshape(saliency.shape) < counts[:, None, None])[..., None]
    deleted, inserted = np.where(first, np.float32(fill), image), np.where(first, image, np.float32(fill))
    curves = answer(np.concatenate([deleted, inserted]).astype(np.float32))[:, label]
    return {"deletion": curves[: steps + 1], "insertion": curves[steps + 1 :]}


def area(curve: ArrayLike) -> float:
    """Area under a curve of `deletion_insertion`, in [0, 1].

    >>> area([1.0, 0.0])
    0.5
    """
    values = np.asarray(curve, float)
    return float((values[1:] + values[:-1]).mean() / 2)
