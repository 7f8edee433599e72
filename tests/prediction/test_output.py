"""The command's folder: its table and drawings, resumed after any stop, and what it neither keeps nor destroys."""

import csv
import io
import itertools
import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from edram_fer import cli
from edram_fer.commands import predict as command
from edram_fer.errors import ExistingRunError, MissingFileError, UserError
from edram_fer.prediction import output, predictor
from edram_fer.prediction.images import single_images
from edram_fer.prediction.output import Output
from edram_fer.preprocessing import folder_lock, model_files


@pytest.fixture(scope="module")
def crops(tmp_path_factory, contents):
    """A folder of ready-made faces with awkward names, and files that are not images."""
    folder = tmp_path_factory.mktemp("crops")
    names = ["0.png", "1.png", "below/2.png", "=cmd.png", "smile \U0001f600.png", "x" * 246 + ".png"]
    (folder / "below").mkdir()
    for name, image in zip(names, contents["validation"]["image"], strict=False):
        Image.fromarray(image[..., 0]).save(folder / name)
    shutil.copy(folder / "0.png", os.fsencode(folder) + b"/latin \xe4.png")
    (folder / "a broken one.jpg").write_text("no image")
    (folder / "notes.txt").write_text("passed over")
    (folder / "._0.png").write_text("macOS' own, passed over")
    return folder


@pytest.fixture(scope="module")
def one(trained):
    return predictor.Predictor(trained.run, batch_size=2, steps=True)


def run(arguments, status):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["predict", *map(str, arguments)])
    assert stopped.value.code == status


def write(one, source, folder, stop=None, **options):
    """Write predictions into a folder; stop after some batches. Returns the state that the folder was in."""
    images = single_images([str(source)])
    written = Output(folder, **options)
    state = written.state(images, {"steps": one.steps})
    if state != "complete":
        written.start(images.passed_over)
        for batch in itertools.islice(one.batches(images, written.counts["images"]), stop):
            written.write(batch.images, batch.rows, 1)
        if stop is None:
            written.finish()
    return state


