"""FERPlus as a TFDS builder: `joined` finds, reads and counts, `labels` turns votes into labels."""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from edram_fer.preprocessing import emotions
from edram_fer.preprocessing.datasets.fer2013 import fer2013_dataset_builder, published
from edram_fer.preprocessing.datasets.ferplus import joined, labels

HOMEPAGE = "https://github.com/microsoft/FERPlus"


class Builder(fer2013_dataset_builder.Builder):
    """FERPlus in one of four label modes, splits as in README.md, examples in the order of the source.

    `image` uint8 [48, 48, 1]; `emotion` in the order of `emotions.EIGHT`; `soft_label` float32 [8] in the same order,
    sums to 1; `affect` float32 [2] = -2 (not annotated); `id` text, FER2013's; `duplicate` bool, the image occurs
    among FER2013's Training images as well. `info.metadata` holds the counts of `joined.summary`, `fingerprint`
    (SHA-256 of the sources) and `report` (lines).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="majority", description="More than half of the votes agree."),
        tfds.core.BuilderConfig(name="probability", description="The shares of up to three emotions."),
        tfds.core.BuilderConfig(name="multi_target", description="All emotions with at least 0.3 of the votes."),
        tfds.core.BuilderConfig(name=labels.ARGMAX, description="The most voted category of every row."),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
    FERPlus is not downloaded for you. Name as source (manual_dir) a folder that holds, up to two levels down,
    fer2013new.csv from {HOMEPAGE},
    the pixels fer2013.csv (or icml_face_data.csv) from
    https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge/data,
    and, for the test subsets, jianfei_occlusion_list.txt, pose_30_ferplus_list.txt and pose_45_ferplus_list.txt from
    https://github.com/kaiwang960112/Challenge-condition-FER-dataset.
    """

    CLASSES, SITE = emotions.EIGHT, HOMEPAGE

    def _features(self) -> dict:
        soft_label = tfds.features.Tensor(shape=(len(emotions.EIGHT),), dtype=np.float32)
        return {**super()._features(), "soft_label": soft_label}

    @staticmethod
    def source_fingerprint(source) -> str:
        """What `fingerprint` in the metadata of a data set prepared from `source` would be."""
        return joined.fingerprint(source)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict:
        data = joined.read(self.source or dl_manager.manual_dir, self.builder_config.name)
        found = joined.summary(data)
        self.info.metadata.update(found, fingerprint=joined.fingerprint(data.source), report=joined.report(found))
        fer2013_dataset_builder.write_rejected(data.rejected, self.data_path)
        duplicate = published.duplicates(data.faces)
        return {
            split: self._generate_examples(data, duplicate, places) for split, places in joined.splits(data).items()
        }

    def _generate_examples(self, data: joined.Joined, duplicate: np.ndarray, places: np.ndarray) -> Iterator:
        """`places` int [m] of the faces, as (place, example)."""
        names = data.emotions
        for place in places.tolist():
            example = fer2013_dataset_builder.example(data.faces, place, str(names[place]), duplicate)
            yield place, {**example, "soft_label": data.labels.soft[data.rows[place]]}
