"""The benchmark of steady memory notices a leak, and no other growth."""

import os
import sys

import pytest

pytest.importorskip("psutil")

from benchmarks import steady_memory

WORK = """
import time

kept = [bytearray(30 << 20)]
for number in range(10):
    kept.append(bytearray({leak} << 20))
    print("Epoch", number)
    time.sleep(0.05)  # until it is measured
time.sleep(0.5)
"""


@pytest.mark.parametrize(("leak", "grows"), [(0, False), (4, True)])
def test_a_leak_is_noticed(tmp_path, leak, grows):
    code = [sys.executable, "-c", WORK.format(leak=leak)]
    memory = steady_memory.sample(code, "Epoch ", tmp_path, dict(os.environ))
    assert len(memory) == 10 and memory[0] > 30
    assert (steady_memory.growth(memory) > steady_memory.LIMIT) == grows


def test_growth_is_counted_after_the_warm_up():
    assert steady_memory.growth([50, 100, 101, 102, 101, 100, 100, 100, 100, 100]) == 0.02


def test_a_command_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(RuntimeError, match="ended with status 3"):
        steady_memory.sample([sys.executable, "-c", "raise SystemExit(3)"], "Epoch ", tmp_path, dict(os.environ))
