"""FER2013 as a TFDS builder: `layouts` finds the files, `table` reads them, `published` splits and counts them."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import tensorflow_datasets as tfds

from edram_fer.preprocessing import emotions
from edram_fer.preprocessing.datasets.fer2013 import layouts, published, table

HOMEPAGE = "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"


class Builder(tfds.core.GeneratorBasedBuilder):
    """FER2013 with splits train, validation, test, test_clean (see README.md), examples in the order of the source.

    `image` uint8 [48, 48, 1]; `emotion` in the order of `emotions.SEVEN`; `affect` float32 [2] = -2 (not annotated);
    `id` text; `duplicate` bool, the image occurs among the Training images as well.
    `info.metadata` holds the counts of `published.summary`, `fingerprint` (SHA-256 of the source) and `report` (lines).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    CLASSES, SITE = emotions.SEVEN, HOMEPAGE
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    FER2013 is not downloaded for you: its licence is unclear and Kaggle asks for an account. Get it from
    {HOMEPAGE}/data,
    unpack it, and name as source (manual_dir) the folder with one of: fer2013.csv (inside fer2013.tar.gz),
    icml_face_data.csv, train.csv, or the folders train/ and test/ with one folder per emotion.
    The original download holds several of them: then name the one file.
    """

    def __init__(self, *, source=None, **options):
        """`source`: the file or folder to read; without it the manual_dir of TFDS, which must be a folder."""
        super().__init__(**options)
        self.source = source

    def _features(self) -> dict:
        return {
            "image": tfds.features.Image(shape=(table.SIZE, table.SIZE, 1), encoding_format="png"),
            "emotion": tfds.features.ClassLabel(names=list(self.CLASSES)),
            "affect": tfds.features.Tensor(shape=(2,), dtype=np.float32),
            "id": tfds.features.Text(),
            "duplicate": np.bool_,
        }

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(self._features()),
            supervised_keys=("image", "emotion"),
            homepage=self.SITE,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    @staticmethod
    def source_fingerprint(source) -> str:
        """What `fingerprint` in the metadata of a data set prepared from `source` would be."""
        return layouts.fingerprint(source)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict:
        faces = table.read(self.source or dl_manager.manual_dir)
        found = published.summary(faces)
        self.info.metadata.update(found, fingerprint=layouts.fingerprint(faces.source), report=published.report(found))
        write_rejected(faces.rejected, self.data_path)
        duplicate = published.duplicates(faces)
        return {
            split: self._generate_examples(faces, duplicate, rows) for split, rows in published.splits(faces).items()
        }

    def _generate_examples(self, faces: table.Faces, duplicate: np.ndarray, rows: np.ndarray) -> Iterator:
        """`rows` int [m] of the table, as (row number, example)."""
        for row in rows.tolist():
            yield row, example(faces, row, str(faces.emotions[row]), duplicate)


def example(faces: table.Faces, row: int, emotion: str, duplicate: np.ndarray) -> dict:
    """The example of one row of the table."""
    return {
        "image": io.BytesIO(cv2.imencode(".png", faces.pixels[row])[1].tobytes()),
        "emotion": emotion,
        "affect": np.full(2, -2, np.float32),
        "id": faces.ids[row],
        "duplicate": bool(duplicate[row]),
    }


def write_rejected(rejected: list[table.Rejected], folder: Path) -> None:
    """rejected.csv, one line per row left out; the folder is a temporary one until the whole data set is written."""
    with open(folder / "rejected.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table.Rejected._fields)
        writer.writerows(rejected)
