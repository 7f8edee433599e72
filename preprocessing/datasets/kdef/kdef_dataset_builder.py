"""KDEF, 70 people with seven posed expressions, in folds of subjects."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.kdef import annotations


class Builder(annotated.Builder):
    """KDEF as a TFDS data set; see `annotated.Builder` for its features."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    KDEF is available to researchers on request: https://www.kdef.se. Pass as source the folder with its images.
    """
    find = staticmethod(annotations.find)
