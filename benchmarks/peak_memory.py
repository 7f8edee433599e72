"""Peak resident memory of this process."""

import re
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None

MIB = 2**20
STATUS = Path("/proc/self/status")


def peak_mib() -> float:
    """Largest resident memory of this process so far, in MiB."""
    if STATUS.exists():  # Linux, whose getrusage also counts the process that started this one
        return int(re.findall(r"^VmHWM:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)[0]) / 1024
    if resource is None:
        import psutil

        return psutil.Process().memory_info().peak_wset / MIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MIB if sys.platform == "darwin" else peak / 1024  # macOS counts bytes, others KiB
