"""Information maps of a run: files, resuming, scores against masks, every model, and rejected arguments."""

import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from support import patch
from support.tiny import TINIES, draw_weights

from edram_fer import cli, files
from edram_fer.attention.occlusion import occlude
from edram_fer.evaluation import inference
from edram_fer.run import layout
from edram_fer.studies import resumable, saliency
from edram_fer.studies.observer import Observer

OCCLUSION = {"window": 6, "stride": 3}
BUBBLES = {"sigma": 2.0, "trials": 3000}
RISE = {"masks": 200, "cells": 5}


@pytest.fixture
def run(tmp_path, monkeypatch):
    model = patch.make_run(tmp_path / "run", monkeypatch, patch.make_images(62))
    return SimpleNamespace(folder=tmp_path / "run", model=model)


def interrupt_after(model, count, monkeypatch):
    """Interrupt the model once it has seen so many images."""
    predict = model.predict_on_batch

    def interrupted(inputs):
        if model.images_seen >= count:
            raise KeyboardInterrupt
        return predict(inputs)

    monkeypatch.setattr(model, "predict_on_batch", interrupted)


def test_occlusion_finds_the_patch(run):
    result = saliency.compute_occlusion_maps(Observer(run.folder, count=30, seed=1), **OCCLUSION, fill=128)
    arrays = np.load(run.folder / "saliency_occlusion.npz")
    assert arrays["probability_drop"].shape == (30, *patch.SHAPE) and list(arrays["emotions"]) == list(patch.EMOTIONS)
    assert np.bincount(arrays["label"]).tolist() == [10, 10, 10] and result["images"] == 30
    for k, name in enumerate(patch.EMOTIONS):
        members = arrays["label"] == k
        for kind in ("probability_drop", "error_rate"):
            expected = arrays[kind][members].astype(float).mean(axis=0)
            np.testing.assert_allclose(arrays[f"mean_{kind}"][k], expected, atol=1e-6)
            assert result["emotions"][name][kind] == pytest.approx(arrays[f"mean_{kind}"][k].mean())
    happy, neutral, sad = arrays["mean_probability_drop"]
    inside = np.zeros(patch.SHAPE, bool)
    inside[patch.PATCH] = True
    assert abs(neutral).max() < 0.01  # grey hides no grey
    for drop in (happy, sad):
        assert inside.ravel()[drop.argmax()] and drop.max() > 0.5 and not drop[:5].any()
    assert result == files.read_json(run.folder / "saliency_occlusion.json")
    for name in ("saliency_samples.png", "saliency_occlusion.png"):
        assert (run.folder / "figures" / name).stat().st_size > 5000
    scores = result["mask_scores"]["scores"]
    assert result["mask_scores"]["images"] == 20 and result["mask_scores"]["excluded"] == 10  # neutral has no mask
    assert scores["windows"] == {name: {"value": 1, "interval": [1, 1]} for name in ("pointing", "auc")}
    assert scores["maps"]["pointing"]["value"] > 0.9 > scores["centre_bias"]["pointing"]["value"]
    assert scores["maps"]["auc"]["value"] > scores["centre_bias"]["auc"]["value"]


def test_bubbles_find_the_patch(run):
    result = saliency.compute_bubbles_maps(Observer(run.folder), **BUBBLES)
    arrays = np.load(run.folder / "saliency_bubbles.npz")
    assert arrays["z"].shape == (3, *patch.SHAPE) and arrays["trials"].tolist() == [1000, 1000, 1000]
    # a neutral patch is as grey as its cover: every answer is correct, and z is undefined
    assert np.isnan(arrays["z"][1]).all() and result["emotions"]["neutral"]["largest_z"] is None
    inside = np.zeros(patch.SHAPE, bool)
    inside[patch.PATCH] = True
    for z in (arrays["z"][0], arrays["z"][2], arrays["z_all"]):
        assert inside.ravel()[z.argmax()] and z.max() > 15
    assert np.abs(arrays["z_all"][:6]).max() < 4.5
    assert result["target_accuracy"] == pytest.approx((1 / 3 + 1) / 2)
    assert result["accuracy"] == pytest.approx(result["target_accuracy"], abs=0.05)
    fixed = saliency.compute_bubbles_maps(Observer(run.folder), bubbles=result["bubbles"], **BUBBLES, restart=True)
    assert fixed["accuracy"] == result["accuracy"] and "target_accuracy" not in fixed
    assert (run.folder / "figures" / "saliency_bubbles.png").stat().st_size > 5000
    assert result["mask_scores"]["scores"]["maps"]["pointing"] == {"value": 1, "interval": [1, 1]}


