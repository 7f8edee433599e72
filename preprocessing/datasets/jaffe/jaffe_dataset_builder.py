"""JAFFE, ten women with seven expressions, a split per subject."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.jaffe import annotations


class Builder(annotated.Builder):
    """JAFFE as a TFDS data set; see `annotated.Builder` for its features."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    JAFFE is available to researchers on request: https://zenodo.org/records/3451524. Pass as source the folder with
    its images.
    """
    find = staticmethod(annotations.find)
