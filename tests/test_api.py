"""The public functions: offered lazily, documented, their examples run."""

import doctest
import subprocess
import sys

import pytest
from support.paths import ROOT

import edram_fer
from edram_fer.figures import glimpses
from edram_fer.models import images

FUNCTIONS = [name for name in edram_fer.__all__ if name != "__version__"]


def test_the_package_offers_its_functions_without_importing_keras():
    code = (
        "import sys, edram_fer; edram_fer.list_weights(); edram_fer.__version__; "
        "heavy = {'keras', 'tensorflow', 'jax', 'cv2', 'matplotlib', 'pandas'} & set(sys.modules); "
        "assert not heavy, heavy; assert set(edram_fer.__all__) <= set(dir(edram_fer)); "
        "assert callable(edram_fer.load) and 'keras' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'edram_fer' has no attribute 'predikt'"):
        edram_fer.__getattr__("predikt")


def test_the_version_is_that_of_the_distribution():
    assert edram_fer.__version__[0].isdigit()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_examples_of_public_functions(name):
    function = getattr(edram_fer, name)
    module = sys.modules[function.__module__]
    run_examples(function, name, vars(module))


@pytest.mark.parametrize("subject", [edram_fer, images.standardise, images.check, glimpses.draw_glimpses])
def test_further_examples(subject):
    run_examples(subject, subject.__name__, {} if subject is edram_fer else vars(sys.modules[subject.__module__]))


def run_examples(subject, name, names):
    """Run the examples of one docstring with the names of its module."""
    tests = [test for test in doctest.DocTestFinder(recurse=False).find(subject, name, globs=dict(names))]
    assert tests and tests[0].examples, f"{name} has no example"
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(tests[0])
    assert results.failed == 0
