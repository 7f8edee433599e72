"""The face-expression network of npm's `@vladmandic/face-api` as a Keras model.

Its weights are one file of bytes, each array quantised linearly, and a manifest with names, shapes and scales. Its
layers are stated in the package's sources: src/faceFeatureExtractor/{FaceFeatureExtractor,denseBlock}.ts. Compared with
the package itself, run in Node.js on two images of noise: largest difference of a probability 6e-7.
"""

import json
import math
from pathlib import Path

import keras
import numpy as np
from keras import layers

BLOCKS, CONVOLUTIONS = 4, 4
MEAN = (122.782, 117.001, 104.298)  # of red, green and blue, subtracted before the division by 255


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """{name: float32 array} from face_expression_model.bin and its manifest in a folder."""
    (manifest,) = json.loads((folder / "face_expression_model-weights_manifest.json").read_text())
    content, position, weights = (folder / manifest["paths"][0]).read_bytes(), 0, {}
    for entry in manifest["weights"]:
        quantisation = entry.get("quantization")
        dtype, count = np.dtype("uint8" if quantisation else "float32"), math.prod(entry["shape"])
        values = np.frombuffer(content, dtype, count, position).astype("float32")
        if quantisation:
            values = values * np.float32(quantisation["scale"]) + np.float32(quantisation["min"])
        weights[entry["name"]] = values.reshape(entry["shape"])
        position += dtype.itemsize * count
    return weights


def build(folder: Path) -> keras.Model:
    """The network from images [B, 112, 112, 3], scaled as `MEAN` says, to probabilities [B, 7]."""
    weights = read_weights(folder)
    inputs = x = keras.Input((112, 112, 3))
    for block in range(BLOCKS):
        x = _dense_block(x, f"dense{block}", weights)
    features = layers.Flatten()(layers.AveragePooling2D(7, 2)(x))
    fc = layers.Dense(7, activation="softmax")
    outputs = fc(features)
    fc.set_weights([weights["fc/weights"], weights["fc/bias"]])
    return keras.Model(inputs, outputs)


def _dense_block(x, name, weights):
    """Four convolutions, the first with stride 2; each takes the sum of all earlier outputs, after ReLU."""
    total = None
    for index in range(CONVOLUTIONS):
        x = _convolve(x, f"{name}/conv{index}/", weights, stride=1 if index else 2)
        x = total = layers.ReLU()(x) if total is None else layers.Add()([total, x])
        x = x if index == 0 else layers.ReLU()(x)
    return x


def _convolve(x, prefix, weights, stride):
    bias = weights[f"{prefix}bias"]
    options = {"kernel_size": 3, "strides": stride, "padding": "same"}
    if f"{prefix}filters" in weights:
        layer, kernels = layers.Conv2D(len(bias), **options), [weights[f"{prefix}filters"]]
    else:
        layer = layers.SeparableConv2D(len(bias), **options)
        kernels = [weights[f"{prefix}depthwise_filter"], weights[f"{prefix}pointwise_filter"]]
    outputs = layer(x)
    layer.set_weights([*kernels, bias])
    return outputs
