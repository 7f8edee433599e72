"""The fuzzing harness: inputs follow from their numbers, and whatever goes wrong with one is a finding."""

import io
import json
import random
import sys
import zipfile
import zlib

import numpy as np
import pytest

pytest.importorskip("psutil")

from support import fuzz_targets
from support.photo_files import make_png

from benchmarks.fuzz import __main__ as command
from benchmarks.fuzz import campaign, mutations


def inputs_with(answer, count=1):
    """The first numbers of inputs with an answer."""
    numbers = (i for i in range(1000) if campaign.make_input(fuzz_targets.FAKE, {"a": b""}, 0, i)[1] == answer)
    return [next(numbers) for _ in range(count)]


@pytest.mark.skipif(sys.platform == "win32", reason="a process that dies by a signal")
def test_what_goes_wrong_is_a_finding_and_the_campaign_goes_on():
    numbers = [number for answer in fuzz_targets.ANSWERS for number in inputs_with(answer)] + inputs_with(b"read", 2)[
        1:
    ]
    results = list(campaign.run(fuzz_targets.FAKE, 0, numbers, hanging=0.5))
    assert [result.index for result in results] == numbers
    assert [result.outcome for result in results] == [
        "read",
        "refused",
        "KeyError in fuzz_targets.py:check",
        "broken promise: rows",
        "death of the process: SIGKILL",
        "more than 0.5 s",
        "read",
    ]
    assert "nobody foresaw this" in results[2].detail and "3 of 4" in results[3].detail


def test_a_sitting_continues_where_the_last_one_ended(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "_chosen", lambda names: [fuzz_targets.FAKE])
    monkeypatch.setattr(command, "run", lambda target, seed, numbers: (result(number) for number in numbers))
    path = tmp_path / "fuzz.json"
    for inputs in ("3", "8"):
        monkeypatch.setattr("sys.argv", ["fuzz", "--inputs", inputs, "--out", str(path)])
        command.main()
    done = json.loads(path.read_text("utf-8"))["targets"]["fake"]
    assert (done["inputs"], done["read"], done["refused"]) == (8, 7, 0)
    assert done["findings"] == {"ValueError in a.py:b": {"count": 1, "inputs": [5], "detail": "bad"}}
    assert done["slowest"] == [0.7, 7] and "8 inputs, 7 read" in capsys.readouterr().out


def result(number):
    outcome, detail = ("ValueError in a.py:b", "bad") if number == 5 else ("read", "")
    return campaign.Result(number, outcome, number / 10, 0.0, detail)


def seeds():
    archive, array = io.BytesIO(), io.BytesIO()
    np.save(array, np.arange(6))
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.npy", array.getvalue())
        file.writestr("b.json", '{"a": [1, "b"]}')
    return [
        make_png(1, 1),
        archive.getvalue(),
        array.getvalue(),
        b'{"a": [1, {"b": null}]}',
        b"a,b\n1,2\n3,4\n",
        b"\x00\x01" * 40,
    ]


@pytest.mark.parametrize("mutate", [mutations.mutate, mutations.name])
def test_a_mutation_follows_from_its_generator_and_changes_the_content(mutate, monkeypatch):
    monkeypatch.setattr(mutations, "BOMB", 1000)
    others = seeds()
    for content in others:
        changed = [mutate(random.Random(f"0 a {i}"), content, others) for i in range(30)]
        assert changed == [mutate(random.Random(f"0 a {i}"), content, others) for i in range(30)]
        assert len(set(changed)) > 20


def test_structured_mutations_keep_checksums_intact(monkeypatch):
    monkeypatch.setattr(mutations, "BOMB", 1000)
    whole = 0
    for i in range(60):
        changed = mutations.STARTS[b"PK"](random.Random(i), seeds()[1], seeds())
        try:
            with zipfile.ZipFile(io.BytesIO(changed)) as archive:
                whole += archive.testzip() is None
        except (zipfile.BadZipFile, OSError, NotImplementedError, EOFError):
            pass
    assert whole > 40
    for i in range(60):
        changed = mutations.STARTS[b"\x89PNG"](random.Random(i), make_png(1, 1), [])
        place = 8
        while place < len(changed):
            length = int.from_bytes(changed[place : place + 4], "big")
            crc = int.from_bytes(changed[place + 8 + length : place + 12 + length], "big")
            assert zlib.crc32(changed[place + 4 : place + 8 + length]) == crc
            place += 12 + length


def test_names_stay_in_the_folder():
    for i in range(300):
        parts = mutations.name(random.Random(i), b"a/b/c.png", [b"../../x", b"d"]).split(b"/")
        assert all(part not in (b"", b".", b"..") and b"\0" not in part and len(part) <= 200 for part in parts)


def test_payloads_go_into_texts_and_names_alike():
    content = b'{"classes": ["happy"], "scores": {"happy": 1}}'
    for i in range(50):
        value = json.loads(mutations.payload(random.Random(i), content, []))
        assert list(map(len, value.values())) == [1, 1]
    assert any(b"fuzz" in mutations.payload(random.Random(i), content, []) for i in range(50))
