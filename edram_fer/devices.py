"""What this machine computes with: accelerators, and the floating-point type in which it trains fastest."""

from pathlib import Path

import keras

CPUINFO = Path("/proc/cpuinfo")
FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # bfloat16 instructions of x86 and ARM, as Linux calls them


def has_accelerator() -> bool:
    """Whether Keras' backend sees a GPU or TPU."""
    return not all(device.startswith("cpu") for device in keras.distribution.list_devices())


def fastest_dtype() -> str:
    """Return "mixed_bfloat16", or "float32" on a processor without bfloat16 instructions, which has to emulate them.

    An emulated training step takes ten times as long as one in float32. Where the processor's instructions are unknown,
    on macOS and Windows, the answer is "float32"; with a GPU or TPU, which trains instead, it is "mixed_bfloat16".

    >>> fastest_dtype() in ("float32", "mixed_bfloat16")
    True
    """
    return "mixed_bfloat16" if has_accelerator() or FLAGS & _processor_flags() else "float32"


def _processor_flags():
    """The instruction sets of the processor, as Linux names them; elsewhere none."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.split()}
