"""What this machine computes with: accelerators, the floating-point type in which it trains fastest, and several
devices and processes that train together."""

import contextlib
import dataclasses
import functools
import math
import os
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from edram_fer import processes
from edram_fer.errors import UserError

CPUINFO = Path("/proc/cpuinfo")
FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # bfloat16 instructions of x86 and ARM, as Linux calls them

ALL = "all"
Count = int | Literal["all"]  # a number of devices


def has_accelerator() -> bool:
    """Whether Keras' backend sees a GPU or TPU."""
    return not all(device.startswith("cpu") for device in keras.distribution.list_devices())


def memory() -> float:
    """Bytes of its memory that JAX may use on a device of this process; infinite on a CPU."""
    import jax

    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit", math.inf)


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


@dataclasses.dataclass(frozen=True)
class Replicas:
    """The devices that divide every batch among them, in one process or several. Each has a copy of the weights.

    JAX compiles the training step as one program for all of them, so whatever depends on the whole batch stays as on
    one device, up to rounding: the statistics of batch normalisation, losses, metrics, mixup and dropout.

    Attributes:
        distribution: Keras' distribution of the variables; None: one device.
    """

    distribution: keras.distribution.DataParallel | None = None

    @property
    def count(self) -> int:
        """The number of devices, over all processes."""
        return self.distribution.num_model_replicas if self.distribution else 1

    @property
    def names(self) -> list[str]:
        """The names of the devices, over all processes."""
        if self.distribution is None:
            return keras.distribution.list_devices()[:1]
        return [f"{device.platform}:{device.id}" for device in self.distribution.device_mesh.devices]

    @property
    def processes(self) -> int:
        """The number of processes."""
        return self.distribution.num_processes if self.distribution else 1

    def scope(self) -> contextlib.AbstractContextManager[None]:
        """Variables that are made in a `with` block, and steps that Keras compiles in it, are for all devices.

        `fit` is called outside: inside, Keras would divide the batches itself, all as the first one, and fail at the
        shorter last batch of a validation.
        """
        return self.distribution.scope() if self.distribution else contextlib.nullcontext()

    def divide(self, batch: Any) -> Any:
        """Divide a batch among the devices; one that cannot be divided evenly is copied to all of them.

        Args:
            batch: Nested arrays with a leading axis of images, the same in all processes.
        """
        return self._place(batch, divided=True)

    def copy(self, arrays: Any) -> Any:
        """Copy nested arrays, the same in all processes, to each device."""
        return self._place(arrays, divided=False)

    def _place(self, arrays, divided):
        if self.distribution is None:
            return arrays
        import jax

        mesh = self.distribution.device_mesh.backend_mesh

        def place(array):
            axes = mesh.axis_names if divided and len(array) % self.count == 0 else ()
            sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
            return jax.make_array_from_callback(array.shape, sharding, lambda part: array[part])

        return keras.tree.map_structure(place, arrays)

    def agree(self, number: int | None) -> int | None:
        """The largest number that any of the processes passes, or None if all pass None; all have to call it."""
        if self.processes == 1:
            return number
        from jax.experimental import multihost_utils

        return int(np.max(multihost_utils.process_allgather(np.int32(number or 0)))) or None


ONE = Replicas()  # one device


def find_replicas(count: Count = 1) -> Replicas:
    """The devices to train on; joins the other processes if the environment names some.

    Call it before the backend computes anything.

    Args:
        count: Devices of this machine that each process uses, or "all".

    Raises:
        UserError: The machine has fewer devices; the backend cannot use several; a variable is not set, or wrong; or
            the other processes cannot be reached.

    >>> find_replicas().count
    1
    """
    if count == 1 and not processes.are_several():
        return ONE
    if keras.backend.backend() != "jax":
        raise UserError(
            "several devices and processes need the JAX backend (KERAS_BACKEND=jax), this is "
            f"{keras.backend.backend()}: there, keras.distribution silently uses one device, and MirroredStrategy "
            "normalises each device's part of a batch by itself"
        )
    if processes.are_several():
        _join()
    import jax

    local = jax.local_devices()
    number = len(local) if count == ALL else int(count)
    if not 1 <= number <= len(local):
        names = ", ".join(f"{device.platform}:{device.id}" for device in local)
        raise UserError(f"devices: expected a number from 1 to {len(local)} ({names}), or {ALL}, got {count}")
    used = [
        device
        for process in range(jax.process_count())
        for device in sorted(jax.local_devices(process), key=lambda device: device.id)[:number]
    ]
    return Replicas(keras.distribution.DataParallel(devices=used, auto_shard_dataset=False))


@functools.cache  # JAX joins only once
def _join():
    try:
        keras.distribution.initialize()
    except (ValueError, RuntimeError) as error:
        variables = ", ".join(
            f"{name}={os.environ.get(name)}" for name in (processes.ADDRESS, processes.NUMBER, processes.INDEX)
        )
        raise UserError(f"cannot join the other processes ({variables}): {error}") from error
