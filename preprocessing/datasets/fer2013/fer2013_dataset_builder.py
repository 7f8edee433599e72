"""FER2013 as a TFDS builder: `layouts` locates the files, `table` reads them, `published` splits and counts them."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds

from edram_fer.preprocessing import emotions, unread
from edram_fer.preprocessing.datasets.fer2013 import layouts, published, table
from edram_fer.preprocessing.spreadsheet import csv_text

HOMEPAGE = "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"


class Builder(tfds.core.GeneratorBasedBuilder):
    """FER2013 with the splits train, validation, test, test_clean and test_distinct (see README.md), in the order of
    the source.

    Features: `image` uint8 [48, 48, 1]; `emotion` in the order of `emotions.SEVEN`; `affect` float32 [2] = -2 (not
    annotated); `id` text; `duplicate` bool, true if the image also occurs among the Training images.

    `info.metadata` holds the counts of `published.summary`, `fingerprint` (SHA-256 of the source) and `report` (lines).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    CLASSES, SITE = emotions.SEVEN, HOMEPAGE
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    FER2013 cannot be downloaded automatically: its licence is unclear and Kaggle requires an account. Get it from
    {HOMEPAGE}/data,
    unpack it, and pass as source (manual_dir) the folder with one of: fer2013.csv (inside fer2013.tar.gz),
    icml_face_data.csv, train.csv, or the folders train/ and test/ with one folder per emotion.
    The original download contains several of them; in that case pass one file.
    """

    def __init__(self, *, source: Path | str | None = None, **options: Any) -> None:
        """Make a builder.

        Args:
            source: the file or folder to read; None for the manual_dir of TFDS, which must be a folder.
            options: options of the TFDS builder.
        """
        super().__init__(**options)
        self.source = source

    def _features(self) -> dict[str, Any]:
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
    def source_fingerprint(source: Path | str) -> str:
        """The `fingerprint` in the metadata of a data set prepared from `source`."""
        return layouts.fingerprint(source)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        source = self.source or dl_manager.manual_dir
        faces = table.read(source)
        counts = published.summary(faces)
        report = [*published.report(counts), *unread.describe_folder(source, faces.location.files)]
        self.info.metadata.update(counts, fingerprint=layouts.fingerprint(faces.location), report=report)
        write_rejected(faces.rejected, self.data_path)
        duplicate = published.duplicates(faces)
        return {
            split: self._generate_examples(faces, duplicate, rows) for split, rows in published.splits(faces).items()
        }

    def _generate_examples(
        self, faces: table.Faces, duplicate: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[Any, dict[str, Any]]]:
        """The examples of the rows int [m] of the table, as (row number, example)."""
        for row in rows.tolist():
            yield row, example(faces, row, str(faces.emotions[row]), duplicate)


def example(faces: table.Faces, row: int, emotion: str, duplicate: np.ndarray) -> dict[str, Any]:
    """The example of a row.

    Args:
        faces: the table.
        row: number of the row.
        emotion: its label.
        duplicate: bool [n], see `published.duplicates`.
    """
    return {
        "image": io.BytesIO(cv2.imencode(".png", faces.pixels[row])[1].tobytes()),
        "emotion": emotion,
        "affect": np.full(2, -2, np.float32),
        "id": faces.ids[row],
        "duplicate": bool(duplicate[row]),
    }


def write_rejected(rejected: Sequence[table.Rejected], folder: Path) -> None:
    """Write rejected.csv, one line per rejected row, into the folder of a data set that is being written."""
    (folder / "rejected.csv").write_bytes(csv_text([table.Rejected._fields, *rejected]))
