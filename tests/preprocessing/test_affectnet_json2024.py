"""AffectNet+'s json files of 2024, and everything that can be wrong in them."""

import numpy as np
import pytest
from support.affectnet_files import POINTS, SOFT, content, rows, write_json

from edram_fer.preprocessing.datasets.affectnet import annotations as affectnet
from edram_fer.preprocessing.emotions import EIGHT
from edram_fer.preprocessing.records import OK, UNKNOWN_AFFECT


def test_json_files_of_2024(tmp_path):
    train, test = (tmp_path / "human_annotated" / name for name in ("train_set", "validation_set"))
    write_json(train, 20, content(4))
    write_json(train, 3, content("7", soft=[100 * value for value in SOFT]))
    write_json(train, 21, {"Human_Label": 6, "Metadata": {"Valence": -2, "Arousal": -2}})
    write_json(test, 3, content(2.0, landmarks=POINTS.reshape(68, 2).tolist()))
    annotations = affectnet.find(tmp_path)
    assert annotations.layout == affectnet.JSON and annotations.root == tmp_path / "human_annotated"
    assert annotations.detectors == ("none",) and list(annotations.published) == ["train", "test"]
    records = list(annotations.records())
    assert [(record.id, record.emotion) for record in records] == [
        ("train/3", "contempt"),
        ("train/20", "fear"),
        ("train/21", "anger"),
        ("test/3", "sad"),
    ]
    for record in (records[0], records[1], records[3]):
        np.testing.assert_allclose(record.soft_label, SOFT)
        assert dict(zip(EIGHT, record.soft_label))["happy"] == pytest.approx(0.5)
        np.testing.assert_array_equal(record.landmarks, POINTS.reshape(68, 2))
        assert (record.valence, record.arousal) == (0.5, -0.25)
    assert records[2].soft_label is None and records[2].valence == UNKNOWN_AFFECT
    assert records[1].image == "train_set/images/20.jpg"


JSON_FAULTS = {
    "label 9": (content(9), "label uncertain"),
    "label 10": (content(10), "label no face"),
    "label -1": (content(-1), "unknown emotion code -1"),
    "no label": ({"soft-label": SOFT}, "human-label 'None' is not a number"),
    "label true": (content(True), "human-label 'True' is not a number"),
    "label 1e400": ('{"human-label": 1' + "0" * 400 + "}", "human-label '1000"),
    "soft of 7": (content(soft=SOFT[:7]), "soft-label: expected 8 numbers"),
    "soft negative": (content(soft=[1.1, -0.1, 0, 0, 0, 0, 0, 0]), "soft-label has a negative number"),
    "soft of 2": (content(soft=[2 * value for value in SOFT]), "soft-label sums to 2 instead"),
    "soft nan": (content(soft=[np.nan] * 8), "soft-label 'nan' is not a number"),
    "soft text": (content(soft="0.1"), "soft-label: expected 8 numbers"),
    "valence 5": (content(valence=5), "valence 5 outside [-1, 1]"),
    "valence alone": (content(arousal=None), "arousal 'None' is not a number"),
    "landmark table": (content(landmarks={"0": [1, 2]}), "landmarks are dict, not a list"),
    "landmark true": (content(landmarks=[True, *POINTS[1:].tolist()]), "a landmark is true or false, not a number"),
    "67 landmarks": (content(landmarks=[[1, 2]] * 67), "134 landmark numbers instead of 136"),
    "not json": ("human-label: 1", "json cannot be read"),
    "empty": ("", "json cannot be read"),
    "cut off": ('{"human-label": 1, "soft', "json cannot be read"),
    "nested": ("[" * 100_000, "json cannot be read"),
    "a list": ("[1, 2]", "json is not an object with keys"),
}


@pytest.mark.parametrize("fault", JSON_FAULTS)
def test_faulty_json_file_is_a_row_with_a_status(tmp_path, fault):
    text, status = JSON_FAULTS[fault]
    write_json(tmp_path / "train_set", 1, content())
    write_json(tmp_path / "train_set", 2, text)
    intact, faulty = rows(tmp_path)
    assert intact.status == OK and status in faulty.status and faulty.id == "train/2"


def test_soft_label_of_zeros_counts_as_missing(tmp_path):
    write_json(tmp_path / "train_set", 1, content(soft=[0] * 8))
    [record] = rows(tmp_path)
    assert record.status == OK and record.soft_label is None and record.emotion


def test_image_without_json_is_a_row_with_a_status(tmp_path):
    write_json(tmp_path / "train_set", 1, content())
    (tmp_path / "train_set" / "images" / "2.jpg").write_bytes(b"")
    assert [record.status for record in rows(tmp_path)] == [OK, "no json file"]
    assert affectnet.find(tmp_path).count() == 2
