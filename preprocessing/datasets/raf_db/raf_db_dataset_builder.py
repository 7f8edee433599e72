"""RAF-DB's basic set, faces from the web with seven expressions."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.raf_db import annotations


class Builder(annotated.Builder):
    """RAF-DB as a TFDS data set; see `annotated.Builder` for its features."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    RAF-DB is available to researchers on request: http://www.whdeng.cn/RAF/model1.html. Unpack it and pass as source
    the folder with EmoLabel and Image, or the one with train and test.
    """
    find = staticmethod(annotations.find)
