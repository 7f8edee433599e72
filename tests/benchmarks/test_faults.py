"""The harness of benchmarks.faults notices every difference between two folders, and resumes from its JSON file."""

import json
import shutil
import zipfile

import numpy as np
import pytest

from benchmarks.faults import cases, comparison, process
from benchmarks.faults.__main__ import Rows
from benchmarks.faults.stages import OUT, STAGES, TRAINING, Stage


def make_run(folder, seconds=1.0, weight=0.0):
    """A folder with the kinds of files that are compared in parts."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "environment.json").write_text(json.dumps({"seed": 1, "starts": [seconds], "data": {"finished": 1}}))
    (folder / "history.csv").write_text(f"epoch,seconds,loss\n1,{seconds},{weight}\n")
    state = {"epoch": 1, "history": [{"seconds": seconds, "loss": weight}]}
    np.savez(folder / "checkpoints" / "latest.npz", meta=json.dumps(state), v0=np.full(3, weight))
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("metadata.json", str(seconds))
        archive.writestr("weights", str(weight))
    (folder / "table.csv").write_bytes(bytes(9))
    return comparison.contents(folder, TRAINING)


def test_every_difference_is_noticed_and_times_are_not(tmp_path):
    expected = make_run(tmp_path / "a")
    assert comparison.differences(expected, make_run(tmp_path / "b", seconds=2.0)) == []
    changed = make_run(tmp_path / "c", weight=1.0)
    assert comparison.differences(expected, changed) == [
        f"differs: {name}" for name in ("checkpoints/latest.npz", "history.csv", "model.keras")
    ]
    folder = tmp_path / "b"
    (folder / "table.csv").write_bytes(bytes(8) + b"\1")
    (folder / "environment.json").unlink()
    (folder / ".edram-fer-abcdefgh").mkdir()
    (folder / "figures").mkdir()
    (folder / "figures" / "a.svg").write_text("")
    assert comparison.differences(expected, comparison.contents(folder, TRAINING)) == [
        "missing: environment.json",
        "not expected: .edram-fer-abcdefgh/",
        "not expected: figures/a.svg",
        "differs: table.csv",
    ]
    (folder / "model.keras").write_bytes(b"half")
    assert "differs: model.keras" in comparison.differences(expected, comparison.contents(folder, TRAINING))


# A command that writes two files, slowly, and keeps the first one when it is started again.
SLOW = """
import pathlib, sys, time
out = pathlib.Path(sys.argv[1])
out.mkdir(exist_ok=True)
time.sleep(0.05)
(out / "first").touch()
time.sleep(0.05)
(out / "second").write_text("done")
"""


@pytest.fixture
def slow(monkeypatch):
    monkeypatch.setitem(STAGES, "slow", Stage(lambda folder, out: [out]))
    monkeypatch.setattr(process, "COMMAND", [*process.COMMAND[:1], "-S", "-c", SLOW])


def test_kills_are_counted_compared_and_resumed(slow, tmp_path):
    def run(kills):
        rows = Rows(tmp_path / "faults.json", seed=3)
        cases.Cases("slow", tmp_path / "work", 3, rows.rows, rows.save).run("kill", kills)
        return rows

    (tmp_path / "work").mkdir()
    first = run(2)
    [summary] = first.summary()
    assert summary["disturbed"] == 2 and summary["undisturbed"] >= 1 and summary["problems"] == 0
    before = json.loads((tmp_path / "faults.json").read_text())["rows"]
    more = run(3).rows
    assert {key: more[key] for key in before} == before and len(more) > len(before)
    with pytest.raises(SystemExit, match="expected seed 4, its rows have seed 3"):
        Rows(tmp_path / "faults.json", seed=4)


@pytest.mark.skipif(shutil.which("faketime") is None, reason="the program faketime is not installed")
def test_the_clock_is_set_back_and_dates_of_files_are_not(slow, tmp_path, monkeypatch):
    tell = "import os, sys, time; print(int(time.time() - os.stat('before').st_mtime), file=sys.stderr)"
    monkeypatch.setattr(process, "COMMAND", [*process.COMMAND[:3], tell])
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "before").touch()
    ages = [
        int(process.run(STAGES["slow"], tmp_path / "case", clock=clock).last_line) / 86400 for clock in cases.CLOCKS
    ]
    assert ages == pytest.approx([-1, -3650], abs=1)


def test_a_command_that_loses_a_file_is_noticed(slow, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    rows = Rows(tmp_path / "faults.json", seed=0)
    faulty = cases.Cases("slow", tmp_path / "work", 0, rows.rows, rows.save)
    monkeypatch.setattr(process, "COMMAND", [*process.COMMAND[:3], SLOW.replace('"second"', '"third"')])
    faulty.run("two-processes", 1)
    assert rows.rows["slow/two-processes/0"]["problems"] == [f"missing: {OUT}/second", f"not expected: {OUT}/third"]
    assert (tmp_path / "work" / "kept" / "slow.two-processes.0" / OUT / "third").exists()
