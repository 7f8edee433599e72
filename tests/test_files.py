"""Files are replaced as a whole; only temporaries of the package are ever deleted; spreadsheets execute nothing."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys

import pytest
from support.paths import ROOT

from edram_fer import files
from edram_fer.errors import LONGEST, UserError, as_status
from edram_fer.preprocessing import folder_lock

# Writes half of metrics.json and is killed, so that its temporary file stays.
KILLED = """
import os, signal, sys
from edram_fer import files

with files.replace(sys.argv[1]) as temporary:
    temporary.write_text("{")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this platform")
def test_the_next_write_removes_what_a_killed_process_left_and_nothing_else(tmp_path):
    path = tmp_path / "a" / "metrics.json"
    kept = [".coverage.host1", ".edram-fer-notes", "a/.edram-fer-abcdefgh/x.json", "a/.edram-fer-abcdefgh.d/lock"]
    for name in kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a file of the user")
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT).returncode == -signal.SIGKILL
    assert len(list(path.parent.glob(".edram-fer-*/metrics.json"))) == 1 and not path.exists()
    (path.parent / ".edram-fer-00000000").mkdir()  # killed between making the folder and locking it
    with files.replace(path) as temporary:
        temporary.write_text("{")
        files.write_json(path.with_name("other.json"), {})  # by another writer, which leaves the first one alone
        temporary.write_text("{}")
    left = sorted(str(entry.relative_to(tmp_path)) for entry in tmp_path.rglob("*") if entry.is_file())
    assert left == sorted([*kept, "a/metrics.json", "a/other.json"])
    assert len(list(path.parent.iterdir())) == 4 and files.read_json(path) == {}


# Is killed before the call with the number argv[2] of os.replace.
KILLED_BETWEEN_RENAMES = """
import os, signal, sys
from edram_fer import files

rename, calls = os.replace, []

def rename_or_die(source, target):
    calls.append(source)
    if len(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target)

os.replace = rename_or_die
with files.replace_folder(sys.argv[1]) as temporary:
    temporary.mkdir()
    (temporary / "new").touch()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this platform")
@pytest.mark.parametrize(("call", "left"), [(2, "old"), (3, "new")])
def test_a_folder_that_is_replaced_is_never_lost(tmp_path, call, left):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").touch()
    killed = subprocess.run([sys.executable, "-c", KILLED_BETWEEN_RENAMES, str(path), str(call)], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(KeyError), files.replace_folder(path):
        raise KeyError
    assert os.listdir(path) == [left]
    with files.replace_folder(path) as temporary:
        temporary.mkdir()
        (temporary / "newest").touch()
    assert os.listdir(path) == ["newest"] and os.listdir(tmp_path) == ["model"]


def test_a_folder_stays_if_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(FileNotFoundError), files.replace_folder(path):
        pass
    rename = os.replace

    def refuse(source, target):
        if target == path and (source / "new").exists():
            raise PermissionError
        rename(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError), files.replace_folder(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert os.listdir(path) == ["old"] and os.listdir(tmp_path) == ["a"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_file_system_that_cannot_lock_is_named(tmp_path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(OSError, match=f"locks available: '{tmp_path}'"):
        files.write_json(tmp_path / "a.json", {})
    assert not os.listdir(tmp_path)
    with pytest.raises(OSError, match=f"locks available: '{tmp_path}'"), folder_lock.exclusive_lock(tmp_path):
        pass


def test_long_names_are_replaced(tmp_path):
    path = tmp_path / ("é" * 122 + ".json")  # 249 bytes of the 255 that file systems allow
    files.write_json(path, {"a": 1})
    assert files.read_json(path) == {"a": 1} and os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\ta", "\ra"])
def test_no_cell_is_a_formula(tmp_path, cell):
    files.write_csv(tmp_path / "a.csv", [{"run": cell, cell: -1.5}, {"run": f"a\udce4{cell}"}])
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["run", f"'{cell}"], [f"'{cell}", "-1.5"], [rf"a\udce4{cell}", ""]]


def test_no_message_quotes_a_whole_file():
    error = UserError(f"faces.csv: expected a number, got {'9' * 800_000}; see the documentation")
    assert len(str(error)) <= LONGEST and str(error).startswith("faces.csv") and str(error).endswith("documentation")
    assert len(as_status(ValueError("\n" * 10 + "9" * 800_000))) < 200


def test_a_folder_that_cannot_be_written_is_noticed_first(tmp_path, mounted):
    files.check_writable(tmp_path / "a" / "b")
    assert not os.listdir(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(OSError, match=str(folder)):
            files.check_writable(folder)
    full = mounted("size=4k")
    (full / "other").write_bytes(bytes(4096))
    with pytest.raises(OSError, match=f"No space left on device: '{full}'"):
        files.check_writable(full)


@pytest.mark.parametrize(
    "content", ["{", "[" * 100_000, '{"a": ' + "[" * 200 + "]" * 200 + "}", f'{{"a": {"9" * 5000}}}', "\ud800"]
)
def test_what_is_no_json_is_named(content, tmp_path):
    (tmp_path / "a.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match="a.json is not readable as JSON: "):
        files.read_json(tmp_path / "a.json")


def test_nested_json_is_read_to_a_hundred_levels():
    assert files.parse_json("[" * 100 + "]" * 100) == json.loads("[" * 100 + "]" * 100)
    with pytest.raises(ValueError, match="nested more than 100 levels deep"):
        files.parse_json("[" * 101 + "]" * 101)


def test_files_are_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a.weights.h5"
    with files.replace(path) as temporary:
        temporary.write_text("first")
        assert temporary.parent.parent == path.parent and temporary.name == path.name
    with pytest.raises(KeyError), files.replace(path) as temporary:
        temporary.write_text("half of the sec")
        raise KeyError
    assert path.read_text() == "first" and [entry.name for entry in path.parent.iterdir()] == ["a.weights.h5"]
    with pytest.raises(FileNotFoundError), files.replace(path):
        pass
    with pytest.raises(OSError, match="No space left on device") as full, files.replace(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a write says it, without the place
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, str(path))
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", float("nan"))
    assert not (tmp_path / "a.json").exists()
