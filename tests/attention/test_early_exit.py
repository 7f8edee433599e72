"""Early exit compared with a loop over images."""

import numpy as np
import pyarrow as pa
import pytest

from edram_fer.attention import early_exit
from edram_fer.run import predictions
from edram_fer.run.predictions import unpack

FEW = {"repeats": 20}


def random_predictions(count=60, steps=4, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, count)
    logits = rng.normal(0, 1, (count, steps, classes))
    logits[np.arange(count), :, truth] += np.linspace(0, 2, steps)
    return truth, np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def test_each_image_stops_when_the_model_is_confident():
    truth, probabilities = random_predictions()
    curve = early_exit.curve(truth, probabilities, thresholds=[0, 0.6, 0.9, np.inf], **FEW)
    for m, threshold in enumerate([0, 0.6, 0.9, np.inf]):
        glimpses, correct = [], []
        for label, rows in zip(truth, probabilities):
            for t, row in enumerate(rows):
                if max(row) >= threshold or t == 3:
                    glimpses.append(t + 1)
                    correct.append(np.argmax(row) == label)
                    break
        assert curve["mean_glimpses"][m] == pytest.approx(np.mean(glimpses))
        assert curve["accuracy"][m] == pytest.approx(np.mean(correct))
        np.testing.assert_allclose(curve["exit_share"][m], [np.mean(np.array(glimpses) == t) for t in range(1, 5)])
    accuracy_after = [(probabilities[:, t].argmax(axis=-1) == truth).mean() for t in range(4)]
    np.testing.assert_allclose(curve["accuracy_after_glimpse"], accuracy_after)
    assert curve["accuracy"][0] == accuracy_after[0] and curve["mean_glimpses"][0] == 1
    assert curve["accuracy"][-1] == accuracy_after[-1] and curve["mean_glimpses"][-1] == 4
    assert (curve["accuracy_interval"][:, 0] <= curve["accuracy"]).all() and curve["accuracy_interval"].shape == (4, 2)


def test_a_top_probability_at_the_threshold_is_enough():
    probabilities = np.array([[[0.5, 0.5], [0.25, 0.75], [1, 0]]])
    assert early_exit.stops(probabilities, [0.5, 0.75, 0.8, 1, 2]).tolist() == [[0, 1, 2, 2, 2]]


def test_the_default_thresholds_reach_both_ends():
    truth, probabilities = random_predictions()
    probabilities[:, 1] = np.eye(3)[truth]  # certain, yet the last threshold waits for the end
    curve = early_exit.curve(truth, probabilities, **FEW)
    assert curve["mean_glimpses"][0] == 1 and curve["mean_glimpses"][-1] == 4 and curve["mean_glimpses"][-2] <= 2
    assert (np.diff(curve["mean_glimpses"]) >= 0).all()


def test_a_single_step():
    truth, probabilities = random_predictions(steps=1)
    curve = early_exit.curve(truth, probabilities, **FEW)
    assert (curve["mean_glimpses"] == 1).all() and np.ptp(curve["accuracy"]) == 0


def test_images_of_unknown_emotions_are_excluded():
    truth, probabilities = random_predictions()
    images = {"emotion": np.where(np.arange(60) < 50, truth, 3), "id": np.arange(60), "subject": ["s"] * 60}
    images["emotion"][:5] = -1
    outputs = {"probabilities": probabilities, "windows": np.zeros((60, 4, 2, 3)), "weights": np.full((60, 4), 0.25)}
    rows = predictions.table("test", images, outputs, ["happy", "sad", "fear", "contempt"], ["happy", "sad", "fear"])
    curve = early_exit.curve_from_predictions(unpack(rows), **FEW)
    expected = early_exit.curve(truth[5:50], probabilities[5:50].astype(np.float32), **FEW)
    assert curve["excluded"] == 15 and curve["images"] == 45
    np.testing.assert_array_equal(curve["accuracy"], expected["accuracy"])
    assert np.isnan(curve["accuracy_interval"]).all()  # a single subject says nothing about others
    with pytest.raises(ValueError, match=r"\[n > 0, T, K\]"):
        early_exit.curve_from_predictions(unpack(rows.filter(pa.array([False] * 60))))


def test_wrong_shapes_are_rejected():
    truth, probabilities = random_predictions()
    with pytest.raises(ValueError, match=r"got \[60, 4, 3\] and \(59,\)"):
        early_exit.curve(truth[1:], probabilities)
