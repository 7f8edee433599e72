"""KDEF, seventy actors with seven expressions, in folds of subjects."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.kdef import annotations


class Builder(annotated.Builder):
    """KDEF as a TFDS data set; examples as `annotated.Builder` tells."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    KDEF is given to researchers on request: https://www.kdef.se. Name as source the folder with its images.
    """
    find = staticmethod(annotations.find)
