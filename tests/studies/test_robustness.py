"""Accuracy of a run for growing squares and rotations."""

import numpy as np
import pytest
from support import patch

from edram_fer import files
from edram_fer.figures.multi_run import robustness_curves
from edram_fer.run import layout
from edram_fer.studies import robustness
from edram_fer.studies.observer import Observer


def test_accuracies_for_each_level(tmp_path, monkeypatch):
    content = patch.make_images(62)
    patch.make_run(tmp_path, monkeypatch, content)
    observer = Observer(tmp_path)
    result = robustness.robustness(observer, sides=(0.5, 0, 1), angles=(0,))
    assert result == files.read_json(tmp_path / layout.ROBUSTNESS)
    assert (tmp_path / "figures" / layout.ROBUSTNESS_FIGURE).stat().st_size > 1000
    assert [row["level"] for row in result["occlusion"]] == [0, 0.5, 1] and result["images"] == 60
    nothing, half, everything = result["occlusion"]
    assert nothing["accuracy"] == result["rotation"][0]["accuracy"] == 1 and nothing["accuracy_drop"] == 0
    assert (
        everything["accuracy"] == pytest.approx(1 / 3) == result["majority_accuracy"]
    )  # everything covered, every patch is black
    assert 1 / 3 < half["accuracy"] < 1 and half["accuracy_drop"] == pytest.approx(1 - half["accuracy"])
    low, high = half["accuracy_interval"]
    sd = np.sqrt(half["accuracy"] * (1 - half["accuracy"]) / 60)
    assert high - low == pytest.approx(2 * 1.96 * sd, rel=0.2)
    np.testing.assert_allclose(half["accuracy_drop_interval"], [1 - high, 1 - low], atol=0.03)
    repeated = robustness.robustness(Observer(tmp_path), sides=(0.5, 0, 1), angles=(0,))
    assert repeated == result


def test_images_of_one_person_have_no_intervals(tmp_path, monkeypatch):
    content = patch.make_images(32)
    patch.make_run(tmp_path, monkeypatch, {**content, "subject": np.full(len(content["image"]), "YM")})
    result = robustness.robustness(Observer(tmp_path), sides=(0.5,), angles=(5,))
    assert np.isnan(result["occlusion"][0]["accuracy_interval"]).all()
    written = files.read_json(tmp_path / layout.ROBUSTNESS)
    assert written["occlusion"][0]["accuracy_interval"] == [None, None]
    assert "Intervals are undefined" in written["intervals_note"]
    rows = robustness.table_rows(written, "run")
    assert robustness_curves(rows, ["run"]).axes


@pytest.mark.parametrize(
    ("levels", "message"),
    [({"sides": (0.1, 1.2)}, "side: expected 0 to 1, got 1.2"), ({"angles": (200,)}, "angle: expected -180 to 180")],
)
def test_invalid_levels_are_rejected(tmp_path, monkeypatch, levels, message):
    patch.make_run(tmp_path, monkeypatch, patch.make_images(8))
    with pytest.raises(ValueError, match=message):
        robustness.robustness(Observer(tmp_path), **levels)
