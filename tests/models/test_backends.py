"""One file, two backends, with and without XLA: equal outputs, and an equal training step.

The other backend runs in a process of its own, since Keras chooses once per process.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from support.paths import ROOT
from support.tiny import TINIES, TINY, draw_weights, inputs, make_images

from edram_fer import models
from edram_fer.errors import UserError

pytestmark = pytest.mark.slow

ROWS = {
    "edram": ("edram", TINY | {"zoom_limit": 0.8, "zoom_measure": "extent"}),
    "mixed": ("edram", TINY | {"glimpses": 1, "affect": False, "dtype": "mixed_bfloat16"}),
    "deep_emotion": ("deep_emotion", TINIES["deep_emotion"] | {"variant": "plus", "localisation_rate": 0.5}),
    "ran": ("ran", TINIES["ran"] | {"crops": "landmarks"}),
}
TRAINED = TINY | {"affect": False, "rotation": False, "sensor": "separable"}


def product(target, output):
    return ops.mean(target * output, axis=tuple(range(1, len(output.shape))))


def train(model, image):
    """Two steps of gradient descent by Keras' fit; the weights after them.

    The loss is a product with random numbers, which hides no entry. On TensorFlow the steps run eagerly, since
    tracing a graph takes far longer than two steps.
    """
    rng, steps = np.random.default_rng(3), TRAINED["glimpses"]
    target = {
        "emotion": rng.normal(size=(len(image), steps, TRAINED["classes"])).astype("float32"),
        "emitted": rng.normal(size=(len(image), steps + 1, 2, 3)).astype("float32"),
    }
    optimizer, eager = keras.optimizers.SGD(0.1, global_clipnorm=10.0), keras.backend.backend() == "tensorflow"
    model.compile(optimizer, loss={"emotion": product, "emitted": product}, run_eagerly=eager)
    model.fit({"image": image}, target, batch_size=len(image) // 2, shuffle=False, verbose=0)
    return {f"weight {i}": np.asarray(value) for i, value in enumerate(model.get_weights())}


def check_images(model, image):
    """Keras' JAX trainer calls a model differently: uint8 images are scaled there, too, and misuse is named."""
    whole = (image * 255).astype("uint8")
    outputs, expected = model.predict_on_batch(whole), model.predict_on_batch(whole.astype("float32") / 255)
    for name in expected:
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-3, err_msg=name)
    for way in (model, model.predict, model.predict_on_batch):
        with pytest.raises(UserError, match="images: expected floats in"):
            way(whole.astype("float32"))


def write_outputs(folder):
    """In the process of the other backend: write outputs and trained weights for the files in a folder."""
    folder = Path(folder)
    image, loaded = np.load(folder / "image.npy"), {name: load(folder / f"{name}.keras") for name in (*ROWS, "trained")}
    for name in ROWS:
        np.savez(folder / f"{name}.npz", **loaded[name].predict(inputs(loaded[name], 4), verbose=0))
    check_images(loaded["mixed"], image)
    np.savez(folder / "trained.npz", **train(loaded["trained"], image))


def load(path):
    """Load a model whose initial weights are not drawn: JAX would compile a program for each shape, in seconds each."""
    with pytest.MonkeyPatch.context() as patch:
        if keras.backend.backend() == "jax":
            from jax import random

            for name in ("normal", "truncated_normal", "uniform"):
                patch.setattr(random, name, lambda *args, shape, dtype, **limits: np.zeros(shape, dtype))
        return keras.saving.load_model(path)


@pytest.fixture(scope="module")
def built_models():
    built = {name: draw_weights(models.build(kind, **options)) for name, (kind, options) in ROWS.items()}
    return built | {"trained": draw_weights(models.build("edram", **TRAINED))}


@pytest.fixture(scope="module")
def other_backend(built_models, tmp_path_factory):
    """name -> the arrays of the other backend."""
    other = "tensorflow" if keras.backend.backend() == "jax" else "jax"
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    folder = tmp_path_factory.mktemp("other")
    np.save(folder / "image.npy", make_images(4, *TINY["image_size"], 1))
    for name, model in built_models.items():
        model.save(folder / f"{name}.keras")
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    environment = os.environ | {"KERAS_BACKEND": other, "PYTHONPATH": path}
    # Compiles in half the time.
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    script = "import sys, test_backends; test_backends.write_outputs(sys.argv[1])"
    process = subprocess.run([sys.executable, "-c", script, folder], env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-3000:]
    return lambda name: dict(np.load(folder / f"{name}.npz"))


@pytest.mark.parametrize(
    ("name", "tolerance"), [("edram", 1e-4), ("mixed", 0.1), ("deep_emotion", 1e-4), ("ran", 1e-4)]
)
def test_outputs_are_equal_on_both_backends(name, tolerance, built_models, other_backend):
    outputs = built_models[name](inputs(built_models[name], 4))
    other_outputs = other_backend(name)
    assert outputs.keys() == other_outputs.keys()
    for key in outputs:
        assert other_outputs[key].dtype == "float32"
        np.testing.assert_allclose(other_outputs[key], outputs[key], atol=tolerance, err_msg=key)


def test_training_is_equal_on_both_backends(built_models, other_backend):
    """Gradients, batch statistics and clipping: every weight after two steps."""
    other_weights = other_backend("trained")
    model = keras.models.clone_model(built_models["trained"])
    model.set_weights(built_models["trained"].get_weights())
    before = model.get_weights()
    weights = train(model, make_images(4, *TINY["image_size"], 1))
    assert weights.keys() == other_weights.keys()
    for i, key in enumerate(weights):
        np.testing.assert_allclose(other_weights[key], weights[key], atol=1e-4, err_msg=model.weights[i].path)
    moved = [np.abs(weights[f"weight {i}"] - value).max() > 1e-7 for i, value in enumerate(before)]
    assert np.mean(moved) > 0.9


def test_outputs_are_equal_with_and_without_xla(built_models):
    tf = pytest.importorskip("tensorflow", reason="jax.jit is XLA anyway")
    image = {"image": make_images(4, *TINY["image_size"], 1)}
    model = built_models["edram"]
    # Not by `compile(jit_compile=True)`: Keras takes that back where another test has made TensorFlow deterministic.
    compiled = tf.function(model, jit_compile=True)(image)
    for name, value in model(image).items():
        np.testing.assert_allclose(compiled[name], value, atol=1e-4, err_msg=name)
