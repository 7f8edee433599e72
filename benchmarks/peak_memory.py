"""Peak resident memory of this process."""

import sys

try:
    import resource
except ImportError:  # Windows
    resource = None

MIB = 2**20


def peak_mib() -> float:
    """Largest resident memory of this process so far, in MiB."""
    if resource is None:
        import psutil

        return psutil.Process().memory_info().peak_wset / MIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MIB if sys.platform == "darwin" else peak / 1024  # macOS counts bytes, Linux KiB
