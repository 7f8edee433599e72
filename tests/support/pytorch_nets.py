"""The backbones of PyTorch code in NumPy, on PyTorch's names and axis order ([B, C, H, W]), with few filters."""

import numpy as np
from support.oracles import relu

FILTERS = (4, 5, 6, 7)
STAGES = {"resnet18": (2, 2, 2, 2), "iresnet18": (2, 2, 2, 2), "iresnet50": (3, 4, 14, 3), "iresnet100": (3, 13, 30, 3)}


# A PyTorch model: its state dict, drawn at random, and its forward pass


class State(dict):
    """Random arrays by PyTorch's names."""

    def __init__(self, seed=0):
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def draw(self, name, *shape, deviation=None, mean=0.0):
        deviation = deviation or 1 / np.sqrt(np.prod(shape[1:]))
        self[name] = (mean + self.rng.normal(0, deviation, shape)).astype("float32")

    def norm(self, name, count):
        for part in ("weight", "running_var"):
            self[f"{name}.{part}"] = self.rng.uniform(0.3, 0.9, count).astype("float32")
        for part in ("bias", "running_mean"):
            self.draw(f"{name}.{part}", count, deviation=0.3)
        self[f"{name}.num_batches_tracked"] = np.array(7)

    def linear(self, name, inputs, outputs):
        self.draw(f"{name}.weight", outputs, inputs)
        self.draw(f"{name}.bias", outputs, deviation=0.3)


def residual_state(backbone, channels=3, seed=0):
    """The state dict of torchvision's ResNet-18 or InsightFace's IResNets, with few filters."""
    state, improved, width = State(seed), backbone.startswith("i"), FILTERS[0]
    state.draw("conv1.weight", width, channels, *((3, 3) if improved else (7, 7)))
    state.norm("bn1", width)
    if improved:
        state.draw("prelu.weight", width, deviation=0.1, mean=0.25)
    for stage, (count, filters) in enumerate(zip(STAGES[backbone], FILTERS, strict=True), 1):
        for i in range(count):
            name = f"layer{stage}.{i}"
            state.draw(f"{name}.conv1.weight", filters, width, 3, 3)
            state.draw(f"{name}.conv2.weight", filters, filters, 3, 3)
            for norm, size in (
                (("bn1", width), ("bn2", filters), ("bn3", filters))
                if improved
                else (
                    ("bn1", filters),
                    ("bn2", filters),
                )
            ):
                state.norm(f"{name}.{norm}", size)
            if improved:
                state.draw(f"{name}.prelu.weight", filters, deviation=0.1, mean=0.25)
            if i == 0 and (improved or stage > 1):
                state.draw(f"{name}.downsample.0.weight", filters, width, 1, 1)
                state.norm(f"{name}.downsample.1", filters)
            width = filters
    return state


def convolve(x, weight, stride=1, bias=None):
    """torch.nn.functional.conv2d with padding=kernel // 2."""
    margin = weight.shape[-1] // 2
    x = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("bcyxij,fcij->bfyx", windows, weight.astype(float), optimize=True)
    return y if bias is None else y + bias[:, None, None]


def max_pool(x, side, stride, margin):
    """torch.nn.functional.max_pool2d: padded with -inf, rounded down."""
    x = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(2, 3))[:, :, ::stride, ::stride].max((4, 5))


def normalise(x, state, name):
    """Batch normalisation at inference with PyTorch's epsilon, of maps or vectors."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    gamma, beta, mean, variance = (
        state[f"{name}.{part}"].astype(float).reshape(shape)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def prelu(x, weight):
    return np.where(x > 0, x, x * weight[:, None, None])


def residual_map(state, x, improved):
    """[B, C, H, W] -> the map behind layer4."""
    x = normalise(convolve(x, state["conv1.weight"], 1 if improved else 2), state, "bn1")
    x = prelu(x, state["prelu.weight"]) if improved else max_pool(relu(x), 3, 2, 1)
    names = [name.removesuffix(".conv1.weight") for name in state if name.endswith(".conv1.weight")]
    for name in names:  # in the order of the layers
        first_of_stage = name.endswith(".0")
        stride = 2 if first_of_stage and (improved or name != "layer1.0") else 1
        kernels = [state[f"{name}.conv{i}.weight"] for i in (1, 2)]
        if improved:
            y = normalise(convolve(normalise(x, state, f"{name}.bn1"), kernels[0]), state, f"{name}.bn2")
            y = normalise(convolve(prelu(y, state[f"{name}.prelu.weight"]), kernels[1], stride), state, f"{name}.bn3")
        else:
            y = relu(normalise(convolve(x, kernels[0], stride), state, f"{name}.bn1"))
            y = normalise(convolve(y, kernels[1]), state, f"{name}.bn2")
        if f"{name}.downsample.0.weight" in state:
            x = normalise(convolve(x, state[f"{name}.downsample.0.weight"], stride), state, f"{name}.downsample.1")
        x = x + y if improved else relu(x + y)
    return x


def embed(state, x):
    """InsightFace's ending: bn2, flatten, fc, features."""
    x = normalise(x, state, "bn2").reshape(len(x), -1)
    return normalise(x @ state["fc.weight"].T.astype(float) + state["fc.bias"], state, "features")


def channels_first(images):
    return np.moveaxis(images.astype(float), -1, 1)


def embedding_state(points, seed=0):
    state = residual_state("iresnet18", seed=seed)
    state.norm("bn2", FILTERS[-1])
    state.linear("fc", FILTERS[-1] * points, FILTERS[-1])
    state.norm("features", FILTERS[-1])
    state["features.weight"] = np.ones(FILTERS[-1], "float32")
    return state
