"""Baselines of agreement: what they know of the image, and numbers that are those of the single measures."""

import numpy as np
import pytest

from edram_fer.attention import agreement, baselines
from edram_fer.attention.fixations import Fixations, fixation_map

SHAPE, FEW = (15, 21), {"repeats": 30}


def make_fixations(images=4, subjects=5, fixations_per_subject=6, seed=0):
    """Fixations around one place on each image, and these places."""
    rng = np.random.default_rng(seed)
    places = rng.uniform((3, 3), (17, 11), (images, 2))
    rows = [(s, i) for i in range(images) for s in range(subjects) for _ in range(fixations_per_subject)]
    points = np.array([places[i] for _, i in rows]) + rng.normal(0, 1, (len(rows), 2))
    columns = (np.array(names, dtype=object) for names in zip(*((f"s{s}", f"p{i}") for s, i in rows)))
    points = np.clip(points, 0, (20, 14))
    return Fixations(*columns, points, np.ones(len(rows)), np.full(len(rows), "", object), {}, 0), places


def test_centre_bias_has_the_proportions_of_the_image():
    bias = baselines.centre_bias(SHAPE, sigma=0.4)
    y, x = np.meshgrid(np.linspace(-1, 1, 15), np.linspace(-1, 1, 21), indexing="ij")
    expected = np.exp(-(x**2 + y**2) / 2 / 0.4**2)
    np.testing.assert_allclose(bias, expected / expected.sum(), atol=1e-15)
    assert baselines.centre_bias((1, 1)).tolist() == [[1]]


def test_landmark_map_shows_the_mean_inner_landmarks():
    rng = np.random.default_rng(0)
    landmarks = rng.uniform(2, 12, (5, 68, 2))
    landmarks[3, 20] = np.nan
    expected = fixation_map(landmarks[[0, 1, 2, 4], 17:].mean(axis=0), SHAPE, 1.5)
    np.testing.assert_allclose(baselines.landmark_map(landmarks, SHAPE, 1.5), expected)
    with pytest.raises(ValueError, match="none of 1 faces has all 68 landmarks"):
        baselines.landmark_map(landmarks[3:4], SHAPE, 1)


@pytest.mark.parametrize("count", [2, 3, 50])
def test_shuffling_assigns_another_image_to_each(count):
    for seed in range(5):
        order = baselines.other_images(count, seed)
        assert (order != np.arange(count)).all() and sorted(order) == list(range(count))
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        baselines.other_images(1)


def test_split_half_of_two_people_compares_one_with_the_other():
    fixations, _ = make_fixations(images=1, subjects=2)
    a, b = (fixations.points[fixations.subject == name] for name in ("s0", "s1"))
    maps = [fixation_map(part, SHAPE, 1) for part in (a, b)]
    ceiling = baselines.split_half(fixations.points, fixations.subject, SHAPE, 1, [[3, 3]], repeats=3)
    for name, measure in (("nss", agreement.nss), ("auc_judd", agreement.auc_judd)):
        assert ceiling[name] == pytest.approx((measure(maps[0], b) + measure(maps[1], a)) / 2)
    assert ceiling["kl"] == pytest.approx((agreement.kl(*maps) + agreement.kl(*maps[::-1])) / 2)


def test_one_person_has_no_ceiling():
    ceiling = baselines.split_half([[1, 1], [2, 2]], ["s", "s"], SHAPE, 1)
    assert len(ceiling) == 6 and np.isnan(list(ceiling.values())).all()


def test_a_model_and_its_baselines():
    fixations, places = make_fixations()
    maps = {f"p{i}": fixation_map([place], SHAPE, 2) for i, place in enumerate(places)}
    maps["without fixations"] = np.ones(SHAPE)
    landmarks = np.random.default_rng(1).uniform(3, 12, (3, 68, 2))
    results = baselines.compare_maps(maps, fixations, SHAPE, 1.0, landmarks=landmarks, **FEW)
    assert list(results) == ["model", "centre_bias", "mean_landmarks", "shuffled", "ceiling"]
    single = [agreement.nss(maps[f"p{i}"], fixations.image_points(f"p{i}")) for i in range(4)]
    row = results["model"]["nss"]
    assert row["mean"] == pytest.approx(np.mean(single)) and row["images"] == 4
    assert row["interval"][0] <= row["mean"] <= row["interval"][1]
    for measure in ("nss", "auc_judd", "auc_shuffled"):
        assert results["model"][measure]["mean"] > results["shuffled"][measure]["mean"]
    expected = [fixation_map(fixations.image_points(f"p{i}"), SHAPE, 1.0) for i in range(4)]
    centre = np.mean([agreement.sim(baselines.centre_bias(SHAPE), human) for human in expected])
    assert results["centre_bias"]["sim"]["mean"] == pytest.approx(centre)


def test_a_single_image_with_one_person():
    fixations, places = make_fixations(images=1, subjects=1, fixations_per_subject=1)
    results = baselines.compare_maps({"p0": np.ones(SHAPE)}, fixations, SHAPE, 1.0, **FEW)
    assert list(results) == ["model", "centre_bias", "ceiling"]
    assert results["model"]["nss"]["mean"] == 0 and results["model"]["auc_judd"]["mean"] == 0.5
    assert results["model"]["auc_shuffled"]["images"] == 0 and np.isnan(results["model"]["auc_shuffled"]["mean"])
    assert np.isnan(results["model"]["cc"]["mean"]) and np.isnan(results["ceiling"]["nss"]["mean"])
    with pytest.raises(ValueError, match="none of 1 maps has fixations"):
        baselines.compare_maps({"p9": np.ones(SHAPE)}, fixations, SHAPE, 1.0)
