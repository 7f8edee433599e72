"""The public functions are offered lazily."""

import subprocess
import sys

import pytest
from support.paths import ROOT

import edram_fer


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
