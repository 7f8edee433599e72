"""Window gradients of a run: finite differences, their noise, means and intervals, resuming, rejected models."""

import numpy as np
import pytest
from support.tiny import draw_weights

from edram_fer import attention, cli, files, models
from edram_fer.attention.windows import SLOPES, slopes
from edram_fer.commands import study
from edram_fer.errors import UserError
from edram_fer.evaluation import inference
from edram_fer.figures.window_gradients import window_gradients as draw
from edram_fer.run import layout
from edram_fer.studies import resumable, window_gradients
from edram_fer.studies.observer import Observer


@pytest.fixture
def observer(copied):
    return Observer(copied, split="test", batch_size=6)


def moved(windows, move, step, shape):
    """Windows after a move by pixels, tenths of the size, or tens of degrees, computed from their corners in pixels."""
    corners = attention.corner_pixels(windows, shape)
    centre = corners.mean(axis=-2, keepdims=True)
    angle = np.radians(10 * step) if move == "clockwise" else 0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = centre + (corners - centre) @ turn.T * (1 + 0.1 * step * (move == "larger"))
    corners += step * np.array([move == "right", move == "down"])
    corners = corners * 2 / np.array([shape[1] - 1, shape[0] - 1]) - 1
    x_axis, y_axis = (corners[..., end, :] - corners[..., 0, :] for end in (1, 3))
    return np.stack([x_axis / 2, y_axis / 2, corners.mean(axis=-2)], axis=-1)


