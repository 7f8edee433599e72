"""SFEW, frames of films with seven expressions."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.sfew import annotations


class Builder(annotated.Builder):
    """SFEW as a TFDS data set; see `annotated.Builder` for its features."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    SFEW is available to researchers on request: https://users.cecs.anu.edu.au/~few_group/AFEW.html. Pass as source
    the folder with Train and Val.
    """
    find = staticmethod(annotations.find)
