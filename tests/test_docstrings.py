"""Every public name is documented and annotated, and the examples in docstrings show what they give."""

import doctest
import functools
import importlib
import inspect
import re
import types

import numpy as np
import pytest
from PIL import Image
from support import paths

from edram_fer import files, models
from edram_fer.prediction import predictor
from edram_fer.preprocessing import synthetic
from edram_fer.preprocessing.emotions import SEVEN
from edram_fer.recipes.recipe import Recipe
from edram_fer.run import checkpoints, layout

PATHS = paths.modules()
WITH_EXAMPLES = [name for name, path in PATHS.items() if ">>>" in path.read_text(encoding="utf-8")]
REFERENCE = (paths.ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
LISTED = re.findall(r"^(?:\.\. autofunction:: |   ~)(edram_fer\.[\w.]+)$", REFERENCE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What examples find in the current folder: faces.npz, drawn faces with landmarks; face.png, the first of them; and
    runs/demo, a run with the weights of a new CNN."""
    folder = tmp_path_factory.mktemp("examples")
    content = {"source": "drawn_faces", "version": "1.0.0", "fingerprint": "0", "emotions": np.array(SEVEN)}
    for seed, (split, count) in enumerate({"train": 28, "validation": 14, "test": 14}.items()):
        faces = synthetic.generate_arrays(count, seed, size=48)
        content |= {f"{split}/{feature}": values for feature, values in faces.items()}
    np.savez(folder / "faces.npz", **content)
    Image.fromarray(content["train/image"][0, :, :, 0]).save(folder / "face.png")
    settings = Recipe(data=str(folder / "faces.npz"), model="cnn", options={"glimpse_units": 64, "hidden_units": 32})
    model = models.build("cnn", image_size=(48, 48), emotions=SEVEN, **settings.options)
    files.write_json(folder / "runs" / "demo" / layout.RECIPE, settings.to_json())
    checkpoints.save(model, folder / "runs" / "demo" / layout.MODEL)
    return folder


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """The examples that predict with an included model share it: loading and compiling it takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictor, "_trained_model", functools.cache(predictor._trained_model))
        yield


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("EDRAM_FER_DATA", raising=False)
    module = importlib.import_module(name)
    runner, report = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS), []
    examples = [test for test in doctest.DocTestFinder().find(module, name) if test.examples]
    assert examples, f"{name} shows examples that are none of a docstring"
    for test in examples:
        runner.run(test, out=report.append)
    assert not runner.summarize(verbose=False).failed, "".join(report)


@pytest.mark.parametrize("name", LISTED)
def test_what_the_reference_lists_has_an_example(name):
    module, _, attribute = name.rpartition(".")
    assert ">>>" in inspect.getdoc(getattr(importlib.import_module(module), attribute))


def test_every_public_name_is_documented():
    documented = {name: bool(inspect.getdoc(value)) or overrides for name, value, overrides in public_names()}
    assert len(documented) > 1000
    assert not [name for name, has_docstring in documented.items() if not has_docstring]


def test_every_public_function_is_annotated():
    missing = []
    for name, function, _ in public_names():
        if isinstance(function, types.FunctionType):
            signature = inspect.signature(function)
            parameters = [*signature.parameters.values()]
            if "self" in signature.parameters or "cls" in signature.parameters:
                parameters = parameters[1:]
            missing += [f"{name}: {each.name}" for each in parameters if each.annotation is each.empty]
            missing += [f"{name}: return"] * (signature.return_annotation is signature.empty)
    assert not missing


def public_names():
    """(dotted name, value, whether it overrides a method of another package) of all that the modules define."""
    for module_name in PATHS:
        module = importlib.import_module(module_name)
        yield module_name, module, False
        for name, value in vars(module).items():
            if not name.startswith("_") and getattr(value, "__module__", None) == module_name:
                if isinstance(value, types.FunctionType):
                    yield f"{module_name}.{name}", inspect.unwrap(value), False
                elif isinstance(value, type):
                    yield f"{module_name}.{name}", value, False
                    yield from ((f"{module_name}.{name}.{method}", *rest) for method, *rest in methods(value))


def methods(cls):
    """(name, function, whether it overrides a method of another package) of what a class defines."""
    others = [base for base in cls.__mro__[1:] if not base.__module__.startswith("edram_fer")]
    for name, value in vars(cls).items():
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if isinstance(function, types.FunctionType) and function.__module__ == cls.__module__:
            if name == "__init__" or not name.startswith("_"):
                yield name, function, name == "__init__" or any(name in vars(base) for base in others)
