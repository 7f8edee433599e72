"""dlib's face-recognition network as a Keras model.

The file `dlib_face_recognition_resnet_model_v1.dat` comes with the package `face_recognition_models`, which the extra
`landmarks` installs. The network is stated in dlib's example dnn_face_recognition_ex.cpp: a ResNet with 29 convolutions
for faces of 150 pixels, with scales and shifts in place of batch normalisations. The file holds dlib's layers one after
the other, from the image on; their weights are found by the headers of their arrays. Compared with dlib itself on four
photos: largest difference of a descriptor 3e-7 (`tests/benchmarks/test_face_features.py`).
"""

import math
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

NAME = "dlib_face_recognition_resnet_model_v1.dat"
SIDE = 150
MEAN = (122.782, 117.001, 104.298)  # of red, green and blue, subtracted before the division by 256
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))  # filters, blocks, halving


class Weights:
    """The arrays of weights in a file of dlib, one after the other, in the order of the layers from the image on."""

    def __init__(self, path: Path) -> None:
        self.path, self.content, self.position = path, path.read_bytes(), 0

    def next(self, *shape: int) -> np.ndarray:
        """The next array with a shape of four dimensions, float32.

        Its numbers follow its header: the whole number 2, its version, and its dimensions. dlib writes a whole number
        as its number of bytes and these bytes.

        Raises:
            ValueError: there is none.
        """
        lengths = ((number, (number.bit_length() + 7) // 8) for number in (2, *shape))
        header = b"".join(bytes([length]) + number.to_bytes(length, "little") for number, length in lengths)
        start, count = self.content.find(header, self.position) + len(header), math.prod(shape)
        self.position = start + 4 * count
        if start < len(header) or self.position > len(self.content):
            raise ValueError(f"{self.path}: expected {NAME}, found no array of {count} numbers where one should be")
        return np.frombuffer(self.content, "<f4", count, start).reshape(shape)


class Backbone:
    """The network in two parts, so that the second can be trained without running the first again.

    Attributes:
        first: [B, 150, 150, 3], RGB in [0, 255] -> maps [B, 8, 8, 128].
        last: these maps -> features [B, 256], the mean of the last map.
        embedding: float32 [256, 128], from the features to dlib's descriptor.
    """

    def __init__(self, path: Path) -> None:
        weights = Weights(path)
        image = keras.Input((SIDE, SIDE, 3))
        x = (image - ops.convert_to_tensor(np.array(MEAN, "float32"))) / 256
        x = ops.relu(_convolution(x, 32, 7, 2, weights))
        x = layers.MaxPooling2D(3, 2)(x)
        for stage in STAGES[:3]:
            x = _stage(x, *stage, weights)
        self.first = keras.Model(image, x)
        maps = keras.Input(x.shape[1:])
        x = maps
        for stage in STAGES[3:]:
            x = _stage(x, *stage, weights)
        self.last = keras.Model(maps, layers.GlobalAveragePooling2D()(x))
        self.embedding = weights.next(256, 128, 1, 1)[..., 0, 0]


def _stage(x: keras.KerasTensor, filters: int, blocks: int, halving: bool, weights: Weights) -> keras.KerasTensor:
    """Residual blocks, of which the first halves the map or not."""
    for block in range(blocks):
        stride = 2 if halving and block == 0 else 1
        y = ops.relu(_convolution(x, filters, 3, stride, weights))
        y = _convolution(y, filters, 3, 1, weights)
        x = layers.AveragePooling2D(2)(x) if stride == 2 else x
        x = ops.relu(_sum(x, y))
    return x


def _convolution(x: keras.KerasTensor, filters: int, side: int, stride: int, weights: Weights) -> keras.KerasTensor:
    """A convolution and the scale and shift of each filter. dlib pads only convolutions without a stride."""
    convolution = layers.Conv2D(filters, side, stride, padding="same" if stride == 1 else "valid")
    x, channels = convolution(x), x.shape[-1]
    kernel, bias = np.split(weights.next((channels * side**2 + 1) * filters, 1, 1, 1).ravel(), [-filters])
    convolution.set_weights([kernel.reshape(filters, channels, side, side).transpose(2, 3, 1, 0), bias])
    # Not a normalisation with statistics: these are constants that dlib folded, and a fine-tuning may change them.
    affine = layers.BatchNormalization(epsilon=0.0)
    x = affine(x, training=False)
    gamma, beta = np.split(weights.next(2 * filters, 1, 1, 1).ravel(), 2)
    affine.set_weights([gamma, beta, np.zeros(filters), np.ones(filters)])
    return x


def _sum(x: keras.KerasTensor, y: keras.KerasTensor) -> keras.KerasTensor:
    """The sum of two maps; where one is smaller or has fewer channels, it counts as 0."""
    size = [max(a, b) for a, b in zip(x.shape[1:], y.shape[1:], strict=True)]
    grown = [ops.pad(z, [(0, 0), *((0, n - m) for m, n in zip(z.shape[1:], size, strict=True))]) for z in (x, y)]
    return grown[0] + grown[1]
