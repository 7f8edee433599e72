"""The command `prepare` passes each of its options on under the name that the library gives it."""

from pathlib import Path

import pytest

from edram_fer import cli
from edram_fer.preprocessing import datasets, faces
from edram_fer.preprocessing.face_table import SplitSettings


@pytest.fixture
def prepared(monkeypatch):
    """What `prepare` was called with: (arguments, options)."""
    calls = []
    monkeypatch.setattr(datasets, "prepare", lambda *arguments, **options: calls.append((arguments, options)))

    def command(*words):
        with pytest.raises(SystemExit) as end:
            cli.main(["prepare", *words])
        assert end.value.code == 0
        return calls.pop()

    return command


def test_without_options_the_defaults_are_those_of_the_library(prepared):
    arguments, options = prepared("jaffe", "--source", "photos", "--out", "data")
    assert arguments == ("jaffe", Path("photos"), Path("data"))
    assert options.keys() == {"force", "report"} and options["force"] is False


def test_every_option_reaches_the_library(prepared):
    words = (
        "--size 48 --colour --detectors ssd,dlib --detector-size 160 --faces all --margin 0.1 --landmarks --check yunet"
    )
    words += (
        " --retry clahe,histogram --smallest-photo 300 --smallest-inside 0.9 --smallest-square 100 --rounding down"
        " --landmark-image face --interpolation linear --ignore-annotated --published forch2019"
        " --models files --classes seven --validation 0.2 --seed 3 --workers 2 --beam=--runner=DirectRunner --force"
    )
    _, options = prepared("expw", *words.split(), "--set", "subset=first", "--set", "share=0.5")
    assert options.pop("report") is not None and options.pop("force") is True
    assert options.pop("beam") == ["--runner=DirectRunner"] and options.pop("workers") == 2
    assert options.pop("classes") == "seven" and options.pop("published") == "forch2019"
    assert {name: options.pop(name) for name in ("subset", "share")} == {"subset": "first", "share": 0.5}
    splits = SplitSettings(**{name: options.pop(name) for name in ("validation", "seed")})
    assert splits == SplitSettings(0.2, 3)
    assert faces.Settings(**options) == faces.Settings(
        size=48, colour=True, detectors=("ssd", "dlib"), detector_size=160, faces="all", margin=0.1, landmarks=True,
        check="yunet", models="files", retry="clahe,histogram", smallest_photo=300, smallest_inside=0.9,
        smallest_square=100, rounding="down", landmark_image="face", interpolation="linear", annotated=False,
    )  # fmt: skip
    assert {*faces.Settings.__dataclass_fields__} - {*options} == {"chin", "clahe"}  # not on the command line
