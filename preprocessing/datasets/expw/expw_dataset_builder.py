"""ExpW, web photos with face boxes and seven expressions."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.expw import annotations


class Builder(annotated.Builder):
    """ExpW as a TFDS data set; see `annotated.Builder` for its features."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    ExpW is available at http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html. Pass as source the folder with
    label/label.lst.
    """
    find = staticmethod(annotations.find)
