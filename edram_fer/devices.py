"""What this machine computes with: accelerators, and the floating-point type in which it trains fastest."""

from pathlib import Path

import keras

CPUINFO = Path("/proc/cpuinfo")
FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # bfloat16 instructions of x86 and ARM, as Linux calls them


def has_accelerator() -> bool:
    """Whether Keras' backend sees a GPU or TPU."""
    return not all(device.startswith("cpu") for device in keras.distribution.list_devices())


def emulates(dtype: str) -> bool:
    """Whether this machine has to emulate a floating-point type: "float32", "bfloat16" or "float16".

    Processors compute with float32, and those with the instructions also with bfloat16; GPUs and TPUs with all three.
    Where the processor's instructions are unknown, on macOS and Windows, it is taken to have none for bfloat16.

    >>> emulates("float32")
    False
    """
    if dtype == "float32" or has_accelerator():
        return False
    return dtype != "bfloat16" or not FLAGS & _processor_flags()


def fastest_dtype() -> str:
    """Return "mixed_bfloat16", or "float32" on a processor that has to emulate bfloat16.

    An emulated training step takes ten times as long as one in float32.

    >>> fastest_dtype() in ("float32", "mixed_bfloat16")
    True
    """
    return "float32" if emulates("bfloat16") else "mixed_bfloat16"


def _processor_flags():
    """The instruction sets of the processor, as Linux names them; elsewhere none."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.split()}
