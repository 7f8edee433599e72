"""FERPlus as a TFDS builder: `joined` locates, reads and counts, `labels` turns votes into labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from edram_fer.preprocessing import emotions, unread
from edram_fer.preprocessing.datasets.fer2013 import fer2013_dataset_builder, published
from edram_fer.preprocessing.datasets.ferplus import joined, labels

HOMEPAGE = "https://github.com/microsoft/FERPlus"


class Builder(fer2013_dataset_builder.Builder):
    """FERPlus in one of four label modes, with the splits of README.md, in the order of the source.

    Features: `image` uint8 [48, 48, 1]; `emotion` in the order of `emotions.EIGHT`; `soft_label` float32 [8] in the
    same order, sums to 1; `affect` float32 [2] = -2 (not annotated); `id` text, as in FER2013; `duplicate` bool, true
    if the image also occurs among FER2013's Training images.

    `info.metadata` holds the counts of `joined.summary`, `fingerprint` (SHA-256 of the sources) and `report` (lines).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="majority", description="More than half of the votes agree."),
        tfds.core.BuilderConfig(name="probability", description="The fractions of up to three emotions."),
        tfds.core.BuilderConfig(name="multi_target", description="All emotions with at least 0.3 of the votes."),
        tfds.core.BuilderConfig(name=labels.ARGMAX, description="The most voted category of every row."),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    FERPlus cannot be downloaded automatically. Pass as source (manual_dir) a folder that contains, up to two levels
    down,
    fer2013new.csv from {HOMEPAGE},
    the pixels fer2013.csv (or icml_face_data.csv) from
    https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge/data,
    and, for the test subsets, jianfei_occlusion_list.txt, pose_30_ferplus_list.txt and pose_45_ferplus_list.txt from
    https://github.com/kaiwang960112/Challenge-condition-FER-dataset.
    """

    CLASSES, SITE = emotions.EIGHT, HOMEPAGE

    def _features(self) -> dict[str, Any]:
        soft_label = tfds.features.Tensor(shape=(len(emotions.EIGHT),), dtype=np.float32)
        return {**super()._features(), "soft_label": soft_label}

    @staticmethod
    def source_fingerprint(source: Path | str) -> str:
        """The `fingerprint` in the metadata of a data set prepared from `source`."""
        return joined.fingerprint(source)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        source = self.source or dl_manager.manual_dir
        data = joined.read(source, self.builder_config.name)
        counts = joined.summary(data)
        report = [*joined.report(counts), *unread.describe_folder(source, data.source.files)]
        self.info.metadata.update(counts, fingerprint=joined.fingerprint(data.source), report=report)
        fer2013_dataset_builder.write_rejected(data.rejected, self.data_path)
        duplicate = published.duplicates(data.faces)
        return {
            split: self._generate_examples(data, duplicate, indices) for split, indices in joined.splits(data).items()
        }

    def _generate_examples(  # pyright: ignore[reportIncompatibleMethodOverride] (called above alone)
        self, data: joined.Joined, duplicate: np.ndarray, indices: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """The examples of the faces with these indices, int [m], as (index, example)."""
        names = data.emotions
        for index in indices.tolist():
            example = fer2013_dataset_builder.example(data.faces, index, str(names[index]), duplicate)
            yield index, {**example, "soft_label": data.labels.soft[data.rows[index]]}
