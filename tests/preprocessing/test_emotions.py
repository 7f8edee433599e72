"""The vocabulary compared with the published tables, written out once more row by row."""

import subprocess
import sys

import pytest

from edram_fer.preprocessing import emotions

# Canonical name -> the codes of the data sets in COLUMNS; None if a data set lacks the emotion.
COLUMNS = ("AffectNet", "FER2013", "ExpW", "FERPlus", "RAF-DB", "CK+", "JAFFE", "KDEF", "FERG", "SFEW")
ROWS = {
    "neutral": (0, 6, 6, 0, 7, 0, "NE", "NE", "neutral", "Neutral"),
    "happy": (1, 3, 3, 1, 4, 5, "HA", "HA", "joy", "Happy"),
    "sad": (2, 4, 4, 3, 5, 6, "SA", "SA", "sadness", "Sad"),
    "surprise": (3, 5, 5, 2, 1, 7, "SU", "SU", "surprise", "Surprise"),
    "fear": (4, 2, 2, 6, 2, 4, "FE", "AF", "fear", "Fear"),
    "disgust": (5, 1, 1, 5, 3, 3, "DI", "DI", "disgust", "Disgust"),
    "anger": (6, 0, 0, 4, 6, 1, "AN", "AN", "anger", "Angry"),
    "contempt": (7, None, None, 7, None, 2, None, None, None, None),
}
CASES = [(dataset, code, name) for name, row in ROWS.items() for dataset, code in zip(COLUMNS, row) if code is not None]


def test_canonical_order():
    assert emotions.EMOTIONS == emotions.EIGHT == tuple(ROWS)
    assert emotions.SEVEN == tuple(ROWS)[:7]


@pytest.mark.parametrize("dataset, code, name", CASES)
def test_every_code_of_every_data_set(dataset, code, name):
    assert emotions.from_code(dataset, code) == name
    assert emotions.from_code(dataset.lower().replace("-", "_"), f" {code} ") == name


def test_tables_contain_no_other_codes():
    extra = {"AffectNet": {8: "none", 9: "uncertain", 10: "no face"}, "FERPlus": {8: "unknown", 9: "no face"}}
    for dataset in COLUMNS:
        expected = {code: name for dataset_of_case, code, name in CASES if dataset_of_case == dataset} | extra.get(
            dataset, {}
        )
        assert emotions.codes(dataset) == expected
    assert set(emotions.CODES) == {*COLUMNS, "RAF-DB compound"}


@pytest.mark.parametrize(
    "dataset, code, name",
    [
        ("AffectNet", 8, "none"),
        ("AffectNet", "9", "uncertain"),
        ("AffectNet", 10, "no face"),
        ("FERPlus", 8, "unknown"),
        ("FER+", 9, "no face"),
    ],
)
def test_non_emotions_are_recognised(dataset, code, name):
    assert emotions.from_code(dataset, code) == name
    assert not emotions.is_emotion(name)
    with pytest.raises(ValueError, match="not among the classes"):
        emotions.index(name)


@pytest.mark.parametrize(
    "alias, name",
    [
        ("angry", "anger"),
        ("ANGER", "anger"),
        ("Disgusted", "disgust"),
        ("fearful", "fear"),
        ("afraid", "fear"),
        ("joy", "happy"),
        (" happiness ", "happy"),
        ("sadness", "sad"),
        ("surprised", "surprise"),
        ("NF", "no face"),
        ("contempt", "contempt"),
        ("Neutral", "neutral"),
    ],
)
def test_aliases(alias, name):
    assert emotions.canonical(alias) == name


def test_codes_as_written_in_files():
    assert emotions.from_code("CK+", "   3.0000000e+00") == "disgust"
    assert emotions.from_code("ckplus", 7.0) == "surprise"


@pytest.mark.parametrize("code", [7, -1, 2.5, "", "happy", None, float("nan"), True])
def test_unknown_code_is_named_in_the_error(code):
    with pytest.raises(ValueError) as error:
        emotions.from_code("fer2013", code)
    assert "FER2013" in str(error.value) and repr(code) in str(error.value) and "6 neutral" in str(error.value)


def test_unknown_names():
    with pytest.raises(ValueError, match="'bored'.*neutral, happy"):
        emotions.canonical("bored")
    with pytest.raises(ValueError, match="'MNIST'.*AffectNet"):
        emotions.from_code("MNIST", 1)
    with pytest.raises(ValueError, match="contempt"):
        emotions.index("contempt", emotions.SEVEN)
    with pytest.raises(ValueError, match="unknown emotion 3"):
        emotions.canonical(3)


def test_index_is_the_position_of_the_name():
    assert [emotions.index(name) for name in emotions.EMOTIONS] == list(range(8))
    assert emotions.index("angry", ("anger", "joy")) == 0


def test_needs_no_tensorflow():
    code = (
        "import sys, edram_fer.preprocessing.emotions; "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("seven", emotions.SEVEN),
        (8, emotions.EIGHT),
        ("bored, engaged ,confused", ("bored", "engaged", "confused")),
        ("Anger,Happiness,bored", ("happy", "anger", "bored")),  # the eight in canonical order
        ("positive,neutral,negative", ("positive", "neutral", "negative")),
        (["calm", "joy"], ("calm", "joy")),  # other words for emotions are names of their own
        ("Happily  Surprised,Sadly Angry", ("Happily Surprised", "Sadly Angry")),
    ],
)
def test_classes(text, classes):
    assert emotions.parse_classes(text) == classes


@pytest.mark.parametrize(
    "text", ["six", "", "a,", "a,A", "happy,Happiness", "a,b\n\tb,\x1b", ["a,b", "c"], f"a,{'b' * 61}"]
)
def test_classes_that_are_not_valid(text):
    with pytest.raises(ValueError, match="classes: expected seven, eight, or at least two different names"):
        emotions.parse_classes(text)


def test_labels_of_classes():
    labels = emotions.Labels(("joy", "anger", "Very Bored"))
    assert [labels.name(text) for text in ("JOY", "happiness", "Angry", " very  bored ")] == [
        *("joy", "joy", "anger", "Very Bored")
    ]
    assert labels.name("NF") == "no face"
    with pytest.raises(ValueError, match="^label sad, not among the 3 classes$"):
        labels.name("sadness")
    with pytest.raises(ValueError, match=r"^unknown label very bord \(Very Bored\?\)$"):
        labels.name("very bord")
    assert emotions.Labels(("joy", "happy")).name("happiness") == "happy"


@pytest.mark.parametrize("name", ["Confidence", "valence", "all"])
def test_classes_with_the_names_of_columns(name):
    with pytest.raises(ValueError, match=f"{name} is the name of a column of predictions"):
        emotions.parse_classes(f"happy,{name}")
