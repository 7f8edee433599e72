"""Occluders, the share of each window that they hide, and the weights of a model under them."""

import numpy as np
import pytest
from support import patch

from edram_fer import cli, files
from edram_fer.run import layout
from edram_fer.studies import region_weights as study
from edram_fer.studies.observer import Observer

# The left half, the right half and the whole image; pixel centres extend from -1 to 1.
HALVES = np.array([[[0.5, 0, -0.5], [0, 1, 0]], [[0.5, 0, 0.5], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]])


class Bright(patch.Patch):
    """Weighs three windows by their mean brightness."""

    def __init__(self, steps=1, count=3):
        super().__init__()
        self.steps, self.count = steps, count

    def predict_on_batch(self, inputs):
        outputs, images = super().predict_on_batch(inputs), inputs["image"][..., 0]
        width = images.shape[2] // 2
        parts = (images[:, :, :width], images[:, :, width:], images)
        brightness = np.stack([part.mean(axis=(1, 2)) for part in parts], axis=1)[:, : self.count] + 1e-3
        windows = np.tile(HALVES[: self.count], (len(images), 1, 1, 1))
        weights = brightness / brightness.sum(axis=1, keepdims=True)
        return {"emotion": outputs["emotion"][:, 1:].repeat(self.steps, 1), "windows": windows, "weights": weights}


@pytest.fixture
def observer(tmp_path, monkeypatch):
    patch.make_run(tmp_path, monkeypatch, patch.make_images(32), Bright())
    return Observer(tmp_path)


def test_images_of_one_person_have_no_intervals(tmp_path, monkeypatch, capsys):
    content = patch.make_images(32)
    patch.make_run(tmp_path, monkeypatch, {**content, "subject": np.full(len(content["image"]), "YM")}, Bright())
    with pytest.raises(SystemExit) as end:
        cli.main(["region-weights", str(tmp_path)])
    text = capsys.readouterr().out
    assert not end.value.code and "Intervals are undefined" in text
    assert "*" not in text.split("With an occluder")[0]
    written = files.read_json(tmp_path / layout.REGION_WEIGHTS)
    assert written["occluders"][0]["weight_change_interval"] == [[None, None]] * 3


def test_boxes_cover_the_pixels_with_centres_inside():
    mask = study.box_mask("x", (-1, -1, 0, 0.5), (5, 8))
    expected = np.zeros((5, 8), bool)
    for row, y in enumerate((-1, -0.5, 0, 0.5, 1)):
        for column in range(8):
            expected[row, column] = y <= 0.5 and -1 + 2 * column / 7 <= 0
    np.testing.assert_array_equal(mask, expected)
    for box in ((0, 0, 0, 1), (-2, 0, 1, 1), (0, 0, 1)):
        with pytest.raises(ValueError, match="box 'x': expected x0, y0, x1, y1 from -1 to 1"):
            study.box_mask("x", box, (5, 8))


def test_occluded_share_is_that_of_dense_samples():
    random = np.random.default_rng(0)
    windows = random.normal(0, 0.3, (3, 2, 2, 3)) + 0.4 * np.eye(2, 3)
    masks = random.random((3, 12, 10)) < 0.4
    shares = study.occluded_share(windows, masks)
    points = np.stack([*np.meshgrid(*[(np.arange(600) + 0.5) / 300 - 1] * 2), np.ones((600, 600))], axis=-1)
    for image, window in np.ndindex(3, 2):
        x, y = np.moveaxis(points @ windows[image, window].T, -1, 0)
        column, row = np.rint((x + 1) / 2 * 9).astype(int), np.rint((y + 1) / 2 * 11).astype(int)
        inside = (column >= 0) & (column < 10) & (row >= 0) & (row < 12)
        assert shares[image, window] == pytest.approx(masks[image, row[inside], column[inside]].mean(), abs=4e-3)
    np.testing.assert_array_equal(study.occluded_share(windows, np.ones((1, 12, 10), bool)), 1)


