"""ONNX files of the networks in `support.pytorch_nets`, as PyTorch exports them: batch normalisations that follow a
convolution are folded into it, and the arrays have numbers for names."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """The nodes and arrays of a graph that is being written."""

    def __init__(self, state, *, fold=True):
        self.state, self.fold = state, fold
        self.nodes, self.arrays = [], []

    def node(self, kind, *inputs, **options):
        self.nodes.append(helper.make_node(kind, list(inputs), [f"t{len(self.nodes)}"], **options))
        return self.nodes[-1].output[0]

    def array(self, values):
        self.arrays.append(numpy_helper.from_array(np.asarray(values, "float32"), str(100 + len(self.arrays))))
        return self.arrays[-1].name

    def norm(self, x, name):
        parts = [self.array(self.state[f"{name}.{part}"]) for part in ("weight", "bias", "running_mean", "running_var")]
        return self.node("BatchNormalization", x, *parts, epsilon=1e-5)

    def convolution(self, x, name, norm, stride):
        kernel = self.state[f"{name}.weight"]
        side = kernel.shape[-1]
        options = {"strides": [stride, stride], "pads": [side // 2] * 4, "kernel_shape": [side, side], "group": 1}
        if not self.fold:
            return self.norm(self.node("Conv", x, self.array(kernel), **options), norm)
        parts = ("weight", "bias", "running_mean", "running_var")
        gamma, beta, mean, variance = (self.state[f"{norm}.{part}"].astype(float) for part in parts)
        scale = gamma / np.sqrt(variance + 1e-5)
        arrays = (self.array(kernel * scale[:, None, None, None]), self.array(beta - mean * scale))
        return self.node("Conv", x, *arrays, **options)

    def prelu(self, x, name):
        return self.node("PRelu", x, self.array(self.state[f"{name}.weight"][:, None, None]))


def write(path, state, *, fold=True):
    """Write a network with these arrays: a ResNet, or with `prelu.weight` an IResNet and, if there, its ending."""
    graph, improved = Graph(state, fold=fold), "prelu.weight" in state
    x = graph.convolution("data", "conv1", "bn1", 1 if improved else 2)
    if improved:
        x = graph.prelu(x, "prelu")
    else:
        x = graph.node("Relu", x)
        x = graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for name in [key.removesuffix(".conv1.weight") for key in state if key.endswith(".conv1.weight")]:
        stride = 2 if name.endswith(".0") and (improved or name != "layer1.0") else 1
        if improved:
            y = graph.convolution(graph.norm(x, f"{name}.bn1"), f"{name}.conv1", f"{name}.bn2", 1)
            y = graph.convolution(graph.prelu(y, f"{name}.prelu"), f"{name}.conv2", f"{name}.bn3", stride)
        else:
            y = graph.node("Relu", graph.convolution(x, f"{name}.conv1", f"{name}.bn1", stride))
            y = graph.convolution(y, f"{name}.conv2", f"{name}.bn2", 1)
        if f"{name}.downsample.0.weight" in state:
            x = graph.convolution(x, f"{name}.downsample.0", f"{name}.downsample.1", stride)
        x = graph.node("Add", y, x)
        if not improved:
            x = graph.node("Relu", x)
    if improved and "bn2.weight" in state:
        x = graph.node("Flatten", graph.norm(x, "bn2"), axis=1)
        x = graph.node("Gemm", x, graph.array(state["fc.weight"]), graph.array(state["fc.bias"]), transB=1)
        x = graph.norm(x, "features")
    else:
        x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    image = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, None, None])
    output = helper.make_empty_tensor_value_info(x)
    graph = helper.make_graph(graph.nodes, "net", [image], [output], graph.arrays)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), path)
