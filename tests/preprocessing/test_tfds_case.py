"""The test case of TFDS for the builders that TFDS can prepare alone: FER2013, FERPlus and drawn faces.

TFDS alone cannot prepare data sets of annotated photos: `annotated.prepare` makes their faces first, so that a stopped
run can be resumed. test_dummy_data.py prepares all of them.
"""

import pytest
from support.dummy_data import DATASETS

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("dill", reason="tfds.testing needs dill: pip install 'edram-fer[test]'")

from edram_fer.preprocessing.datasets.drawn_faces import drawn_faces_dataset_builder as drawn_faces
from edram_fer.preprocessing.datasets.fer2013 import fer2013_dataset_builder as fer2013
from edram_fer.preprocessing.datasets.ferplus import ferplus_dataset_builder as ferplus


class Fer2013(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = fer2013.Builder
    EXAMPLE_DIR = DATASETS / "fer2013" / "dummy_data" / "csv"
    SPLITS = {"train": 7, "validation": 3, "test": 3, "test_clean": 2}
    OVERLAPPING_SPLITS = ["test_clean"]
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False  # the readers work without TensorFlow and its tf.io.gfile


class FerPlus(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = ferplus.Builder
    SPLITS = {
        "train": 5,
        "validation": 2,
        "test": 2,
        "test_clean": 1,
        "test_occlusion": 1,
        "test_pose30": 1,
        "test_pose45": 1,
    }
    BUILDER_CONFIG_NAMES_TO_TEST = ["majority"]
    OVERLAPPING_SPLITS = ["test_clean", "test_occlusion", "test_pose30", "test_pose45"]
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False


class DrawnFaces(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = drawn_faces.Builder
    EXAMPLE_DIR = DATASETS  # drawn faces have no files; the folder is not read
    SPLITS = {"train": 6, "validation": 3, "test": 3}
    BUILDER_CONFIG_NAMES_TO_TEST = [drawn_faces.DrawnFacesConfig(size=32, train=6, validation=3, test=3)]
