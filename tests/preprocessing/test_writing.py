"""What is replaced inside TFDS while a data set is written, and what happens if it is not there."""

import configparser
import importlib.metadata

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from support.paths import ROOT

from edram_fer.errors import MissingPackageError
from edram_fer.preprocessing.datasets import writing

tfds = pytest.importorskip("tensorflow_datasets")

from tensorflow_datasets.core import example_serializer, shuffle
from tensorflow_datasets.core.utils import tqdm_utils


def internals():
    serializer = example_serializer.ExampleSerializer
    return shuffle.MAX_MEM_BUFFER_SIZE, serializer.serialize_example, tqdm_utils._active


class Builder:
    """Stands in for a TFDS builder; remembers the internals of TFDS while it writes."""

    def __init__(self, error=None):
        self.error, self.seen = error, None

    def download_and_prepare(self, download_config):
        assert not download_config.try_download_gcs
        self.seen = internals()
        if self.error:
            raise self.error


@pytest.mark.parametrize("error", [None, RuntimeError("disk")])
def test_tfds_is_changed_only_while_writing(error):
    before, builder = internals(), Builder(error)
    try:
        writing.download_and_prepare(builder)
    except RuntimeError as raised:
        assert raised is error
    assert internals() == before
    assert builder.seen[:2] == (writing.SORT_BUFFER, writing._serialize_sorted)
    assert before[0] != writing.SORT_BUFFER and before[1] is not writing._serialize_sorted


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (shuffle, "MAX_MEM_BUFFER_SIZE"),
        (example_serializer, "ExampleSerializer"),
        (example_serializer.ExampleSerializer, "serialize_example"),
        (example_serializer.ExampleSerializer, "get_tf_example"),
    ],
)
def test_tfds_without_its_internals(monkeypatch, owner, name):
    if name == "serialize_example":  # the abstract base class has it, too
        monkeypatch.delattr(example_serializer.Serializer, name)
    monkeypatch.delattr(owner, name)
    builder = Builder()
    version = importlib.metadata.version("tensorflow-datasets")
    with pytest.raises(
        MissingPackageError, match=f"tensorflow-datasets {version} has no .*pip install 'tensorflow-dat"
    ):
        writing.download_and_prepare(builder)
    assert builder.seen is None


def test_supported_versions_are_those_of_the_extra():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.extras_require"]["tensorflow"].split("\n")
    [specifier] = [
        Requirement(line).specifier for line in lines if line and Requirement(line).name == "tensorflow-datasets"
    ]
    assert specifier == SpecifierSet(writing.TFDS_VERSIONS)
    assert importlib.metadata.version("tensorflow-datasets") in specifier
