"""`inspect` and `prepare` compare the counts of every data set with the published ones."""

from collections import Counter

import pytest
from support.dummy_data import DUMMY_DATA

from edram_fer.preprocessing import counts, records
from edram_fer.preprocessing.datasets import inspection
from edram_fer.preprocessing.emotions import SEVEN

# A count of each data set's dummy data beside the published one, as in the warning.
EXPECTED_WARNINGS = {
    "affectnet-csv2017": [
        "train rows: 13, published 414,799",
        "test rows: 8, published 5,500",
        "neutral 1 (74,874), happy 2 (134,415)",
        "contempt 1 (500)",
    ],
    "affectnet-npy2021": ["train rows: 9, published 287,651", "test rows: 8, published 3,999", "contempt 1 (3,750)"],
    "affectnet-json2024": ["contempt 1 (3,750)", "contempt 1 (500)"],
    "raf_db-list": ["train rows: 14, published 12,271", "test rows: 7, published 3,068", "surprise 2 (1,290)"],
    "raf_db-folders": ["train rows: 14, published 12,271", "happy 1 (1,185)"],
    "ck_plus-sequences": [
        "sequences: 8, published 593",
        "subjects: 4, published 123",
        "labelled sequences: 7, published 327",
        "neutral 7 (327)",
        "all rows: 28, published 1,308",
    ],
    "ck_plus-folders": ["all rows: 21, published 981", "contempt 3 (54)"],
    "ck_plus-csv": ["all rows: 8, published 920", "neutral 1 (593)"],
    "jaffe-": ["all rows: 21, published 213", "subjects: 3, published 10", "fear 3 (32)"],
    "ferg-": ["all rows: 14, published 55,767"],
    "kdef-": ["images of all angles: 30, published 4,900", "subjects: 3, published 70"],
    "sfew-": ["train rows: 7, published 958", "validation rows: 7, published 436"],
    "expw-": ["all rows: 8, published 91,793", "neutral 1 (34,883)"],
    "fer2013-csv": ["Training neutral: 1, published 4,965"],
    "ferplus-": ["train: 5, published 25,060"],
}


def test_similar_reasons_and_rare_ones_are_summed():
    statuses = Counter({records.OK: 50, "blurred": 5, "dark": 4, **{f"box {i}x0": 1 for i in range(30)}})
    assert counts.reasons(statuses, most=3) == [("box 0x0 and the like", 30), ("blurred", 5), ("dark", 4)]
    rare = Counter({f"{letter} is lost": 1 for letter in "abc"})
    assert counts.reasons(statuses | rare, most=3)[3:] == [("3 other reasons", 3)]
    assert counts.reasons(Counter({records.OK: 2, "dark": 1})) == [("dark", 1)]


def test_group_is_named_after_its_most_frequent_status():
    statuses = Counter({records.OK: 9, "chin at row 30": 1, "chin at row -4.5": 2, "valence 'x' is not a number": 1,
                        "valence 'yy' is not a number": 1, "label none": 2})  # fmt: skip
    assert counts.status_groups(statuses) == {
        "chin at row -4.5": {"chin at row -4.5": 2, "chin at row 30": 1},
        "label none": {"label none": 2},
        "valence 'x' is not a number": {"valence 'x' is not a number": 1, "valence 'yy' is not a number": 1},
    }


@pytest.mark.parametrize("name", EXPECTED_WARNINGS)
def test_warning_has_both_counts(name):
    dummy = next(dummy for dummy in DUMMY_DATA if f"{dummy.dataset}-{dummy.subfolder}" == name)
    warnings = [line.removeprefix("note: ") for line in inspection.inspect(dummy.folder) if "WARNING: " in line]
    for expected in EXPECTED_WARNINGS[name]:
        assert any(expected in line for line in warnings), expected


def test_every_data_set_with_published_counts_has_a_warning():
    without = {"folder", "table", "drawn_faces"}
    assert {name.split("-")[0] for name in EXPECTED_WARNINGS} == {dummy.dataset for dummy in DUMMY_DATA} - without


def test_counts_that_agree_are_reported_too(tmp_path):
    published = {"train": dict.fromkeys(SEVEN, 2)}
    annotations = records.Annotations(
        name="data",
        layout="table",
        root=tmp_path,
        classes=SEVEN,
        records=lambda: iter(()),
        published=published,
        published_rows={"": 15, "train": 15},
    )
    rows = {"train": Counter(dict.fromkeys(SEVEN, 2)) + Counter({None: 1})}
    assert list(counts.compare_with_published(annotations, rows)) == [
        "all rows: 15, as published",
        "train rows: 15, as published",
        "labels of train, as published: neutral 2, happy 2, sad 2, surprise 2, fear 2, disgust 2, anger 2",
    ]
    rows["test"] = Counter({"happy": 1})
    assert list(counts.compare_with_published(annotations, rows))[0] == "WARNING: all rows: 16, published 15"
