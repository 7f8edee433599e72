"""Weights of an ONNX graph as int8."""

import math
from typing import Any

import numpy as np

SMALLEST = 1024  # numbers in a weight that is worth it
CHANNEL_AXES = {"Conv": 0, "MatMul": -1}  # of the weight, which is the second input


def quantise_weights(graph: Any) -> None:
    """Store the large weights of convolutions and matrix products as int8 with a scale for each output channel.

    w = scale * q with q in [-127, 127]. A DequantizeLinear node restores float32 weights, so any ONNX runtime can compute
    with them, and the activations are not rounded.

    Args:
        graph: onnx.GraphProto, which is changed.
    """
    from onnx import helper, numpy_helper

    uses: dict[str, list[tuple[str, int]]] = {}
    for node in graph.node:
        for position, name in enumerate(node.input):
            uses.setdefault(name, []).append((node.op_type, position))
    stored, restoring = [], []
    for tensor in graph.initializer:
        axes = {CHANNEL_AXES.get(kind) if position == 1 else None for kind, position in uses.get(tensor.name, [])}
        (axis,) = axes if len(axes) == 1 else (None,)
        if axis is None or tensor.data_type != 1 or len(tensor.dims) < 2 or math.prod(tensor.dims) < SMALLEST:
            stored.append(tensor)
            continue
        integers, scale = quantise(numpy_helper.to_array(tensor), axis)
        names = [f"{tensor.name}_{part}" for part in ("int8", "scale")]
        stored += [numpy_helper.from_array(array, name) for array, name in zip((integers, scale), names, strict=True)]
        restoring.append(helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis % len(tensor.dims)))
    nodes = [*restoring, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(stored)
    graph.node.extend(nodes)


def quantise(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """(int8 of the shape of `weight`, float32 scales along `axis`), whose product is the weight.

    >>> integers, scale = quantise(np.array([[1.27, -2.54], [0.01, 0.0]], "float32"), 1)
    >>> integers.tolist(), [round(float(value), 3) for value in scale]
    ([[127, -127], [1, 0]], [0.01, 0.02])
    """
    others = tuple(i for i in range(weight.ndim) if i != axis % weight.ndim)
    scale = np.abs(weight).max(axis=others, keepdims=True) / 127
    scale[scale == 0] = 1
    return np.round(weight / scale).astype(np.int8), scale.ravel().astype(np.float32)
