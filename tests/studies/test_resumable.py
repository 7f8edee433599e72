"""A calculation that is interrupted at any step, or killed, resumes to the same arrays; other settings are rejected."""

import subprocess
import sys

import numpy as np
import pytest
from support.paths import ROOT

from edram_fer.studies import resumable
from edram_fer.studies.resumable import Resumable, read

SETTINGS = {"seed": 3, "share": 0.1}


def begin():
    return {"total": np.zeros(4), "each": np.full(7, np.nan)}


def run(path, stop=None):
    state = Resumable(path, SETTINGS, begin)
    for step in state.steps(7, "adding"):
        state.arrays["total"] += np.random.default_rng(step).random(4)  # half done at the interruption
        if step == stop:
            raise KeyboardInterrupt
        state.arrays["each"][step] = state.arrays["total"].sum()
    return state


@pytest.mark.parametrize("every", [0, 1000])
def test_interrupted_at_every_step_the_result_is_the_same(tmp_path, monkeypatch, every):
    monkeypatch.setattr(resumable, "EVERY", every)
    complete = run(tmp_path / "complete.npz").arrays
    for stop in range(7):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "resumed.npz", stop)
    resumed = run(tmp_path / "resumed.npz")
    for name, values in complete.items():
        np.testing.assert_array_equal(resumed.arrays[name], values)
    assert (tmp_path / "resumed.npz").read_bytes() == (tmp_path / "complete.npz").read_bytes()
    assert int(read(tmp_path / "resumed.npz")["steps_done"]) == 7 and list(resumed.steps(7, "nothing left")) == []


def test_a_killed_calculation_resumes(tmp_path):
    code = (
        "import os, sys\n"
        "from edram_fer.studies import resumable\n"
        "resumable.EVERY = 0\n"
        "import numpy as np\n"
        "s = resumable.Resumable(sys.argv[1], {'seed': 3}, lambda: {'n': np.zeros(1)})\n"
        "for step in s.steps(9, 'x'):\n"
        "    s.arrays['n'] += step\n"
        "    if step == int(sys.argv[2]): os._exit(9)\n"
        "print(s.arrays['n'][0])\n"
    )
    for stop in (2, 6):
        command = [sys.executable, "-c", code, str(tmp_path / "k.npz"), str(stop)]
        assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 9
        assert int(read(tmp_path / "k.npz")["steps_done"]) == stop
    command[-1] = "-1"
    assert float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout) == 36


def test_other_settings_are_rejected_unless_it_restarts(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable, "EVERY", 0)
    path = tmp_path / "a.npz"
    with pytest.raises(KeyboardInterrupt):
        run(path, 4)
    message = r"a.npz was made with other settings \(seed: 3 in the file, 5 now\): .* replace it with --force"
    with pytest.raises(ValueError, match=message):
        Resumable(path, {**SETTINGS, "seed": 5}, begin)
    restarted = Resumable(path, {**SETTINGS, "seed": 5}, begin, restart=True)
    assert restarted.done == 0 and not restarted.arrays["total"].any()


def test_damaged_files_are_reported(tmp_path):
    path = tmp_path / "a.npz"
    run(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="a.npz is damaged or not an NPZ file"):
        run(path)
    np.savez(path, total=np.zeros(4))
    with pytest.raises(ValueError, match="a.npz is not the file of a calculation: it lacks `settings` or `steps_done`"):
        run(path)
    with pytest.raises(FileNotFoundError, match="b.npz is missing"):
        read(tmp_path / "b.npz")
