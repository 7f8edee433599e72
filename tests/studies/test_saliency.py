"""Information maps of a run: files, going on after a stop, scores against masks, every model, and what is refused."""

import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from support import patch
from support.tiny import TINIES, draw_weights

from edram_fer import cli, files
from edram_fer.attention.occlusion import occluded
from edram_fer.evaluation import inference
from edram_fer.studies import resumable, saliency
from edram_fer.studies.observer import Observer, balanced

OCCLUSION = {"window": 6, "stride": 3}
BUBBLES = {"sigma": 2.0, "trials": 3000}


@pytest.fixture
def run(tmp_path, monkeypatch):
    model = patch.made_up_run(tmp_path / "run", monkeypatch, patch.make_images(62))
    return SimpleNamespace(folder=tmp_path / "run", model=model)


def stop_after(model, questions, monkeypatch):
    """The model is killed with the image that comes after so many."""
    ask = model.predict_on_batch

    def killed(inputs):
        if model.asked >= questions:
            raise KeyboardInterrupt
        return ask(inputs)

    monkeypatch.setattr(model, "predict_on_batch", killed)


def test_occlusion_finds_what_the_model_reads(run):
    found = saliency.compute_occlusion_maps(Observer(run.folder, count=30, seed=1), **OCCLUSION, fill=128)
    arrays = np.load(run.folder / "saliency_occlusion.npz")
    assert arrays["drop"].shape == (30, *patch.SHAPE) and list(arrays["emotions"]) == list(patch.EMOTIONS)
    assert np.bincount(arrays["label"]).tolist() == [10, 10, 10] and found["images"] == 30
    for k, name in enumerate(patch.EMOTIONS):
        own = arrays["label"] == k
        for map_ in ("drop", "error_rate"):
            expected = arrays[map_][own].astype(float).mean(axis=0)
            np.testing.assert_allclose(arrays[f"mean_{map_}"][k], expected, atol=1e-6)
            assert found["emotions"][name][map_] == pytest.approx(arrays[f"mean_{map_}"][k].mean())
    happy, neutral, sad = arrays["mean_drop"]
    inside = np.zeros(patch.SHAPE, bool)
    inside[patch.PATCH] = True
    assert abs(neutral).max() < 0.01  # grey hides no grey
    for drop in (happy, sad):
        assert inside.ravel()[drop.argmax()] and drop.max() > 0.5 and not drop[:5].any()
    assert found == files.read_json(run.folder / "saliency_occlusion.json")
    for name in ("saliency_samples.png", "saliency_occlusion.png"):
        assert (run.folder / "figures" / name).stat().st_size > 5000
    scores = found["mask_scores"]["scores"]
    assert found["mask_scores"]["images"] == 20 and found["mask_scores"]["excluded"] == 10  # neutral has no mask
    assert scores["windows"] == {name: {"value": 1, "interval": [1, 1]} for name in ("pointing", "auc")}
    assert scores["maps"]["pointing"]["value"] > 0.9 > scores["centre_bias"]["pointing"]["value"]
    assert scores["maps"]["auc"]["value"] > scores["centre_bias"]["auc"]["value"]


def test_bubbles_find_what_the_model_reads(run):
    found = saliency.compute_bubbles_maps(Observer(run.folder), **BUBBLES)
    arrays = np.load(run.folder / "saliency_bubbles.npz")
    assert arrays["z"].shape == (3, *patch.SHAPE) and arrays["trials"].tolist() == [1000, 1000, 1000]
    assert np.isnan(arrays["z"][1]).all() and found["emotions"]["neutral"]["largest_z"] is None  # grey without any
    inside = np.zeros(patch.SHAPE, bool)
    inside[patch.PATCH] = True
    for z in (arrays["z"][0], arrays["z"][2], arrays["z_all"]):
        assert inside.ravel()[z.argmax()] and z.max() > 15
    assert np.abs(arrays["z_all"][:6]).max() < 4.5
    assert found["target_accuracy"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["accuracy"] == pytest.approx(found["target_accuracy"], abs=0.05)
    fixed = saliency.compute_bubbles_maps(Observer(run.folder), bubbles=found["bubbles"], **BUBBLES, restart=True)
    assert fixed["accuracy"] == found["accuracy"] and "target_accuracy" not in fixed
    assert (run.folder / "figures" / "saliency_bubbles.png").stat().st_size > 5000
    assert found["mask_scores"]["scores"]["maps"]["pointing"] == {"value": 1, "interval": [1, 1]}


@pytest.mark.parametrize(("method", "options"), [("occlusion", OCCLUSION), ("bubbles", {**BUBBLES, "bubbles": 8})])
def test_stopped_it_goes_on_to_the_same_file(run, monkeypatch, method, options):
    def maps():
        return saliency.METHODS[method](Observer(run.folder, count=12), **options)

    whole, path = maps(), run.folder / f"saliency_{method}.npz"
    expected = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(resumable, "EVERY", 0)
    questions, run.model.asked = run.model.asked, 0
    for share in (0.5, 0.8):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            stop_after(run.model, share * questions, patched)
            maps()
    before = np.load(path)
    assert int(before["steps_done"]) > 1 and "mean_drop" not in before and "z" not in before
    run.model.asked = 0
    assert maps() == whole and path.read_bytes() == expected
    assert run.model.asked < 0.8 * questions
    run.model.asked = 0
    assert maps() == whole and run.model.asked == 12  # the images as they are; nothing else is left to do


def test_other_arguments_or_another_model_are_refused(run):
    observer = Observer(run.folder, count=6)
    saliency.compute_occlusion_maps(observer, **OCCLUSION)
    with pytest.raises(ValueError, match=r"saliency_occlusion.npz was .*\(window 6 there, 8 asked for\).*--force"):
        saliency.compute_occlusion_maps(observer, window=8, stride=3)
    assert saliency.compute_occlusion_maps(observer, window=8, stride=3, restart=True)["window"] == 8
    (run.folder / "model.keras").write_bytes(b"trained on")
    with pytest.raises(ValueError, match="model_digest"):
        saliency.compute_occlusion_maps(observer, window=8, stride=3)


def test_without_masks_a_sentence_stands_in_place_of_the_scores(tmp_path, monkeypatch):
    patch.made_up_run(tmp_path, monkeypatch, patch.make_images(20, masks=False), patch.Patch(windows=False))
    found = saliency.compute_occlusion_maps(Observer(tmp_path, count=3), **OCCLUSION)
    assert found["mask_scores"] is None


def test_an_answer_that_is_not_finite_names_the_image(run):
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
    ],
)
def test_bad_arguments_are_named_before_anything_is_written(run, method, options, message):
    with pytest.raises(ValueError, match=message):
        saliency.METHODS[method](Observer(run.folder, count=3), **options)
    assert not list(run.folder.glob("saliency*"))


