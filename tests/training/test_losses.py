"""Losses and metrics compared with NumPy."""

import keras
import numpy as np
import pytest
import scipy.optimize
from support import oracles

from edram_fer.attention import glimpse_statistics
from edram_fer.errors import UserError
from edram_fer.preprocessing.records import UNKNOWN_AFFECT
from edram_fer.training import losses
from edram_fer.training.metrics import DominantClassShare, FinalAccuracy, WindowStatistics

B, T, K = 5, 3, 4
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (B, T, K)).astype("float32")
LABELS = np.array([0, 3, 1, 1, 2])
AFFECT = RNG.uniform(-1, 1, (B, T, 2)).astype("float32")
EMITTED = RNG.uniform(-1, 1, (B, T + 1, 2, 3)).astype("float32")


def cross_entropy(target):
    """Of LOGITS with a target [B, K]: mean over the steps, [B]."""
    exponent = np.exp(LOGITS - LOGITS.max(axis=-1, keepdims=True))
    log_probability = np.log(exponent / exponent.sum(axis=-1, keepdims=True))
    return -(target[:, None] * log_probability).sum(axis=-1).mean(axis=1)


def test_guide_loss_is_the_mean_squared_distance_over_the_known_places():
    windows, targets = EMITTED[:, :T], guide_targets()
    targets[:, 0, :2] = np.nan
    targets[2, :, :2] = np.nan
    distances = np.square(windows[..., 2] - targets[..., :2]).sum(axis=-1)
    loss = losses.GuideLoss()
    assert float(loss(targets, windows)) == pytest.approx(np.nanmean(distances), rel=1e-5)
    targets[..., 2] = RNG.uniform(0, 1, (B, T))
    known = np.isfinite(distances)
    expected = np.nansum(distances * targets[..., 2]) / known.sum()
    assert float(loss(targets, windows)) == pytest.approx(expected, rel=1e-5)
    targets[..., :2] = np.nan
    assert float(loss(targets, windows)) == 0


def test_exchangeable_targets_go_to_the_windows_that_are_nearest_together():
    """Compared with SciPy's assignment."""
    windows, targets = EMITTED[:, :T], guide_targets()
    targets[2, :, :2] = np.nan
    expected = []
    for centres, places in zip(windows[..., 2], targets[..., :2], strict=True):
        if np.isnan(places).any():
            continue
        distances = np.square(centres[:, None] - places).sum(axis=-1)
        rest = distances[1:, 1:]
        expected += [distances[0, 0], rest[scipy.optimize.linear_sum_assignment(rest)].sum()]
    loss = losses.GuideLoss(exchangeable=range(1, T))
    assert float(loss(targets, windows)) == pytest.approx(np.sum(expected) / ((B - 1) * T), rel=1e-5)
    again = losses.GuideLoss.from_config(loss.get_config())
    assert float(again(targets, windows)) == float(loss(targets, windows))


def guide_targets():
    places = RNG.uniform(-1, 1, (B, T, 2))
    return np.concatenate([places, np.ones((B, T, 1))], axis=-1).astype("float32")


def test_class_weights():
    np.testing.assert_allclose(losses.class_weights([10, 40, 50]), np.sqrt([100 / 30, 100 / 120, 100 / 150]), rtol=1e-6)
    np.testing.assert_allclose(losses.class_weights([7, 7, 7, 7]), 1)
    np.testing.assert_allclose(losses.class_weights([8, 0]), [np.sqrt(0.5), 0])
    with pytest.raises(ValueError, match="no image"):
        losses.class_weights([0, 0])


def test_emotion_loss_is_the_weighted_mean_over_the_steps():
    one_hot, weights = np.eye(K)[LABELS], [0.5, 1.0, 2.0, 3.0]
    plain, weighted = losses.EmotionLoss(), losses.EmotionLoss(weights)
    np.testing.assert_allclose(plain.call(LABELS, LOGITS), cross_entropy(one_hot), rtol=1e-5)
    expected = cross_entropy(one_hot) * np.array(weights)[LABELS]
    np.testing.assert_allclose(weighted.call(LABELS, LOGITS), expected, rtol=1e-5)
    assert float(weighted(LABELS, LOGITS)) == pytest.approx(expected.mean(), rel=1e-5)
    assert float(weighted(LABELS[:, None], LOGITS)) == pytest.approx(expected.mean(), rel=1e-5)  # labels [B, 1] too


def test_label_smoothing_spreads_a_share_over_the_classes():
    target = 0.8 * np.eye(K)[LABELS] + 0.2 / K
    actual = losses.EmotionLoss(label_smoothing=0.2).call(LABELS, LOGITS)
    np.testing.assert_allclose(actual, cross_entropy(target), rtol=1e-5)


def test_emotion_loss_of_bfloat16_logits_is_float32():
    loss = losses.EmotionLoss()(LABELS, keras.ops.cast(LOGITS, "bfloat16"))
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss) == pytest.approx(cross_entropy(np.eye(K)[LABELS]).mean(), rel=2e-2)


