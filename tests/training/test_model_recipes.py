"""Recipes of Deep-Emotion and RAN: training, evaluation and the content of their logs."""

import logging

import numpy as np
import pytest
from support.toy import history

from edram_fer.data.augment import NONE
from edram_fer.evaluation import evaluate
from edram_fer.models.region_attention.iresnet import IResNet
from edram_fer.models.region_attention.ran import BACKBONES
from edram_fer.models.region_attention.resnet import ResNet
from edram_fer.recipes import recipe
from edram_fer.training import callbacks, loop

SMALL = {
    "deep_emotion_fer2013": ["l2_penalty=0.1"],
    "deep_emotion_plus": ["trunk_filters=(2, 2, 2, 2)", "units=4", "dtype=float32"],
    "ran_ferplus": ["backbone_filters=(2, 2, 2, 2)", "crop_size=32", "margin=0.3", "step_epochs=(0.5,)"],
    "ran_ferplus_small": ["backbone_filters=(2, 2, 2, 2)", "crop_size=16", "margin=0.3", "region_weight=2"],
}


@pytest.fixture(scope="module", params=SMALL)
def run(request, npz_file, tmp_path_factory):
    """(name, run folder) of a shipped recipe after one epoch on noise."""
    settings = [f"data={npz_file}", "epochs=1", "batch_size=40", "seed=1", *SMALL[request.param]]
    folder = tmp_path_factory.mktemp("run") / "run"
    resolved = recipe.override(recipe.get(request.param), settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edram_fer.training.loop._tensorboard", lambda run: [])
        for backbone, backbone_class in {"iresnet18": IResNet, "resnet18": ResNet}.items():
            patch.setitem(BACKBONES, backbone, (backbone_class, (1, 0, 0, 0)))  # one block: tracing eight takes long
        loop.train(resolved, folder, verbose=0)
        yield request.param, folder


@pytest.mark.slow
def test_a_recipe_trains_with_its_losses_and_evaluates(run):
    name, folder = run
    (row,) = history(folder)
    assert all(np.isfinite(value) for value in row.values())
    if name.startswith("ran"):
        parts = row["val_emotion_loss"] + (2 if name == "ran_ferplus_small" else 1) * row["val_region_loss"]
        assert row["val_loss"] == pytest.approx(parts, rel=1e-4)
        assert row["val_region_loss"] > 0
        assert row["val_glimpse_2_zoom"] == pytest.approx(0.75, abs=1e-3)
    else:
        assert not any("region" in key for key in row) and row["val_glimpse_1_zoom"] > 0
    metrics = evaluate.evaluate(folder)
    assert 0 <= metrics["splits"]["test"]["accuracy"] <= 1


def test_the_published_recipe_of_ran_is_that_of_its_code():
    published = recipe.get("ran_ferplus")
    assert published.options["variant"] == "wang2020" and "dropout" not in published.options
    settings = ("optimizer", "learning_rate", "momentum", "nesterov", "weight_decay", "decayed", "clip_norm")
    assert [getattr(published, name) for name in settings] == ["sgd", 0.1, 0.9, False, 1e-4, "all", 0]
    assert (published.epochs, published.batch_size, published.step_epochs) == (60, 128, (18, 30, 48))
    assert (published.label_smoothing, published.mixup, published.ema) == (0, 0, 0)
    assert published.augmentation == NONE


def test_the_margin_is_the_models_option():
    resolved = recipe.override(recipe.get("ran_ferplus"), ["margin=0.02", "region_weight=0.5"])
    assert resolved.options["margin"] == 0.02 and resolved.region_weight == 0.5


def test_another_model_keeps_the_options_that_it_has():
    resolved = recipe.override(recipe.get("fer2013"), ["model=ran", "backbone=iresnet18", "stem=small"])
    assert resolved.options == {"affect": False, "dropout": 0.2, "backbone": "iresnet18", "stem": "small"}
    resolved = recipe.override(recipe.get("fer2013"), ["model=deep_emotion", "variant=plus", "transformer=false"])
    assert resolved.options == {"affect": False, "dropout": 0.2, "variant": "plus", "transformer": False}


def test_a_collapse_to_one_class_is_logged(tmp_path, caplog):
    log, logs = callbacks.Log(tmp_path, [], fixed_first=False, predefined=True), {"val_emotion_accuracy": 0.2494}
    with caplog.at_level(logging.WARNING):
        log._warn_of_one_class({**logs, "val_emotion_dominant_class_share": 0.98})
        assert not caplog.text
        log._warn_of_one_class({**logs, "val_emotion_dominant_class_share": 1.0})
    assert "it predicts the same for 100.0 % of the validation images (accuracy 0.2494)" in caplog.text


def test_crops_that_never_move_have_not_collapsed(tmp_path, caplog):
    logs = {f"val_glimpse_{t}_{name}{sd}": 0.0 for t in (1, 2, 3) for name in ("x", "y") for sd in ("", "_sd")}
    callbacks.Log(tmp_path, [], fixed_first=False, predefined=True)._warn_of_collapse(logs)
    assert not caplog.text