def test_rise_finds_the_patch(run):
    result = saliency.METHODS["rise"](Observer(run.folder, count=12, seed=1), **RISE)
    arrays = np.load(run.folder / "saliency_rise.npz")
    assert arrays["maps"].shape == (12, *patch.SHAPE) and arrays["deletion"].shape == (12, 17)
    inside = np.zeros(patch.SHAPE, bool)
    inside[patch.PATCH] = True
    for label, values in zip(arrays["label"], arrays["maps"], strict=True):
        assert patch.EMOTIONS[label] == "neutral" or inside.ravel()[values.argmax()]
    assert result == files.read_json(run.folder / "saliency_rise.json") and "completeness" not in result
    curves = result["curves"]
    for kind, curve in (("deletion", arrays["deletion"]), ("insertion", arrays["insertion"])):
        (low, high), value = curves["maps"][kind]["interval"], curves["maps"][kind]["value"]
        assert low <= value <= high and value == pytest.approx(np.trapezoid(curve, dx=1 / 16).mean(), abs=1e-5)
    # The patch decides all: another image's map, whose maximum is in the patch as well, is as good.
    assert curves["maps"]["insertion"]["value"] > 0.7 and curves["maps"]["deletion"]["value"] < 0.5
    np.testing.assert_allclose(arrays["insertion"][:, -1], arrays["deletion"][:, 0])
    assert (run.folder / "figures" / "saliency_rise.png").stat().st_size > 5000
    assert result["mask_scores"]["scores"]["maps"]["auc"]["value"] > 0.9