def test_affect_loss_counts_only_images_with_both_values():
    truth = RNG.uniform(-1, 1, (B, 2)).astype("float32")
    truth[1], truth[3, 1] = UNKNOWN_AFFECT, UNKNOWN_AFFECT
    annotated = [0, 2, 4]
    expected = ((AFFECT - truth[:, None]) ** 2).sum(axis=-1).mean(axis=1)[annotated].mean()
    assert float(losses.AffectLoss()(truth, AFFECT)) == pytest.approx(expected, rel=1e-5)
    wild = AFFECT.copy()
    wild[[1, 3]] = 1e6
    assert float(losses.AffectLoss()(truth, wild)) == pytest.approx(expected, rel=1e-5)


def test_unknown_affect_has_no_gradient():
    truth = np.array([[0.5, -0.5], [np.nan, 0.2], [UNKNOWN_AFFECT] * 2], "float32")
    loss = losses.AffectLoss()
    (gradient,) = oracles.gradients(lambda predicted: loss(truth, predicted), [AFFECT[:3]])
    np.testing.assert_allclose(gradient[0], 2 * (AFFECT[0] - truth[0]) / T, rtol=1e-5)
    assert not gradient[1:].any()


def test_affect_loss_without_known_values_is_zero():
    assert float(losses.AffectLoss()(np.full((B, 2), UNKNOWN_AFFECT, "float32"), AFFECT)) == 0


def target(zoom=0.35):
    matrix = np.zeros((2, 3), "float32")
    matrix[0, 0] = matrix[1, 1] = zoom
    return np.repeat(matrix[None], B, axis=0)


def test_location_loss_of_the_entries_leaves_shear_and_translation_free():
    expected = ((EMITTED[..., 0, 0] - 0.35) ** 2 + (EMITTED[..., 1, 1] - 0.35) ** 2).mean(axis=1)
    np.testing.assert_allclose(losses.LocationLoss().call(target(), EMITTED), expected, rtol=1e-5)
    free = EMITTED.copy()
    free[..., 0, 1:], free[..., 1, [0, 2]] = 0.9, -0.7
    np.testing.assert_allclose(losses.LocationLoss().call(target(), free), expected, rtol=1e-5)


def test_location_loss_of_the_extents_cannot_be_evaded_by_rotation():
    extents = np.abs(EMITTED[..., :2]).sum(axis=-1)
    loss = losses.LocationLoss(measure="extent")
    expected = ((extents - 0.35) ** 2).sum(axis=-1).mean(axis=1)
    np.testing.assert_allclose(loss.call(target(), EMITTED), expected, rtol=1e-5)
    turned = np.tile(np.array([[0.35, 0.79, 0], [-0.82, 0.35, 0]], "float32"), (B, T + 1, 1, 1))
    assert float(losses.LocationLoss()(target(), turned)) == pytest.approx(0, abs=1e-9)
    assert float(loss(target(), turned)) == pytest.approx(0.79**2 + 0.82**2, rel=1e-5)


def test_location_loss_of_all_six_entries():
    matrices = RNG.uniform(-1, 1, (B, 2, 3)).astype("float32")
    weights = np.array([[1, 0.5, 1], [0.5, 1, 1]])
    expected = (weights * (EMITTED - matrices[:, None]) ** 2).sum(axis=(-2, -1)).mean(axis=1)
    loss = losses.LocationLoss(losses.ALL_ENTRIES)
    np.testing.assert_allclose(loss.call(matrices, EMITTED), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="'entries' or 'extent', got 'area'"):
        losses.LocationLoss(measure="area")


