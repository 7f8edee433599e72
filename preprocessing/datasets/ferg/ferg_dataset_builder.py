"""FERG-DB, six animated characters with seven expressions."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.ferg import annotations


class Builder(annotated.Builder):
    """FERG as a TFDS data set; see `annotated.Builder` for its features."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    FERG-DB is available to researchers on request: http://grail.cs.washington.edu/projects/deepexpr/ferg-2d-db.html.
    Pass as source the folder with the characters.
    """
    find = staticmethod(annotations.find)
