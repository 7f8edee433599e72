"""Commands in processes of their own: some at a time, with their output and status, ended with this process."""

import _thread
import threading
import time

import pytest

from edram_fer.studies import jobs

# Waits for a partner, so that it ends only if both run at the same time.
MEET = """
import pathlib, sys, time
here, partner = map(pathlib.Path, sys.argv[1:])
here.touch()
while not partner.exists():
    time.sleep(0.01)
print("met", flush=True)
"""


def test_they_run_at_the_same_time(tmp_path):
    first, second = (str(tmp_path / name) for name in "ab")
    calls = {"a": ["-c", MEET, first, second], "b": ["-c", MEET, second, first], "c": ["-c", "raise SystemExit(3)"]}
    assert jobs.run(calls, 2, tmp_path / "logs") == {"a": 0, "b": 0, "c": 3}
    assert {path.name: path.read_text().strip() for path in (tmp_path / "logs").iterdir()} == {
        "a.log": "met",
        "b.log": "met",
        "c.log": "",
    }


def test_no_more_than_asked_for_run_at_the_same_time(tmp_path):
    code = "import os, sys, time; os.mkdir(sys.argv[1]); time.sleep(0.2); os.rmdir(sys.argv[1])"  # fails if it exists
    assert jobs.run({name: ["-c", code, str(tmp_path / "d")] for name in "abc"}, 1, tmp_path) == dict.fromkeys("abc", 0)


def test_they_share_cores_and_gpu(tmp_path, monkeypatch):
    names = ("TF_FORCE_GPU_ALLOW_GROWTH", "TF_NUM_INTRAOP_THREADS", "XLA_PYTHON_CLIENT_PREALLOCATE")
    for name in names[:2]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(names[2], "true")  # what the user sets, stays
    jobs.run({"a": ["-c", f"import os; print(*map(os.environ.get, {names}))"]}, 10**6, tmp_path)
    assert (tmp_path / "a.log").read_text() == "true 1 true\n"


def test_they_end_with_this_process(tmp_path):
    code = (
        "import pathlib, signal, sys, time; "
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(143))); "
        "pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    )

    def interrupt():
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        _thread.interrupt_main()

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        jobs.run({"a": ["-c", code, str(tmp_path / "started")], "b": ["-c", ""]}, 1, tmp_path / "logs")
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["a.log"]  # the other has not begun
    assert (tmp_path / "logs" / "a.log").read_text().strip() == "saved"
