"""Several processes: their environment, their commands on several machines, and what ends them."""

import contextlib
import signal

import pytest

from edram_fer import processes
from edram_fer.errors import KilledWorkerError, UserError

SHOW = "import os, sys; print(os.environ['KERAS_DISTRIBUTION_PROCESS_ID'], file=sys.stderr);"


def test_alone_and_as_one_of_several(monkeypatch):
    assert processes.is_first() and not processes.are_several()
    for name, value in processes.environment("node:1", 2, 1).items():
        monkeypatch.setenv(name, value)
    assert processes.are_several() and not processes.is_first()


def test_the_commands_for_machines():
    first, second = processes.commands(["train", "demo", "--set", "guide=('free', 'mouth')"], ["a", "b"])
    assert first.startswith("KERAS_DISTRIBUTION_JOB_ADDRESSES=a:29400 KERAS_DISTRIBUTION_NUM_PROCESSES=2 ")
    assert second == first.replace("PROCESS_ID=0", "PROCESS_ID=1")
    assert """edram-fer train demo --set 'guide=('"'"'free'"'"', '"'"'mouth'"'"')'""" in first


@pytest.mark.parametrize(
    ("code", "status", "shown"),
    [
        ("", 0, "0\n"),
        ("sys.exit(os.environ['KERAS_DISTRIBUTION_PROCESS_ID'] == '1')", 1, "0\n1\n"),
        ("import time; os.environ['KERAS_DISTRIBUTION_PROCESS_ID'] == '0' and sys.exit(3); time.sleep(99)", 3, "0\n"),
    ],
)
def test_a_process_that_fails_ends_the_others(code, status, shown, capfd):
    assert processes.launch(["-c", SHOW + code], 2) == status
    assert capfd.readouterr().err == shown


def test_a_process_that_is_killed_ends_the_others():
    code = "import os, time; os.environ['KERAS_DISTRIBUTION_PROCESS_ID'] == '1' and os.kill(os.getpid(), 9); "
    with pytest.raises(KilledWorkerError, match="^process 2 of 2 was killed by signal 9, so the others were stopped; "):
        processes.launch(["-c", code + "time.sleep(99)"], 2)


def test_an_interrupt_waits_for_all_of_them(monkeypatch):
    def interrupt(started):
        for process in started:
            with process.stdout as output:
                output.readline()
        raise KeyboardInterrupt

    inner = processes.subprocess.Popen
    monkeypatch.setattr(processes.subprocess, "Popen", lambda *a, **k: inner(*a, **{**k, "stdout": -1}))
    monkeypatch.setattr(processes, "_first_failure", interrupt)
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); "
    assert processes.launch(["-c", code + "print(flush=True); time.sleep(99)"], 2) == 128 + signal.SIGTERM


@pytest.mark.parametrize("error", [KeyboardInterrupt, BlockingIOError])
def test_none_is_left_if_the_second_does_not_start(monkeypatch, error):
    inner, started = processes.subprocess.Popen, []

    def start(*arguments, **options):
        if started:
            raise error
        started.append(inner(*arguments, **options))
        return started[0]

    monkeypatch.setattr(processes.subprocess, "Popen", start)
    with contextlib.nullcontext() if error is KeyboardInterrupt else pytest.raises(error):
        assert processes.launch(["-c", "import time; time.sleep(99)"], 2) == 128 + signal.SIGTERM
    assert started[0].poll() == -signal.SIGTERM


def test_an_error_of_one_of_several_does_not_wait_for_the_others(monkeypatch):
    registered = []
    monkeypatch.setattr(processes.atexit, "register", registered.append)
    lost = ValueError("UNKNOWN: Gloo AllGather failed: Connection reset by peer")
    with pytest.raises(ValueError, match="Gloo") as raised, processes.together():
        raise lost
    assert raised.value is lost and not registered  # a single process has no others
    monkeypatch.setenv(processes.NUMBER, "2")
    with pytest.raises(KilledWorkerError, match=r"^another process of this run has ended \(UNKNOWN: Gloo"):
        with processes.together():
            raise lost
    for error in (UserError("a peer"), KeyError("a bug")):
        with pytest.raises(type(error)) as raised, processes.together():
            raise error
        assert raised.value is error
    assert registered == [processes._end_at_once] * 3
