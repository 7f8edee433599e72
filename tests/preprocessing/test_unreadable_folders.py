"""A folder or file that may not be read is named in a row or a line; all others are used."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image
from support.paths import ROOT

# As root every folder can be read: the rights are given up when everything is imported and has been used once.
SCRIPT = """
import json, os, sys
from pathlib import Path
from edram_fer.preprocessing import photos, readers, records
from edram_fer.preprocessing.datasets.folder import annotations
from edram_fer.prediction import folders

def look(folder):
    passed_over = []
    found = [str(path.relative_to(folder)) for path in folders.images(folder, passed_over)]
    rows = {record.image: record.status for record in annotations.find(folder).records()}
    statuses = {}
    for name in rows:
        try:
            photos.read(folder / name)
        except photos.PhotoError as error:
            statuses[name] = str(error)
    return found, [(path.name, reason) for path, reason, _ in passed_over], rows, statuses

open_folder, folder = map(Path, sys.argv[1:])
look(open_folder)
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
print(json.dumps(look(folder)))
"""


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def make_faces(folder, *names):
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (index, 0, 0)).save(folder / name)


def test_what_cannot_be_read_is_named_and_the_rest_is_used(folder):
    faces, opened = folder / "faces", folder / "open"
    make_faces(opened, "happy/a.png", "sad/b.png")
    make_faces(faces, "happy/a.png", "sad/b.png", "sad/c.png", "sad/locked/d.png", "sad/shut/e.png", "other/f.png")
    (faces / "sad" / "loop.png").symlink_to("loop.png")
    (faces / "sad" / "c.png").chmod(0)
    (faces / "sad" / "locked").chmod(0)
    (faces / "sad" / "shut").chmod(0o444)  # its names can be read, its files cannot
    (faces / "other").chmod(0)
    folder.chmod(0o755)
    command = [sys.executable, "-c", SCRIPT, str(opened), str(faces)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    found, passed_over, rows, statuses = json.loads(done.stdout)
    assert found == ["happy/a.png", "sad/b.png", "sad/c.png", "sad/loop.png", "sad/shut/e.png"]
    denied = "cannot be read: Permission denied"
    assert passed_over == [["other", denied], ["locked", denied]]
    assert sorted(rows) == sorted([*found, "sad/locked", "other"])
    assert statuses.pop("sad/loop.png") == "cannot be read: Too many levels of symbolic links"
    is_folder = "a folder that cannot be read"
    assert statuses == {"sad/c.png": denied, "sad/shut/e.png": denied, "sad/locked": is_folder, "other": is_folder}
