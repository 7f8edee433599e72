"""Distillation: the targets of a batch, and trainings with a teacher."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import softmax
from support.scratch import AUGMENTATION
from support.toy import assert_same_run

import edram_fer
from edram_fer import models
from edram_fer.errors import UserError
from edram_fer.recipes.recipe import Recipe
from edram_fer.run import checkpoints
from edram_fer.training import loop
from edram_fer.training.teacher import Teacher

SMALL = {"image_size": (18, 18), "classes": 3, "glimpse_units": 8}


@pytest.mark.parametrize("labels", [np.array([0, 2]), np.array([[0.5, 0.5, 0], [0, 0, 1]], "float32")])
def test_targets_are_a_mixture_of_labels_and_softened_answers(labels):
    model = models.build("cnn", **SMALL)
    inputs = {"image": np.random.default_rng(0).random((2, 18, 18, 1), dtype=np.float32)}
    unchanged, targets = Teacher(model, share=0.25, temperature=2.0)(inputs, {"emotion": labels, "affect": 5})
    shares = np.eye(3)[labels] if labels.ndim == 1 else labels
    expected = 0.25 * softmax(np.asarray(model(inputs)["emotion"])[:, -1] / 2, axis=-1) + 0.75 * shares
    np.testing.assert_allclose(targets["emotion"], expected, atol=1e-6)
    assert unchanged is inputs and targets["affect"] == 5


def test_a_teacher_that_does_not_fit_is_named():
    student = models.build("cnn", **SMALL, emotions=("happy", "sad", "fear"))
    others = models.build("cnn", **SMALL, emotions=("sad", "happy", "fear"))
    with pytest.raises(UserError, match="the classes happy, sad, fear, in this order, got sad, happy, fear"):
        Teacher(others).check(student)
    larger = models.build("cnn", **{**SMALL, "image_size": (20, 20)}, emotions=student.emotions)
    with pytest.raises(UserError, match=r"takes image \[20, 20, 1\], which the batches"):
        Teacher(larger).check(student)
    for settings in ({"teacher_share": 1.5}, {"teacher_temperature": 0}):
        with pytest.raises(UserError, match="expected a teacher_share in"):
            Recipe(**settings)


def test_a_student_that_equals_its_teacher_has_nothing_to_learn(toy_recipe, tmp_path):
    """With the teacher's answers alone, the gradient of the cross-entropy is 0 where both agree."""
    keras.utils.set_random_seed(9)
    teacher = models.build("toy", image_size=(28, 28), channels=1, emotions=toy_recipe.classes, dropout=0.0)
    teacher.save(tmp_path / "teacher.keras")
    source = str(tmp_path / "teacher.keras")
    recipe = dataclasses.replace(toy_recipe, teacher=source, initial_weights=source, options={"dropout": 0.0})
    recipe = dataclasses.replace(recipe, optimizer="sgd", mixup=0.3, epochs=1, augmentation=AUGMENTATION)
    for share, moves in ((1.0, False), (0.5, True)):
        loop.train(dataclasses.replace(recipe, teacher_share=share), tmp_path / str(share), verbose=0)
        pairs = zip(edram_fer.load(tmp_path / str(share)).weights, teacher.weights, strict=True)
        change = max(np.abs(ops.convert_to_numpy(a) - ops.convert_to_numpy(b)).max() for a, b in pairs)
        assert change > 1e-3 if moves else change < 1e-6


@pytest.mark.slow
def test_a_run_with_a_teacher_resumes_exactly(toy_recipe, tmp_path, monkeypatch):
    loop.train(dataclasses.replace(toy_recipe, epochs=1), tmp_path / "teacher", verbose=0)
    recipe = dataclasses.replace(toy_recipe, epochs=2, teacher=str(tmp_path / "teacher"), mixup=0.2)
    loop.train(recipe, tmp_path / "whole", verbose=0)

    class Stop(checkpoints.Checkpoint):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if batch == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "Checkpoint", Stop)
        with pytest.raises(KeyboardInterrupt):
            loop.train(recipe, tmp_path / "stopped", verbose=0)
    loop.resume(tmp_path / "stopped", verbose=0)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
