"""Your own images with their labels in a table."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.table import annotations


class Builder(annotated.Builder):
    """A table of images as a TFDS data set; see `annotated.Builder` for its features."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Pass as source the table (CSV, TSV, Parquet or Excel) with a column of image files and a column of labels.
    """
    find = staticmethod(annotations.find)
