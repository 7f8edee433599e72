"""Early exit against a loop over images."""

import numpy as np
import pyarrow as pa
import pytest

from edram_fer.attention import early_exit
from edram_fer.run import predictions
from edram_fer.run.predictions import unpack

FEW = {"repeats": 20}


def made_up(count=60, steps=4, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, count)
    logits = rng.normal(0, 1, (count, steps, classes))
    logits[np.arange(count), :, truth] += np.linspace(0, 2, steps)
    return truth, np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def test_each_image_stops_when_the_model_is_sure():
    truth, probabilities = made_up()
    found = early_exit.curve(truth, probabilities, thresholds=[0, 0.6, 0.9, np.inf], **FEW)
    for m, threshold in enumerate([0, 0.6, 0.9, np.inf]):
        looks, right = [], []
        for label, rows in zip(truth, probabilities):
            for t, row in enumerate(rows):
                if max(row) >= threshold or t == 3:
                    looks.append(t + 1)
                    right.append(np.argmax(row) == label)
                    break
        assert found["mean_glimpses"][m] == pytest.approx(np.mean(looks))
        assert found["accuracy"][m] == pytest.approx(np.mean(right))
        np.testing.assert_allclose(found["exit_share"][m], [np.mean(np.array(looks) == t) for t in range(1, 5)])
    after = [(probabilities[:, t].argmax(axis=-1) == truth).mean() for t in range(4)]
    np.testing.assert_allclose(found["accuracy_after_glimpse"], after)
    assert found["accuracy"][0] == after[0] and found["mean_glimpses"][0] == 1
    assert found["accuracy"][-1] == after[-1] and found["mean_glimpses"][-1] == 4
    assert (found["accuracy_interval"][:, 0] <= found["accuracy"]).all() and found["accuracy_interval"].shape == (4, 2)


def test_a_top_probability_at_the_threshold_is_enough():
    probabilities = np.array([[[0.5, 0.5], [0.25, 0.75], [1, 0]]])
    assert early_exit.stops(probabilities, [0.5, 0.75, 0.8, 1, 2]).tolist() == [[0, 1, 2, 2, 2]]


def test_the_default_thresholds_reach_both_ends():
    truth, probabilities = made_up()
    probabilities[:, 1] = np.eye(3)[truth]  # quite sure: even so the last threshold waits for the end
    found = early_exit.curve(truth, probabilities, **FEW)
    assert found["mean_glimpses"][0] == 1 and found["mean_glimpses"][-1] == 4 and found["mean_glimpses"][-2] <= 2
    assert (np.diff(found["mean_glimpses"]) >= 0).all()


def test_a_single_step():
    truth, probabilities = made_up(steps=1)
    found = early_exit.curve(truth, probabilities, **FEW)
    assert (found["mean_glimpses"] == 1).all() and np.ptp(found["accuracy"]) == 0


def test_a_predictions_table_without_what_the_model_does_not_know():
    truth, probabilities = made_up()
    images = {"emotion": np.where(np.arange(60) < 50, truth, 3), "id": np.arange(60), "subject": ["s"] * 60}
    images["emotion"][:5] = -1
    outputs = {"probabilities": probabilities, "windows": np.zeros((60, 4, 2, 3)), "weights": np.full((60, 4), 0.25)}
    rows = predictions.table("test", images, outputs, ["happy", "sad", "fear", "contempt"], ["happy", "sad", "fear"])
    found = early_exit.curve_from_predictions(unpack(rows), **FEW)
    expected = early_exit.curve(truth[5:50], probabilities[5:50].astype(np.float32), **FEW)
    assert found["excluded"] == 15 and found["images"] == 45
    np.testing.assert_array_equal(found["accuracy"], expected["accuracy"])
    assert np.ptp(found["accuracy_interval"], axis=-1).max() == 0  # one subject: nothing to resample
    with pytest.raises(ValueError, match=r"\[n > 0, T, K\]"):
        early_exit.curve_from_predictions(unpack(rows.filter(pa.array([False] * 60))))


def test_bad_shapes_are_refused():
    truth, probabilities = made_up()
    with pytest.raises(ValueError, match=r"got \[60, 4, 3\] and \(59,\)"):
        early_exit.curve(truth[1:], probabilities)
