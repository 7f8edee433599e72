"""Your own images in folders that are named after emotions, in folders of splits or without."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.folder import annotations


class Builder(annotated.Builder):
    """folder as a TFDS data set; examples as `annotated.Builder` tells."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Name as source the folder with <split>/<emotion>/<image> or <emotion>/<image>.
    """
    find = staticmethod(annotations.find)
