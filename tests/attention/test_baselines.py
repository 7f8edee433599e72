"""Baselines of agreement: what they know of the image, and numbers that are those of the single measures."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import ttest_1samp

from edram_fer import attention
from edram_fer.attention import agreement, baselines
from edram_fer.attention.fixations import Fixations, fixation_map

SHAPE = (15, 21)


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


def test_each_person_is_predicted_from_all_others():
    fixations, _ = make_fixations(images=1, subjects=3)
    people = baselines.leave_one_out(fixations.points, fixations.subject, SHAPE, 1, [[3, 3]])
    assert list(people) == ["s0", "s1", "s2"]
    own = fixations.points[fixations.subject == "s1"]
    predicted = fixation_map(fixations.points[fixations.subject != "s1"], SHAPE, 1)
    assert people["s1"]["nss"] == agreement.nss(predicted, own)
    assert people["s1"]["kl"] == agreement.kl(predicted, fixation_map(own, SHAPE, 1))
    assert people["s1"]["auc_shuffled"] == agreement.auc_shuffled(predicted, own, [[3, 3]])
    assert baselines.leave_one_out([[1, 1], [2, 2]], ["s", "s"], SHAPE, 1) == {}


def test_the_density_that_people_look_with_predicts_a_person_better_than_few_others_do():
    """What the others predict is no upper bound."""
    fixations, places = make_fixations(images=6, subjects=3, fixations_per_subject=3)
    true = {f"p{i}": fixation_map([place], SHAPE, np.sqrt(2)) for i, place in enumerate(places)}
    results = baselines.compare_maps(true, fixations, SHAPE, 1.0)
    for measure, sign in (("nss", 1), ("cc", 1), ("kl", -1)):
        assert sign * results["model"][measure]["mean"] > sign * results["people"][measure]["mean"]


def test_intervals_allow_for_other_people():
    """The people differ, and the images hardly do: resampling the images would give a tenth of the width."""
    fixations, places = make_fixations(images=12, subjects=3)
    shifts = {"s0": 0, "s1": 2, "s2": 4}
    points = np.array([places[int(i[1:])] + (shifts[s], 0) for s, i in zip(fixations.subject, fixations.image)])
    fixations = dataclasses.replace(fixations, points=np.clip(points, 0, (20, 14)))
    maps = {f"p{i}": fixation_map([place], SHAPE, 2) for i, place in enumerate(places)}
    nss = baselines.compare_maps(maps, fixations, SHAPE, 1.0)["model"]["nss"]
    values = [
        [agreement.nss(maps[image], fixations.points[(fixations.image == image) & (fixations.subject == person)])]
        for person in shifts
        for image in maps
    ]
    values = np.reshape(values, (3, 12)).T
    assert nss["mean"] == pytest.approx(values.mean()) and (nss["images"], nss["people"]) == (12, 3)
    low, high = nss["interval"]
    people_alone = ttest_1samp(values.mean(axis=0), 0).confidence_interval()
    assert high - low > 0.9 * (people_alone.high - people_alone.low)


def test_windows_are_smoothed_as_fixations_are():
    """A window at the place that people look at: its sharp edge would cost more than being at another place."""
    fixations, places = make_fixations(images=3, subjects=4)
    size = np.array(SHAPE[::-1])
    matrices = np.zeros((3, 1, 2, 3))
    matrices[:, 0, :, 2] = places / (size - 1) * 2 - 1
    matrices[:, 0, [0, 1], [0, 1]] = 2 / size
    predictions = {"id": np.array(["p0", "p1", "p2"]), "windows": matrices, "weights": np.ones((3, 1))}
    predictions["probabilities"] = np.ones((3, 1, 2))
    kl = baselines.compare_with_fixations(predictions, fixations, SHAPE, 1.0)["maps"]["model"]["kl"]["pooled"]
    humans = [fixation_map(fixations.image_points(f"p{i}"), SHAPE, 1.0) for i in range(3)]
    sharp = [attention.density(window, [1], SHAPE) for window in matrices]
    blurred = [gaussian_filter(density, 1.0, mode="constant", truncate=30) for density in sharp]
    assert kl == pytest.approx(np.mean([agreement.kl(*pair) for pair in zip(blurred, humans)]))
    assert kl < 0.3 and np.mean([agreement.kl(*pair) for pair in zip(sharp, humans)]) > 5


def test_a_model_and_its_baselines():
    fixations, places = make_fixations()
    maps = {f"p{i}": fixation_map([place], SHAPE, 2) for i, place in enumerate(places)}
    maps["without fixations"] = np.ones(SHAPE)
    landmarks = np.random.default_rng(1).uniform(3, 12, (3, 68, 2))
    results = baselines.compare_maps(maps, fixations, SHAPE, 1.0, landmarks=landmarks)
    assert list(results) == ["model", "centre_bias", "mean_landmarks", "shuffled", "people"]
    single = [agreement.nss(maps[f"p{i}"], fixations.image_points(f"p{i}")) for i in range(4)]
    row = results["model"]["nss"]  # every person has six fixations, so that the mean over people is that over fixations
    assert row["mean"] == pytest.approx(np.mean(single)) == row["pooled"]
    assert (row["images"], row["people"]) == (4, 5)
    assert row["interval"][0] <= row["mean"] <= row["interval"][1]
    for measure in ("nss", "auc_judd", "auc_shuffled"):
        assert results["model"][measure]["mean"] > results["shuffled"][measure]["mean"]
    expected = [fixation_map(fixations.image_points(f"p{i}"), SHAPE, 1.0) for i in range(4)]
    centre = np.mean([agreement.sim(baselines.centre_bias(SHAPE), human) for human in expected])
    assert results["centre_bias"]["sim"]["pooled"] == pytest.approx(centre)


def test_a_single_image_with_one_person():
    fixations, places = make_fixations(images=1, subjects=1, fixations_per_subject=1)
    results = baselines.compare_maps({"p0": np.ones(SHAPE)}, fixations, SHAPE, 1.0)
    assert list(results) == ["model", "centre_bias", "people"]
    assert results["model"]["nss"]["mean"] == 0 and results["model"]["auc_judd"]["mean"] == 0.5
    assert results["model"]["auc_shuffled"]["images"] == 0 and np.isnan(results["model"]["auc_shuffled"]["mean"])
    assert np.isnan(results["model"]["cc"]["mean"]) and np.isnan(results["people"]["nss"]["mean"])
    assert np.isnan(results["model"]["nss"]["interval"]).all()
    with pytest.raises(ValueError, match="none of 1 maps has fixations"):
        baselines.compare_maps({"p9": np.ones(SHAPE)}, fixations, SHAPE, 1.0)