def test_slopes_are_those_of_moves_in_pixels():
    rng, shape, step = np.random.default_rng(0), (30, 45), 1e-5
    windows, gradients = rng.normal(0, 0.5, (2, 6, 2, 3))
    expected = [
        ((moved(windows, move, step, shape) - moved(windows, move, -step, shape)) * gradients).sum(axis=(1, 2))
        / step
        / 2
        for move in SLOPES
    ]
    np.testing.assert_allclose(slopes(windows, gradients, shape), np.transpose(expected), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("limited", [pytest.param(False, marks=pytest.mark.slow), True])
def test_gradients_are_slopes_of_the_probability(observer, limited):
    """Under a limit the sensor's windows are not the ones that the where-path reads; a move changes both."""
    shape, labels = observer.images.shape[1:3], observer.labels
    calibration = {"temperature": [1.3, 2.0]}
    size = {"image_size": shape, "classes": len(observer.emotions), "glimpse_size": 14, "glimpse_units": 8}
    size |= {"head_units": 8, "classification_units": 8, "location_units": 8, "glimpses": 2}
    limit = {"zoom_limit": 0.3, "zoom_mode": "clip"} if limited else {}
    observer.model = draw_weights(models.build("edram", **size, **limit))
    observer.original = observer.outputs(observer.images, np.arange(len(labels)))
    assert np.allclose(observer.original["emitted"][:, :2], observer.original["windows"]) != limited
    observer.model.calibration = calibration
    window_gradients.window_gradients(observer, noise=0)
    arrays = np.load(observer.run / layout.WINDOW_GRADIENTS_ARRAYS)
    windows, emitted = observer.original["windows"], observer.original["emitted"][:, :2]
    np.testing.assert_array_equal(arrays["windows"], windows)
    found, step = slopes(windows, arrays["gradients"], shape), 0.005

    def probability(move, glimpse, step):
        change = (moved(windows[:, glimpse], move, step, shape) - windows[:, glimpse]).astype(np.float32)
        given = {name: values.copy() for name, values in (("windows", windows), ("emitted", emitted))}
        for values in given.values():
            values[:, glimpse] += change
        logits = observer.model.predict_on_batch({"image": observer.images / np.float32(255), **given})["emotion"]
        probabilities = inference.probabilities(np.asarray(logits), calibration["temperature"])
        return probabilities[np.arange(len(labels)), -1, labels].astype(float)

    for glimpse in range(2):
        for index, move in enumerate(SLOPES):
            expected = (probability(move, glimpse, step) - probability(move, glimpse, -step)) / (2 * step)
            size = np.abs(expected).mean()
            # Where a point of the sensor passes a pixel's middle, the two sides differ: not on most images.
            assert np.median(np.abs(found[:, glimpse, index] - expected)) < 0.1 * size
            assert size > 1e-5


def test_the_gradient_is_the_mean_over_windows_with_noise(observer, monkeypatch):
    observer.batch_size, seen = 100, []

    def shifts(observer):
        return lambda rows, shift: seen.append(shift) or shift

    monkeypatch.setattr(window_gradients, "_gradient", shifts)
    window_gradients.window_gradients(observer, noise=1.5, samples=40)
    found = np.load(observer.run / layout.WINDOW_GRADIENTS_ARRAYS)["gradients"]
    np.testing.assert_allclose(found, np.mean(seen, axis=0), atol=1e-6)
    assert len(seen) == 40 and not np.any([shift[..., :2] for shift in seen])
    height, width = observer.images.shape[1:3]
    pixels = np.array(seen)[..., 2] * (width - 1, height - 1) / 2
    assert pixels.std() == pytest.approx(1.5, rel=0.05) and abs(pixels.mean()) < 0.1
    assert len(np.unique(pixels)) == pixels.size


def test_means_sizes_and_intervals():
    rng = np.random.default_rng(3)
    changes = rng.normal([0.0, 0.1, 0.0, 0.0], 1, (900, 2, 4))
    groups = [("all", np.arange(900)), ("some", np.arange(400))]
    result = window_gradients.summarise(changes, groups)
    assert [(group["name"], group["images"]) for group in result] == [("all", 900), ("some", 400)]
    for (_, rows), group in zip(groups, result, strict=True):
        for index, move in enumerate(SLOPES):
            values, slope = changes[rows, :, index], group[move]
            np.testing.assert_allclose(slope["mean"], values.mean(axis=0))
            np.testing.assert_allclose(slope["size"], np.abs(values).mean(axis=0))
            half = 1.96 * values.std(axis=0) / np.sqrt(len(values))
            expected = np.stack([values.mean(axis=0) - half, values.mean(axis=0) + half], axis=-1)
            np.testing.assert_allclose(slope["interval"], expected, atol=0.02)
    [alone] = window_gradients.summarise(changes[:40], [("all", np.arange(40))], subjects=["a"] * 40)
    assert np.isnan(alone["right"]["interval"]).all()
    assert study._change(alone["right"], 0).split()[0][-1] != "*"  # nothing is known about other people
    faces, windows = np.full((1, 12, 12, 1), 0.5), np.tile(0.5 * np.eye(2, 3), (1, 2, 1, 1))
    assert draw(faces, windows, ["left", "right"], [alone]).axes


def test_an_interrupted_calculation_resumes_to_the_same_file(observer, monkeypatch):
    calls = []

    def product(observer):  # in place of a gradient
        return lambda rows, shift: calls.append(rows) or observer.original["windows"][rows] * shift

    def gradients(samples=2):
        return window_gradients.window_gradients(observer, samples=samples)

    monkeypatch.setattr(window_gradients, "_gradient", product)
    complete, path = gradients(), observer.run / layout.WINDOW_GRADIENTS_ARRAYS
    expected = path.read_bytes()
    assert len(calls) == 8  # 21 images in four steps of two samples
    path.unlink()

    def interrupted(observer):
        def gradient(rows, shift):
            if len(calls) == 13:
                raise KeyboardInterrupt
            return product(observer)(rows, shift)

        return gradient

    with monkeypatch.context() as patched:
        patched.setattr(resumable, "EVERY", 0)
        patched.setattr(window_gradients, "_gradient", interrupted)
        with pytest.raises(KeyboardInterrupt):
            gradients()
    assert int(np.load(path)["steps_done"]) == 2
    assert files.plain(gradients()) == files.plain(complete) and path.read_bytes() == expected
    assert len(calls) == 13 + 4
    with pytest.raises(UserError, match="samples: 2 in the file, 3 now"):
        gradients(samples=3)
    observer.batch_size = 7  # a step is a batch
    with pytest.raises(UserError, match="batch_size: 6 in the file, 7 now"):
        gradients()


def test_the_command_prints_and_draws(copied, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["window-gradients", str(copied), "--samples", "2", "--images", "14"])
    assert not end.value.code
    lines = capsys.readouterr().out.splitlines()
    result = files.read_json(copied / layout.WINDOW_GRADIENTS)
    assert result["images"] == 14 and result["noise"] == 1 and result["windows"] == ["glimpse 1", "glimpse 2"]
    first = next(line for line in lines if line.startswith("all"))
    assert f"{100 * result['groups'][0]['right']['mean'][0]:+.2f}" in first
    assert (copied / "figures" / layout.WINDOW_GRADIENTS_FIGURE).stat().st_size > 1000


def test_what_has_no_window_gradients_is_said(observer):
    with pytest.raises(UserError, match="samples of at least 1 and noise of at least 0, got 0 and 1"):
        window_gradients.window_gradients(observer, samples=0)
    observer.model = None  # such as an exported one
    with pytest.raises(UserError, match="gradients need a model of edram_fer in a .keras file"):
        window_gradients.window_gradients(observer)
    observer.original["windows"][:] = np.eye(2, 3)
    with pytest.raises(UserError, match="the whole of every image: it has no windows to move"):
        window_gradients.window_gradients(observer)