def test_images_are_balanced_as_far_as_there_are_any():
    labels = np.repeat([0, 1, 2], [50, 3, 20])
    rows = balanced(labels, 24, seed=5)
    assert len(set(rows.tolist())) == 24 and np.bincount(labels[rows]).tolist() == [11, 3, 10]
    assert [sorted(labels[rows[start : start + 3]]) for start in (0, 3, 6)] == [[0, 1, 2]] * 3
    np.testing.assert_array_equal(balanced(labels, 9, seed=5), rows[:9])
    assert sorted(balanced(labels, 500)) == list(range(73)) and set(balanced(labels, 9, 6)) != set(rows[:9])
    with pytest.raises(ValueError, match="images: expected at least 1, got 0"):
        balanced(labels, 0)


@pytest.mark.parametrize("name", list(TINIES))
def test_every_model_is_asked(name, tmp_path):
    from edram_fer import models
    from edram_fer.run import checkpoints

    options, rng = TINIES[name], np.random.default_rng(0)
    model = draw_weights(models.build(name, **options))
    images = rng.integers(0, 256, (8, *options["image_size"], 1), dtype=np.uint8)
    emotions = ("neutral", "happy", "sad", "surprise")
    path = tmp_path / "noise.npz"
    about = {"source": "noise", "version": "1", "fingerprint": "a", "emotions": np.array(emotions)}
    content = {"image": images, "emotion": np.arange(8) % 4, "id": np.arange(8).astype("U"), "affect": np.zeros((8, 2))}
    np.savez(path, **about, **{f"test/{key}": values for key, values in content.items()})
    model.emotions = emotions
    checkpoints.save(model, tmp_path / "model.keras")
    files.write_json(tmp_path / "recipe.json", {"data": str(path)})
    observer = Observer(tmp_path, count=4, batch_size=4)
    saliency.compute_occlusion_maps(observer, window=16, stride=16, fill=30)
    drop = np.load(tmp_path / "saliency_occlusion.npz")["drop"]
    covered = occluded(observer.images[2], [[16, 0]], 16, 30)  # the only square over the lower left pixel
    said = inference.predict(model, np.concatenate([covered, observer.images[1:]]))["probabilities"][:, -1]
    assert drop[2, -1, 0] == pytest.approx((said[2] - said[0])[observer.labels[2]], abs=1e-5)
    assert saliency.compute_bubbles_maps(observer, sigma=4, bubbles=5, trials=8)["trials"] == 8
    assert (observer.window_density() is None) == (name == "cnn")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "grad"], "--method: expected one of occlusion, bubbles, got 'grad'"),
        (["--sigma", "2"], "--sigma belongs to --method bubbles, not to occlusion"),
        (["--bubbles", "9"], "--bubbles belongs to --method bubbles"),
        (["--method", "bubbles", "--window", "9"], "--window belongs to --method occlusion"),
        (["--method", "bubbles", "--bubbles", "9", "--accuracy", "0.5"], "--bubbles sets the number that --accuracy"),
        (["--window", "99"], "error: window: expected 1 to 20 pixels for images of 24 x 20, got 99"),
    ],
)
def test_the_command_says_what_is_wrong(run, capsys, arguments, message):
    with pytest.raises(SystemExit) as end:
        cli.main(["saliency", str(run.folder), *arguments])
    if isinstance(end.value.code, str):
        print(end.value.code, file=sys.stderr)
    assert end.value.code != 0 and message in capsys.readouterr().err


def test_the_commands_tell_what_they_found(run, capsys):
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
    assert "recipe.json is missing" in str(end.value.code)
