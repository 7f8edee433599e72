"""Your own images in folders named after emotions, with or without folders of splits."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.folder import annotations


class Builder(annotated.Builder):
    """Folders of emotions as a TFDS data set; see `annotated.Builder` for its features."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Pass as source the folder with <split>/<emotion>/<image> or <emotion>/<image>.
    """
    find = staticmethod(annotations.find)