def test_weights_with_occluders(observer):
    boxes = {"left half": (-1, -1, 0, 1), "all": (-1, -1, 1, 1)}
    result = study.region_weights(observer, boxes=boxes, sides=(0.8, 0.4))
    assert result == files.read_json(observer.run / layout.REGION_WEIGHTS)
    figure = (observer.run / "figures" / layout.REGION_WEIGHTS_FIGURE).stat()
    assert figure.st_size > 5000  # older than the file, by which `reproduce` tells that the study is complete
    assert figure.st_mtime_ns <= (observer.run / layout.REGION_WEIGHTS).stat().st_mtime_ns
    assert result["windows"] == ["left", "right", "face"] and result["images"] == 30 and result["fill"] == 0
    assert [occluder["name"] for occluder in result["occluders"]] == ["left half", "all", "square 40%", "square 80%"]
    images = observer.images[..., 0] / 255
    brightness = (
        np.stack(
            [images[:, :, :10].mean(axis=(1, 2)), images[:, :, 10:].mean(axis=(1, 2)), images.mean(axis=(1, 2))], axis=1
        )
        + 1e-3
    )
    original = brightness / brightness.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result["original"]["weight"], original.mean(axis=0), rtol=1e-5)
    brightness[:, 0], brightness[:, 2] = 1e-3, images[:, :, 10:].sum(axis=(1, 2)) / images[0].size + 1e-3
    change = brightness / brightness.sum(axis=1, keepdims=True) - original
    left, everything = result["occluders"][:2]
    np.testing.assert_allclose(left["weight_change"], change.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(left["weight"], np.add(result["original"]["weight"], left["weight_change"]), rtol=1e-6)
    width = np.diff(left["weight_change_interval"]).ravel()
    np.testing.assert_allclose(width, 2 * 1.96 * change.std(axis=0) / np.sqrt(30), rtol=0.25, atol=1e-6)
    np.testing.assert_allclose(
        left["occluded_share"], [1, 0, 0.5], atol=0.03
    )  # the footprints of border pixels extend beyond -1
    assert everything["occluded_share"] == [1, 1, 1] and everything["accuracy"] == pytest.approx(1 / 3)
    assert result["original"]["accuracy"] == 1


def test_change_by_the_occluded_share():
    random = np.random.default_rng(0)
    shares = random.choice([0, 0.1, 0.25, 0.3, 0.9, 1], (2, 40, 3))
    changes = random.normal(0, 1, shares.shape)
    shares[..., 2] = 0
    curves = study.change_by_occluded_share(changes, shares, ["a", "b", "c"], repeats=200)
    assert [curve["name"] for curve in curves] == ["all", "a", "b", "c"]
    ranges = ((-1, 0), (0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1))
    for curve, part in zip(curves, (slice(None), slice(0, 1), slice(1, 2), slice(2, 3))):
        for index, (low, high) in enumerate(ranges):
            inside = (shares[..., part] > low) & (shares[..., part] <= high)
            values = changes[..., part][inside]
            assert curve["observations"][index] == len(values)
            if not len(values):
                assert np.isnan([curve["weight_change"][index], curve["occluded_share"][index]]).all()
                continue
            assert curve["weight_change"][index] == pytest.approx(values.mean())
            assert curve["occluded_share"][index] == pytest.approx(shares[..., part][inside].mean())
            low, high = curve["weight_change_interval"][index]
            assert low < values.mean() < high
            assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(len(values)), rel=0.4)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Bright(count=1), {}, "expected a model that weighs several windows of an image, got one window"),
        (Bright(steps=3), {}, "got a recurrent model, whose 3 glimpses"),
        (Bright(), {"sides": (0,)}, "side: expected more than 0, at most 1, got 0"),
        (Bright(), {"boxes": {"nose": (0.5, 0, 0, 1)}}, "box 'nose': expected x0, y0, x1, y1"),
        (Bright(), {"fill": "white"}, "fill: expected a grey level"),
    ],
)
def test_invalid_arguments_and_models_are_rejected(tmp_path, monkeypatch, model, options, message):
    patch.make_run(tmp_path, monkeypatch, patch.make_images(8), model)
    with pytest.raises(ValueError, match=message):
        study.region_weights(Observer(tmp_path), **options)
    assert not (tmp_path / layout.REGION_WEIGHTS).exists()