def test_methods_that_need_a_gradient_refuse_a_model_without(run):
    with pytest.raises(ValueError, match=r"gradients need a model of edram_fer in a \.keras file, got Patch"):
        saliency.METHODS["grad-cam"](Observer(run.folder, count=3))
    assert not list(run.folder.glob("saliency*"))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("occlusion", OCCLUSION),
        ("bubbles", {**BUBBLES, "bubbles": 8}),
        pytest.param("rise", RISE, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_calculation_resumes_to_the_same_file(run, monkeypatch, method, options):
    def maps():
        return saliency.METHODS[method](Observer(run.folder, count=12), **options)

    complete, path = maps(), run.folder / f"saliency_{method}.npz"
    expected = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(resumable, "EVERY", 0)
    total, run.model.images_seen = run.model.images_seen, 0
    for share in (0.5, 0.8):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            interrupt_after(run.model, share * total, patched)
            maps()
    before = np.load(path)
    assert int(before["steps_done"]) > 1 and not {"mean_probability_drop", "z", "label"} & set(before)
    run.model.images_seen = 0
    assert maps() == complete and path.read_bytes() == expected
    assert run.model.images_seen < 0.8 * total
    run.model.images_seen = 0
    assert maps() == complete and run.model.images_seen == 12  # only the original images; nothing is left to do


def test_other_arguments_or_another_model_are_rejected(run):
    observer = Observer(run.folder, count=6)
    saliency.compute_occlusion_maps(observer, **OCCLUSION)
    with pytest.raises(ValueError, match=r"saliency_occlusion.npz was .*\(window: 6 in the file, 8 now\).*--force"):
        saliency.compute_occlusion_maps(observer, window=8, stride=3)
    assert saliency.compute_occlusion_maps(observer, window=8, stride=3, restart=True)["window"] == 8
    (run.folder / "model.keras").write_bytes(b"trained on")
    with pytest.raises(ValueError, match="model_digest"):
        saliency.compute_occlusion_maps(observer, window=8, stride=3)


def test_without_masks_there_are_no_scores(tmp_path, monkeypatch):
    patch.make_run(tmp_path, monkeypatch, patch.make_images(20, masks=False), patch.Patch(windows=False))
    result = saliency.compute_occlusion_maps(Observer(tmp_path, count=3), **OCCLUSION)
    assert result["mask_scores"] is None


def test_images_of_one_person_have_no_intervals(tmp_path, monkeypatch, capsys):
    content = patch.make_images(14)
    patch.make_run(tmp_path, monkeypatch, {**content, "subject": np.full(14, "YM")})
    with pytest.raises(SystemExit) as end:
        cli.main(["saliency", str(tmp_path), "--images=3", "--method=rise", "--masks=4"])
    text = capsys.readouterr().out
    assert not end.value.code and "Intervals are undefined" in text and " to " not in text
    written = files.read_json(tmp_path / "saliency_rise.json")
    assert written["mask_scores"]["scores"]["maps"]["auc"]["interval"] == [None, None]


def test_a_single_image_has_no_other_map_and_a_neutral_one_no_mask(tmp_path, monkeypatch, capsys):
    content = patch.make_images(14)
    neutral = content["emotion"] == 0
    patch.make_run(tmp_path, monkeypatch, {name: values[neutral] for name, values in content.items()})
    with pytest.raises(SystemExit) as end:
        cli.main(["saliency", str(tmp_path), "--images=1", "--method=rise", "--masks=4"])
    assert not end.value.code and "shuffled maps: deletion –, insertion –" in capsys.readouterr().out
    written = files.read_json(tmp_path / "saliency_rise.json")
    assert written["mask_scores"] is None and written["curves"]["shuffled_maps"]["deletion"]["value"] is None


def test_a_prediction_that_is_not_finite_names_the_image(run):
    observer = Observer(run.folder, count=9)
    run.model.broken = lambda images: (images[:, 0, 0, 0] == 0) & (np.arange(len(images)) >= 0)
    with pytest.raises(ValueError, match=rf"^image {observer.ids[0]} of test: the model's output `emotion` is not"):
        saliency.compute_occlusion_maps(observer, **OCCLUSION)
    broken = [observer.images[row, 0, 0, 0] for row in (4, 7)]
    run.model.broken = lambda images: np.isin(np.rint(images[:, 0, 0, 0] * 255), broken)
    with pytest.raises(ValueError, match=rf"^image {observer.ids[4]}, {observer.ids[7]} of test"):
        Observer(run.folder, count=9)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("occlusion", {"window": 21}, "window: expected 1 to 20 pixels for images of 24 x 20, got 21"),
        ("occlusion", {"window": 4, "stride": 5}, "stride: expected 1 to 4 pixels"),
        ("occlusion", {"fill": "grey"}, "fill: expected a grey level from 0 to 255 or mean, got 'grey'"),
        ("occlusion", {"fill": 256}, "fill: expected a grey level"),
        ("bubbles", {"sigma": 0}, "sigma: expected a positive number of pixels, got 0"),
        ("bubbles", {"bubbles": 0}, "bubbles: expected at least 1, got 0"),
        ("bubbles", {"accuracy": 1.0}, "accuracy: expected a share between 0 and 1, got 1.0"),
        ("bubbles", {"trials": 1}, "trials: expected at least 2, got 1"),
        ("rise", {"masks": 1}, "expected samples of at least 1, masks of at least 2"),
        ("rise", {"cells": 0}, "expected at least one cell"),
    ],
)
def test_invalid_arguments_are_rejected_before_anything_is_written(run, method, options, message):
    with pytest.raises(ValueError, match=message):
        saliency.METHODS[method](Observer(run.folder, count=3), **options)
    assert not list(run.folder.glob("saliency*"))


