"""CK+, posed sequences of 123 subjects with eight expressions, in folds of subjects."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.ck_plus import annotations


class Builder(annotated.Builder):
    """CK+ as a TFDS data set; see `annotated.Builder` for its features."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    CK+ is available to researchers on request: http://www.jeffcohn.net/Resources/. Pass as source the folder with
    cohn-kanade-images and Emotion, the folder CK+48, or ckextended.csv.
    """
    find = staticmethod(annotations.find)
