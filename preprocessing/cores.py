"""How many processor cores this process may use."""

import os


def available_cores() -> int:
    """Number of processor cores that this process may use; if the system does not report it, the number of cores."""
    if process_cpu_count := getattr(os, "process_cpu_count", None):  # Python 3.13 and newer
        return process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