@pytest.mark.parametrize("name", list(TINIES))
@pytest.mark.slow
def test_every_model_can_be_studied(name, tmp_path):
    from edram_fer import models
    from edram_fer.run import checkpoints

    options, rng = TINIES[name], np.random.default_rng(0)
    model = draw_weights(models.build(name, **options))
    images = rng.integers(0, 256, (8, *options["image_size"], 1), dtype=np.uint8)
    emotions = ("neutral", "happy", "sad", "surprise")
    path = tmp_path / "noise.npz"
    metadata = {"source": "noise", "version": "1", "fingerprint": "a", "emotions": np.array(emotions)}
    content = {"image": images, "emotion": np.arange(8) % 4, "id": np.arange(8).astype("U"), "affect": np.zeros((8, 2))}
    np.savez(path, **metadata, **{f"test/{key}": values for key, values in content.items()})
    model.emotions = emotions
    checkpoints.save(model, tmp_path / "model.keras")
    files.write_json(tmp_path / "recipe.json", {"data": str(path)})
    observer = Observer(tmp_path, count=4, batch_size=4)
    saliency.compute_occlusion_maps(observer, window=16, stride=16, fill=30)
    drop = np.load(tmp_path / "saliency_occlusion.npz")["probability_drop"]
    covered = occlude(observer.images[2], [[16, 0]], 16, 30)  # the only square over the lower left pixel
    probabilities = inference.predict(model, np.concatenate([covered, observer.images[1:]]))["probabilities"][:, -1]
    assert drop[2, -1, 0] == pytest.approx((probabilities[2] - probabilities[0])[observer.labels[2]], abs=1e-5)
    assert saliency.compute_bubbles_maps(observer, sigma=4, bubbles=5, trials=8)["trials"] == 8
    assert (observer.window_density() is None) == (name == "cnn")
    for method in layout.ATTRIBUTIONS:
        options = {"smoothgrad": {"samples": 4}, "rise": {"masks": 40}}.get(method, {})
        result = saliency.METHODS[method](observer, **options)
        maps = np.load(tmp_path / f"saliency_{method}.npz")["maps"]
        assert (
            maps.shape == (4, *observer.images.shape[1:3])
            and np.isfinite(maps).all()
            and (maps.any() or method == "grad-cam")
        )
        if method == "integrated-gradients":
            assert result["completeness"]["median"] <= 0.01
            grey = np.full(observer.images.shape, result["fill"])
            gained = observer.original["probabilities"][:, -1] - observer.answer(grey, np.arange(4))
            np.testing.assert_allclose(maps.sum(axis=(1, 2)), gained[np.arange(4), observer.labels], atol=2e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--method", "grad"],
            "--method: expected one of occlusion, bubbles, integrated-gradients, smoothgrad, grad-cam, rise, got",
        ),
        (["--sigma", "2"], "--sigma belongs to --method bubbles, not to occlusion"),
        (["--bubbles", "9"], "--bubbles belongs to --method bubbles"),
        (["--method", "bubbles", "--window", "9"], "--window belongs to --method occlusion"),
        (["--method", "bubbles", "--bubbles", "9", "--accuracy", "0.5"], "--bubbles and --accuracy cannot be combined"),
        (["--window", "99"], "error: window: expected 1 to 20 pixels for images of 24 x 20, got 99"),
    ],
)
def test_the_command_rejects_invalid_arguments(run, capsys, arguments, message):
    with pytest.raises(SystemExit) as end:
        cli.main(["saliency", str(run.folder), *arguments])
    if isinstance(end.value.code, str):
        print(end.value.code, file=sys.stderr)
    assert end.value.code != 0 and message in capsys.readouterr().err


def test_the_commands_print_their_results(run, capsys):
    for arguments in (
        ["saliency", "--images", "9"],
        ["saliency", "--method", "bubbles", "--trials", "500"],
        ["robustness", "--side", "0.5", "--angle", "10"],
    ):
        with pytest.raises(SystemExit) as end:
            cli.main([arguments[0], str(run.folder), *arguments[1:]])
        assert not end.value.code
    out = capsys.readouterr().out
    assert "9 images of test, 100.0% of them classified correctly" in out and "500 trials with" in out
    assert "shuffled maps" in out and "occlusion, side 50%" in out and "rotation, 10 degrees" in out
    shutil.rmtree(run.folder)
    with pytest.raises(SystemExit) as end:
        cli.main(["saliency", str(run.folder)])
    assert "run is missing; expected a run folder" in str(end.value.code)
