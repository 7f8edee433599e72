"""AffectNet: web photos with eight expressions, valence and arousal, in its layouts of 2017, 2021 and 2024."""

import tensorflow_datasets as tfds

from edram_fer.preprocessing.datasets import annotated
from edram_fer.preprocessing.datasets.affectnet import annotations


class Builder(annotated.Builder):
    """AffectNet as a TFDS data set; see `annotated.Builder` for its features."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    AffectNet is available to researchers on request: http://mohammadmahoor.com/affectnet/. Unpack it and pass as
    source the folder with training.csv and validation.csv, with train_set and val_set, or with human_annotated.
    """
    find = staticmethod(annotations.find)
