"""The pointing game and AUC compared with counts by hand, and their baselines."""

import numpy as np
import pytest

from edram_fer.attention.pointing import auc, dilate, hit, pointing

SHAPE = (12, 10)


def blobs(count=40, seed=0):
    """A mask of 3 x 3 pixels at a random place of each image, and a map that is largest in its middle."""
    rng = np.random.default_rng(seed)
    masks, maps = np.zeros((2, count, *SHAPE))
    for mask, values in zip(masks, maps):
        y, x = rng.integers(1, 11), rng.integers(1, 9)
        mask[y - 1 : y + 2, x - 1 : x + 2] = 1
        values[:] = -np.hypot(*(np.indices(SHAPE) - np.array([y, x])[:, None, None]))
    return maps, masks


def test_near_pixels_form_a_disc():
    mask = np.zeros(SHAPE)
    mask[4, 4] = 1
    distance = np.hypot(*(np.indices(SHAPE) - 4))
    for tolerance in (0, 1, 1.5, 3):
        np.testing.assert_array_equal(dilate(mask, tolerance), distance <= tolerance)


def test_a_hit_lies_in_or_near_the_mask_and_equal_maxima_share_it():
    mask, values = np.zeros(SHAPE), np.zeros(SHAPE)
    mask[2:4, 2:4] = 1
    values[3, 5] = 7
    assert hit(values, mask) == 0 and hit(values, mask, 1.9) == 0 and hit(values, mask, 2) == 1
    values[2, 2] = values[9, 9] = 7
    assert hit(values, mask) == pytest.approx(1 / 3)
    assert hit(np.zeros(SHAPE), mask) == pytest.approx(4 / 120)  # a constant map scores at chance


def test_auc_counts_pairs():
    rng = np.random.default_rng(0)
    mask, values = rng.random(SHAPE) < 0.3, rng.integers(0, 6, SHAPE)
    inside, outside = values[mask][:, None], values[~mask]
    assert auc(values, mask) == pytest.approx(np.mean((inside > outside) + 0.5 * (inside == outside)))


def test_maps_are_scored_with_their_baselines():
    maps, masks = blobs()
    masks[3], masks[4], maps[5] = 0, 1, np.nan
    result = pointing({"good": maps, "bad": -np.nan_to_num(maps)}, masks[..., None])
    scores = result["scores"]
    assert result["images"] == 37 and result["excluded"] == 3
    assert scores["good"]["pointing"] == {"value": 1, "interval": [1, 1]} and scores["good"]["auc"]["value"] > 0.95
    assert scores["bad"]["pointing"]["value"] == 0 and scores["bad"]["auc"]["value"] < 0.05
    assert scores["shuffled_good"]["pointing"]["value"] < 0.4
    assert scores["chance"]["pointing"]["value"] == pytest.approx(9 / 120)
    assert scores["chance"]["auc"]["value"] == 0.5
    centre = [
        auc(-np.hypot(*((np.indices(SHAPE).T - (5.5, 4.5)) / (11, 9)).T), mask)
        for row, mask in enumerate(masks)
        if row not in (3, 4, 5)
    ]
    assert scores["centre_bias"]["auc"]["value"] == pytest.approx(np.mean(centre))
    low, high = scores["centre_bias"]["auc"]["interval"]
    assert low < scores["centre_bias"]["auc"]["value"] < high


def test_images_of_one_subject_are_resampled_together():
    rng = np.random.default_rng(0)
    maps, masks = {"maps": rng.random((12, 9, 9))}, rng.random((12, 9, 9)) < 0.3
    by_image = pointing(maps, masks)["scores"]["maps"]["auc"]["interval"]
    repeated = {"maps": np.repeat(maps["maps"], 4, axis=0)}
    subjects = np.repeat(np.arange(12).astype(str), 4)
    by_subject = pointing(repeated, np.repeat(masks, 4, axis=0), subjects=subjects)["scores"]["maps"]["auc"]["interval"]
    assert np.ptp(by_subject) == pytest.approx(np.ptp(by_image), rel=0.15)
    assert np.ptp(pointing(repeated, np.repeat(masks, 4, axis=0))["scores"]["maps"]["auc"]["interval"]) < 0.7 * np.ptp(
        by_image
    )
    alone = pointing(maps, masks, subjects=["ray"] * 12)["scores"]["maps"]["auc"]["interval"]
    assert np.isnan(alone).all()


def test_the_tolerance_raises_chance():
    maps, masks = blobs()
    result = pointing({"maps": maps}, masks, tolerance=2)
    assert result["tolerance"] == 2
    shares = [dilate(mask, 2).mean() for mask in masks]
    assert result["scores"]["chance"]["pointing"]["value"] == pytest.approx(np.mean(shares))


def test_invalid_arguments_are_rejected():
    maps, masks = blobs(5)
    with pytest.raises(ValueError, match="tolerance: expected 0 or more pixels, got -1"):
        pointing({"maps": maps}, masks, tolerance=-1)
    with pytest.raises(ValueError, match=r"maps 'maps' and masks .* got \[4, 12, 10\] and \[5, 12, 10\]"):
        pointing({"maps": maps[:4]}, masks)
    with pytest.raises(ValueError, match="none of 5 images has both maps and a mask"):
        pointing({"maps": maps}, 0 * masks)