def test_region_biased_loss_compares_the_best_crop_with_the_whole_face():
    mu = np.float32([[0.5, 0.3, 0.4], [0.5, 0.55, 0.2], [0.5, 0.9, 0.1], [0.9, 0.1, 0.2]])
    actual = losses.RegionBiasedLoss(0.1).call(np.zeros(4), mu)
    np.testing.assert_allclose(actual, [0.2, 0.05, 0, 0.8], atol=1e-6)
    assert float(losses.RegionBiasedLoss(0.1)(np.zeros(4), mu)) == pytest.approx(1.05 / 4, rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        losses.EmotionLoss([1, 2, 3, 4], 0.1),
        losses.AffectLoss(),
        losses.LocationLoss(losses.ALL_ENTRIES, "extent"),
        losses.RegionBiasedLoss(0.02),
    ],
)
def test_config_holds_every_argument(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()


def test_final_accuracy_counts_the_last_step_over_all_batches():
    metric, correct = FinalAccuracy(), (LOGITS[:, -1].argmax(axis=-1) == LABELS)
    metric.update_state(LABELS, LOGITS)
    assert float(metric.result()) == pytest.approx(correct.mean())
    metric.update_state(LOGITS[:2, -1].argmax(axis=-1), LOGITS[:2])
    assert float(metric.result()) == pytest.approx((correct.sum() + 2) / (B + 2))


def test_window_statistics_agree_with_attention():
    windows = np.random.default_rng(1).normal(0, 0.5, (40, 3, 2, 3)).astype("float32")
    metric = WindowStatistics(3)
    for part in np.split(windows, [16, 32]):  # the last batch is shorter
        metric.update_state(np.zeros(len(part)), part)
    actual, expected = metric.result(), glimpse_statistics(windows)
    assert set(actual) == {f"glimpse_{t}_{name}" for t in (1, 2, 3) for name in expected}
    for name, values in expected.items():
        for t, value in enumerate(values, 1):
            assert float(actual[f"glimpse_{t}_{name}"]) == pytest.approx(value, abs=1e-5), name
    assert keras.metrics.deserialize(keras.metrics.serialize(metric)).windows == 3


def test_window_statistics_see_a_collapse():
    metric = WindowStatistics(1)
    metric.update_state(np.zeros(64), np.tile(np.array([[0.3, 0, 0.9], [0, 0.3, -0.9]], "float32"), (64, 1, 1, 1)))
    actual = metric.result()
    assert float(actual["glimpse_1_x_sd"]) < 0.002 and float(actual["glimpse_1_x"]) == pytest.approx(0.9)


def test_the_share_of_the_dominant_class():
    metric = DominantClassShare(K)
    for part in (slice(0, 2), slice(2, None)):
        metric.update_state(LABELS[part], LOGITS[part])
    predicted = LOGITS[:, -1].argmax(axis=1)
    assert float(metric.result()) == pytest.approx(np.bincount(predicted).max() / B)


# The released codes, worked out by hand: one image, two steps, three emitted matrices

HAND_LOGITS = np.log([[[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]]]).astype("float32")
HAND_AFFECT = np.array([[[0.5, 0.0], [0.1, -0.2]]], "float32")
HAND_EMITTED = np.zeros((1, 3, 2, 3), "float32")
HAND_EMITTED[0, :, 0, 0], HAND_EMITTED[0, :, 1, 1] = (0.55, 0.35, 0.85), (0.25, 0.35, -0.15)
HAND_EMITTED[0, :, 0, 2] = (0.4, -0.3, 0.9)
HAND_TARGET = np.array([[[0.35, 0, 0], [0, 0.35, 0]]], "float32")


@pytest.mark.parametrize(
    ("form", "emotion", "affect", "location"),
    [
        # -(ln .25 + ln .2) / 2; ((.3^2 + .4^2) + (.1^2 + .2^2)) / 2; ((.04 + .01) + 0 + (.25 + .25)) / 3
        ("ours", 1.497866, 0.15, 0.183333),
        # as above; the affect ((1.17 * .09 + .83 * .16) / 2 + (1.17 * .01 + .83 * .04) / 2) / 2; a sixth of the above
        ("forch2019", 1.497866, 0.07075, 0.030556),
        # the sums over two steps, without the last matrix
        ("ablavatski2017", 2.995732, 0.30, 0.05),
    ],
)
def test_forms_of_the_losses(form, emotion, affect, location):
    arguments = losses.FORMS[form]
    actual = losses.EmotionLoss(**arguments["emotion"])(np.array([1]), HAND_LOGITS)
    assert float(actual) == pytest.approx(emotion, rel=1e-5)
    actual = losses.AffectLoss(**arguments["affect"])(np.array([[0.2, -0.4]], "float32"), HAND_AFFECT)
    assert float(actual) == pytest.approx(affect, rel=1e-5)
    loss = losses.LocationLoss(**arguments["emitted"])
    assert float(loss(HAND_TARGET, HAND_EMITTED)) == pytest.approx(location, rel=1e-4)
    copy = losses.LocationLoss.from_config(loss.get_config())
    assert float(copy(HAND_TARGET, HAND_EMITTED)) == pytest.approx(location, rel=1e-4)


def test_the_location_loss_of_digits_is_the_sum_of_all_weighted_entries():
    """cost_where of the 2017 code: T.dot(T.sqr(wr - l), [1, .5, 1, .5, 1, 1]), summed over A_0 to A_{T-1}."""
    loss = losses.LocationLoss(losses.ALL_ENTRIES, steps="sum", last=False)
    target = RNG.uniform(-1, 1, (B, 2, 3)).astype("float32")
    squares = np.square(target[:, None] - EMITTED[:, :-1]).reshape(B, T, 6)
    np.testing.assert_allclose(loss.call(target, EMITTED), (squares @ [1, 0.5, 1, 0.5, 1, 1]).sum(axis=1), rtol=1e-5)


def test_class_weights_without_the_root():
    np.testing.assert_allclose(losses.class_weights([10, 40, 50], root=False), [100 / 30, 100 / 120, 100 / 150])
    with pytest.raises(UserError, match="steps: expected 'mean' or 'sum', got 'all'"):
        losses.EmotionLoss(steps="all")
