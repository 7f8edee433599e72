"""Mixup compared with NumPy, with class weights, soft labels and partly unknown affect."""

import keras
import numpy as np
import pytest
from scipy import stats

from edram_fer.data import mixup
from edram_fer.preprocessing.records import UNKNOWN_AFFECT
from edram_fer.training import losses
from edram_fer.training.metrics import FinalAccuracy

B, T, K = 4, 2, 5
RNG = np.random.default_rng(0)
IMAGES = RNG.random((B, 6, 7, 1)).astype("float32")
LABELS = np.array([0, 3, 3, 1])
AFFECT = np.array([[0.5, -0.5], [1, 1], [-2, -2], [0, 0.2]], "float32")
SHARES = np.array([1, 0.7, 0.6, 0.5], "float32")
NEXT = [1, 2, 3, 0]
LOGITS = RNG.normal(0, 2, (B, T, K)).astype("float32")


def mixed(**targets):
    images, targets = mixup.mix(IMAGES, targets, SHARES)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, (images, targets))


def test_shares_follow_the_beta_distribution_and_are_at_least_one_half():
    shares = mixup.draw(3, 1, 20000, 0.4)
    assert shares.dtype == np.float32 and shares.min() >= 0.5 and shares.max() <= 1
    np.testing.assert_array_equal(shares, mixup.draw(3, 1, 20000, 0.4))
    assert not np.array_equal(shares, mixup.draw(3, 2, 20000, 0.4))
    folded = stats.beta(0.4, 0.4)
    actual = stats.kstest(shares.astype(float), lambda x: folded.cdf(x) - folded.cdf(1 - x))
    assert actual.statistic < 0.02  # one in a million would be that far off


def test_images_and_probabilities_are_mixed_with_the_next_one():
    soft = RNG.dirichlet(np.ones(K), B).astype("float32")
    for target in (np.eye(K, dtype="float32")[LABELS], soft):
        images, targets = mixed(emotion=target)
        for i, j in enumerate(NEXT):
            np.testing.assert_allclose(images[i], SHARES[i] * IMAGES[i] + (1 - SHARES[i]) * IMAGES[j], rtol=1e-5)
            expected = SHARES[i] * target[i] + (1 - SHARES[i]) * target[j]
            np.testing.assert_allclose(targets["emotion"][i], expected, rtol=1e-5)
    np.testing.assert_array_equal(images[0], IMAGES[0])


def test_affect_is_mixed_where_both_are_known_and_unknown_elsewhere():
    _, targets = mixed(emotion=np.eye(K, dtype="float32")[LABELS], affect=AFFECT)
    np.testing.assert_allclose(targets["affect"][0], AFFECT[0])
    assert (targets["affect"][1:3] == UNKNOWN_AFFECT).all()  # of one of the two it is not known
    np.testing.assert_allclose(targets["affect"][3], 0.5 * AFFECT[3] + 0.5 * AFFECT[0])
    predicted = RNG.uniform(-1, 1, (B, T, 2)).astype("float32")
    expected = ((predicted - targets["affect"][:, None]) ** 2).sum(axis=-1).mean(axis=1)[[0, 3]].mean()
    assert float(losses.AffectLoss()(targets["affect"], predicted)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weights", [None, [0.5, 1, 2, 3, 4]])
@pytest.mark.parametrize("smoothing", [0, 0.2])
def test_the_loss_of_mixed_labels_is_the_mixture_of_their_losses(weights, smoothing):
    loss = losses.EmotionLoss(weights, smoothing)
    _, targets = mixed(emotion=np.eye(K, dtype="float32")[LABELS])
    plain, other = (keras.ops.convert_to_numpy(loss.call(labels, LOGITS)) for labels in (LABELS, LABELS[NEXT]))
    actual = keras.ops.convert_to_numpy(loss.call(targets["emotion"], LOGITS))
    np.testing.assert_allclose(actual, SHARES * plain + (1 - SHARES) * other, rtol=1e-5)
    assert float(loss(targets["emotion"], LOGITS)) == pytest.approx(actual.mean(), rel=1e-5)


def test_the_loss_of_soft_labels_is_the_cross_entropy_with_the_distribution():
    soft = RNG.dirichlet(np.ones(K), B).astype("float32")
    expected = -(soft[:, None] * np.log(np.exp(LOGITS) / np.exp(LOGITS).sum(axis=-1, keepdims=True))).sum(-1).mean(1)
    np.testing.assert_allclose(losses.EmotionLoss().call(soft, LOGITS), expected, rtol=1e-4)


def test_accuracy_compares_with_the_larger_share():
    metric = FinalAccuracy()
    _, targets = mixed(emotion=np.eye(K, dtype="float32")[LABELS])
    metric.update_state(targets["emotion"][:3], LOGITS[:3])
    assert float(metric.result()) == pytest.approx((LOGITS[:3, -1].argmax(axis=-1) == LABELS[:3]).mean())