def read(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_command_writes_the_table_and_draws(crops, trained, tmp_path, capsys):
    out = tmp_path / "out"
    run([trained.run, crops, f"--out={out}"], command.FAULTY)
    printed = capsys.readouterr().out
    table = predictor.predict(trained.run, crops)
    with open(out / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["emotion"] for row in rows] == table.emotion.fillna("").tolist()
    assert [float(row["confidence"]) for row in rows if row["status"] == "ok"] == table.confidence.dropna().tolist()
    assert [row["height"] for row in rows if row["status"] == "ok"] == ["28"] * 7
    windows = [json.loads(row["windows"]) for row in rows if row["status"] == "ok"]
    np.testing.assert_allclose(windows, np.stack(table.windows.dropna()), atol=1e-6)
    drawn = [row["image"] for row in rows if row["image"]]
    assert sorted(drawn) == sorted(os.listdir(out / "images")) and len(drawn) == 7
    assert drawn[:2] == ["1_0.jpg", "2_1.jpg"]
    for name in drawn:
        with Image.open(out / "images" / name) as image:
            assert image.size == (1000, 1000)
    assert f"{crops}/a broken one.jpg: not an image" in printed and f"{crops}/0.png, face 1: " in printed
    assert "not an image: notes.txt" in printed and "hidden: ._0.png" in printed
    assert "(images: 8, faces: 7, " in printed and "not about a feeling" in printed and "(exit status 3)" in printed
    passed_over = pd.read_csv(out / "passed_over.csv")
    assert {os.path.basename(path) for path in passed_over.path} == {"notes.txt", "._0.png"}


def test_only_one_command_writes_into_a_folder(crops, tmp_path):
    with folder_lock.reserved(tmp_path, "predicting"):
        run(["fer2013-edram", crops, f"--out={tmp_path}"], f"error: another process is predicting in {tmp_path}")
        assert os.listdir(tmp_path) == [folder_lock.HIDDEN]
    assert not os.listdir(tmp_path)


def test_every_format_holds_the_same_rows_and_names(crops, one, tmp_path):
    table = one(crops)
    for format in output.FORMATS:
        assert write(one, crops, tmp_path / format, format=format, draw=False) == "new"
        assert not (tmp_path / format / "images").exists()
    text = (tmp_path / "jsonl" / "predictions.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [row["source"] for row in lines] == table.source.tolist()  # bytes that are not UTF-8 among them
    assert os.path.exists(next(row["source"] for row in lines if "latin" in row["source"]))
    assert [row["confidence"] for row in lines if row["confidence"]] == table.confidence.dropna().tolist()
    parquet = pd.read_parquet(tmp_path / "parquet" / "predictions.parquet")
    commas = pd.read_csv(tmp_path / "csv" / "predictions.csv")
    assert list(parquet.columns) == list(commas.columns) == list(lines[0])
    assert parquet.source.tolist() == commas.source.tolist()
    assert commas.source[0] == table.source[0] and any(r"latin \udce4.png" in name for name in commas.source)
    steps = np.array([np.stack(row) for row in map(list, parquet.step_probabilities.dropna())])
    np.testing.assert_allclose(steps, np.stack(table.step_probabilities.dropna()), atol=1e-6)
    assert not (tmp_path / "parquet" / output.UNFINISHED).exists()


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\ta", "\ra"])
def test_no_text_is_a_formula_and_no_number_is_a_text(cell):
    text = output._csv_text([{"source": cell, cell: -0.5, "status": "a=b"}], header=True).decode()
    header, row = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header == ["source", f"'{cell}", "status"] and row == [f"'{cell}", "-0.5", "a=b"]
    assert output._written_name(cell) == f"'{cell}"


@pytest.mark.parametrize("format", output.FORMATS)
def test_a_killed_run_resumes_to_equal_files(format, crops, one, tmp_path):
    write(one, crops, tmp_path / "whole", format=format)
    expected = read(tmp_path / "whole")
    for batches in range(4):
        folder = tmp_path / f"{batches}"
        write(one, crops, folder, stop=batches, format=format)
        growing = folder / (output.UNFINISHED if format == "parquet" else f"predictions.{format}")
        with open(growing, "ab") as rows:  # a row that was being written when the process was killed
            rows.write(b"half a r")
        assert write(one, crops, folder, format=format) == "resumed"
        assert read(folder) == expected
        assert write(one, crops, folder, format=format) == "complete"
        assert read(folder) == expected


def test_a_second_run_with_other_images_leaves_nothing_old_but_what_is_the_user_s(crops, one, tmp_path):
    folder = tmp_path / "out"
    write(one, crops, folder)
    own = [f"images/{name}" for name in ("holiday.jpg", "12_x.jpg", "1_holiday.mp4", "1_0 (copy).jpg")]
    for name in own:
        (folder / name).write_text("the user's own")
    (folder / "thesis.docx").write_text("the user's own")
    assert write(one, crops / "below", folder, format="jsonl") == "replaced"
    assert {*read(folder)} == {
        *("edram-fer-predict.json", "edram-fer-predict-drawn.txt", "predictions.jsonl", "images/1_2.jpg"),
        *(*own, "thesis.docx"),
    }
    (crops / "below" / "2.png").touch()
    assert write(one, crops / "below", folder, format="jsonl") == "replaced"  # its pixels may have changed


def test_what_a_killed_command_has_drawn_is_known(crops, one, tmp_path, monkeypatch):
    write(one, crops, tmp_path / "whole")
    draw = Output._draw

    def killed(self, *arguments):
        if draw(self, *arguments):
            raise KeyboardInterrupt

    for folder in (tmp_path / "resumed", tmp_path / "replaced"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Output, "_draw", killed)
            write(one, crops, folder)
        assert len(os.listdir(folder / "images")) == 1
    assert write(one, crops, tmp_path / "resumed") == "resumed"
    assert read(tmp_path / "resumed") == read(tmp_path / "whole")
    assert write(one, crops / "below", tmp_path / "replaced") == "replaced"
    assert os.listdir(tmp_path / "replaced" / "images") == ["1_2.jpg"]


def test_a_list_of_other_files_deletes_none(one, crops, tmp_path):
    folder = tmp_path / "out"
    write(one, crops / "below", folder)
    for path in (tmp_path / "photo.jpg", folder / "photo.jpg"):
        path.write_text("the user's own")
    (folder / "images" / "below").mkdir()
    (folder / "edram-fer-predict-drawn.txt").write_text("../../photo.jpg\n../photo.jpg\n..\n.\n\n1_2.jpg\n")
    assert write(one, crops / "0.png", folder) == "replaced"
    assert (tmp_path / "photo.jpg").exists() and (folder / "photo.jpg").exists()
    assert sorted(os.listdir(folder / "images")) == ["1_0.jpg", "below"]


def test_a_table_of_somebody_else_is_not_overwritten(one, crops, tmp_path):
    (tmp_path / "predictions.csv").write_text("of another program")
    with pytest.raises(ExistingRunError, match="predictions.csv was not written by this command"):
        write(one, crops, tmp_path)
    write(one, crops / "below", tmp_path / "out")
    (tmp_path / "out" / "predictions.jsonl").write_text("of another program")
    with pytest.raises(ExistingRunError, match="predictions.jsonl was not written by this command"):
        write(one, crops / "below", tmp_path / "out", format="jsonl")
    (tmp_path / "photos" / "images").mkdir(parents=True)
    (tmp_path / "photos" / "images" / "1.jpg").touch()
    with pytest.raises(ExistingRunError, match="images holds other files"):
        write(one, crops, tmp_path / "photos")


def test_a_folder_that_cannot_be_written_is_noticed_before_the_model_is_loaded(crops, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    run(["no model is looked for", crops, f"--out={out}"], f"error: {out}: Not a directory")


def test_a_camera_takes_no_option_of_films(tmp_path):
    arguments = ["fer2013-edram", "--camera=0", "--every=0.5s", f"--out={tmp_path}"]
    run(arguments, "error: --every: expected films; of a camera, each frame is used that comes in time, got 0.5s")


def test_an_interrupted_command_keeps_its_rows_and_says_how_to_go_on(crops, trained, tmp_path, monkeypatch, capsys):
    arguments = [trained.run, crops, f"--out={tmp_path}", "--format=parquet"]
    batches = predictor.Predictor.batches

    def interrupted(self, *arguments):
        self.batch_size = 3
        yield from itertools.islice(batches(self, *arguments), 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(predictor.Predictor, "batches", interrupted)
    run(arguments, 130)
    assert "Stopped after 3 of 8 images" in capsys.readouterr().err
    assert len(pd.read_parquet(tmp_path / "predictions.parquet")) == 3
    monkeypatch.undo()
    run(arguments, command.FAULTY)
    assert "Resuming: 3 of 8 images are done" in capsys.readouterr().out
    assert len(pd.read_parquet(tmp_path / "predictions.parquet")) == 8


@pytest.mark.parametrize(("faces", "size", "hinted"), [(1, 60, True), (2, 60, False), (0, 300, False)])
def test_images_of_a_face_s_size_without_a_face_are_pointed_out(crops, trained, tmp_path, capsys, faces, size, hinted):
    """Two images without a face, and `faces` that are finished faces."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        Image.new("L", (size, size - number), 90).save(folder / f"grey {number}.png")
    for number in range(faces):
        shutil.copy(crops / "0.png", folder / f"face {number}.png")
    run([trained.run, folder, f"--out={tmp_path / 'out'}", "--no-draw"], 0)
    assert ("Try --detectors none" in capsys.readouterr().out) == hinted


def test_a_missing_default_detector_is_reported_before_the_model_is_loaded(crops, tmp_path, monkeypatch):
    def load(*arguments):
        raise UserError("the model is loaded")

    def find(name, folder=None):
        raise MissingFileError(f"no file of {name}")

    monkeypatch.setattr(predictor, "_trained_model", load)
    monkeypatch.setattr(model_files, "find", find)
    arguments = ["predict", "fer2013-edram", str(crops), f"--out={tmp_path / 'out'}"]
    with pytest.raises(SystemExit, match="no file of yunet.*--detectors none"):
        cli.main(arguments)
    with pytest.raises(SystemExit, match="the model is loaded"):
        cli.main([*arguments, "--detectors", "none"])
