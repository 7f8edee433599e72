"""The command `prepare` passes each of its options on under the name that the library gives it."""

import types
from pathlib import Path

import pyarrow.parquet
import pytest
from PIL import Image

from edram_fer import cli
from edram_fer.commands import prepare as prepare_command
from edram_fer.preprocessing import datasets, faces
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.face_table import SplitSettings


@pytest.fixture
def prepared(monkeypatch):
    """What `prepare` was called with: (arguments, options)."""
    calls, split = [], types.SimpleNamespace(num_examples=100)
    info = types.SimpleNamespace(
        data_dir="", full_name="jaffe/grey100/1.0.0", splits={"train": split, "validation": split}
    )

    def prepare(*arguments, **options):
        calls.append((arguments, options))
        return types.SimpleNamespace(info=info)

    monkeypatch.setattr(datasets, "prepare", prepare)

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
        " --coarse-size 90 --min-score 0.6 --largest-photo 108"
        " --retry clahe,histogram --smallest-photo 300 --smallest-inside 0.9 --smallest-square 100 --rounding down"
        " --landmark-image face --interpolation linear --ignore-annotated --published forch2019"
        " --models files --classes seven --name mine --root photos --column emotion=label"
        " --validation 0.2 --test 0.3 --seed 3 --workers 2 --beam=--runner=DirectRunner --force"
    )
    _, options = prepared("expw", *words.split(), "--set", "subset=first", "--set", "share=0.5")
    assert options.pop("report") is not None and options.pop("force") is True
    assert options.pop("beam") == ["--runner=DirectRunner"] and options.pop("workers") == 2
    assert options.pop("classes") == "seven" and options.pop("published") == "forch2019"
    assert {name: options.pop(name) for name in ("subset", "share")} == {"subset": "first", "share": 0.5}
    splits = SplitSettings(**{name: options.pop(name) for name in ("validation", "seed", "test")})
    assert splits == SplitSettings(0.2, 3, 0.3) and options.pop("config_name") == "mine"
    assert options.pop("root") == Path("photos") and options.pop("column") == ["emotion=label"]
    assert FaceSettings(**options) == FaceSettings(
        size=48, colour=True, detectors=("ssd", "dlib"), detector_size=160, faces="all", margin=0.1, landmarks=True,
        coarse_size=90, min_score=0.6, check="yunet", models="files", retry="clahe,histogram", smallest_photo=300,
        largest_photo=108, smallest_inside=0.9, smallest_square=100, rounding="down", landmark_image="face",
        interpolation="linear", annotated=False,
    )  # fmt: skip
    assert {*FaceSettings.__dataclass_fields__} - {*options} == {"chin", "clahe", "eyes"}  # not on the command line


@pytest.mark.parametrize(
    ("full_name", "counts", "line"),
    [
        ("fer2013/1.0.0", {"train": 90, "validation": 9}, "Next: edram-fer train fer2013"),
        ("folder/my-set/1.0.0", {"train": 90, "validation": 9}, "train own_data --set data=folder/my-set"),
        ("folder/a/1.0.0", {"train": 9, "validation": 9}, "--set data=folder/a --set batch_size=9"),
        (
            "kdef/grey48/1.0.0",
            {"fold_0": 40, "fold_1": 40, "fold_2": 40},
            "--set train_split=fold_0+fold_1 --set validation_split=fold_2",
        ),
        ("folder/a/1.0.0", {"train": 90}, "prepare again with --validation 0.1"),
    ],
)
def test_next_command(full_name, counts, line):
    splits = {name: types.SimpleNamespace(num_examples=count) for name, count in counts.items()}
    assert prepare_command._next_step(full_name, splits, False, []).endswith(line)
    affect = " --set affect=true" if "own_data" in line or "fold" in line or "batch_size" in line else ""
    with_options = prepare_command._next_step(full_name, splits, True, ["--data-dir", "a b"])
    assert with_options.endswith(line if "again" in line else f"{line}{affect} --data-dir 'a b'")


@pytest.mark.parametrize(("broken", "status"), [(None, 0), ("a.png", 3)])
def test_rows_with_unexpected_errors_end_in_status_three(broken, status, tmp_path, monkeypatch, capsys):
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        (tmp_path / "photos" / "happy").mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 20), 50 * number).save(tmp_path / "photos" / "happy" / name)
    (tmp_path / "photos" / "happy" / "d.png").write_text("not an image")  # a foreseen error
    load_image = faces.load_image

    def failing(record, *arguments):
        if broken is not None and record.image.endswith(broken):
            raise ZeroDivisionError("nobody foresaw this")
        return load_image(record, *arguments)

    monkeypatch.setattr(faces, "load_image", failing)
    words = ("prepare", "folder", "--source", str(tmp_path / "photos"), "--detectors", "none", "--workers", "1")
    with pytest.raises(SystemExit) as end:
        cli.main([*words, "--out", str(tmp_path / "data")])
    assert end.value.code == status
    printed = capsys.readouterr().out
    assert ("1 rows raised unexpected errors, see their status" in printed) == (status == 3)
    [table] = (tmp_path / "data").rglob("rows.parquet")
    statuses = {row["image"]: row["status"] for row in pyarrow.parquet.read_table(table).to_pylist()}
    expected = {f"happy/{name}.png": "ok" for name in "abc"} | {"happy/d.png": "not an image"}
    if broken is not None:
        expected["happy/a.png"] = "unexpected ZeroDivisionError: nobody foresaw this"
    assert statuses == expected
