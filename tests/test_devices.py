"""Accelerators and the dtype "auto" of a recipe, on machines of several kinds."""

import keras
import numpy as np
import pytest

import edram_fer
from edram_fer import devices, processes
from edram_fer.errors import UserError
from edram_fer.recipes.recipe import Recipe, get
from edram_fer.run import checkpoints
from edram_fer.training import loop

X86 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 {} sse2\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {} sve\n"


@pytest.mark.parametrize(
    ("processor", "device", "expected"),
    [
        (X86.format("avx512f"), "cpu:0", "float32"),
        (X86.format("avx512_bf16"), "cpu:0", "mixed_bfloat16"),
        (X86.format("amx_bf16"), "cpu:0", "mixed_bfloat16"),
        (ARM.format("bf16"), "cpu:0", "mixed_bfloat16"),
        (ARM.format(""), "cpu:0", "float32"),
        (None, "cpu:0", "float32"),
        (X86.format(""), "gpu:0", "mixed_bfloat16"),
    ],
)
def test_the_fastest_dtype(processor, device, expected, tmp_path, monkeypatch):
    if processor:
        (tmp_path / "cpuinfo").write_text(processor)
    monkeypatch.setattr(devices, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: [device])
    assert devices.fastest_dtype() == expected
    assert devices.emulates("bfloat16") == (expected == "float32")
    assert devices.emulates("float16") == (device == "cpu:0")
    assert not devices.emulates("float32")


@pytest.mark.parametrize(("emulated", "expected"), [(True, "float32"), (False, "bfloat16")])
def test_a_loaded_model_computes_in_what_the_machine_need_not_emulate(emulated, expected, tmp_path, monkeypatch):
    saved = edram_fer.build(
        "cnn", image_size=(18, 18), emotions=["happy", "sad"], glimpse_units=8, dtype="mixed_bfloat16"
    )
    checkpoints.save(saved, tmp_path / "model.keras")
    monkeypatch.setattr(devices, "emulates", lambda dtype: emulated and dtype == "bfloat16")
    model = edram_fer.load(tmp_path / "model.keras")
    assert model.compute_dtype == expected
    for value, reference in zip(model.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(value, reference)


def test_training_resolves_auto_and_keeps_what_is_set():
    described, fastest = {"emotions": ["happy", "sad"]}, devices.fastest_dtype()
    assert get("fer2013").dtype == "auto"
    assert loop.resolve(Recipe(dtype="auto"), described) == Recipe(dtype=fastest)
    assert loop.resolve(Recipe(dtype="mixed_bfloat16"), described).dtype == "mixed_bfloat16"
    assert loop.resolve(Recipe(emotions="data"), described) == Recipe(emotions="happy,sad")


def test_one_device_needs_nothing_special():
    alone = devices.find_replicas()
    assert (alone.count, alone.processes, alone.agree(15)) == (1, 1, 15)
    batch = {"image": [1, 2]}
    assert alone.divide(batch) is batch and alone.copy(batch) is batch


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="only JAX trains on several devices")
@pytest.mark.parametrize(("count", "several"), [(2, False), ("all", False), (1, True)])
def test_what_the_backend_cannot_do_is_refused(count, several, monkeypatch):
    if several:
        monkeypatch.setenv(processes.NUMBER, "2")
    with pytest.raises(UserError, match=r"need the JAX backend \(KERAS_BACKEND=jax\)"):
        devices.find_replicas(count)
