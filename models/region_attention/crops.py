"""The regions of a face: crops as affine windows, the whole face first (Wang et al. 2020).

A crop is (x0, y0, x1, y1) in shares of the face's width and height, with 0 and 1 at the centres of its outermost
pixels, so that (0, 0, 1, 1) is the identity. Crops are not stored: the models' affine sensor samples them.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.contract import LARGEST_COUNT, check_integer, is_number
from edram_fer.models.spatial_transformer import IDENTITY
from edram_fer.models.tensor import Shape, Tensor


def centre(side: float) -> tuple[float, float, float, float]:
    """A centred crop with this share of both sides of the face.

    >>> centre(0.5)
    (0.25, 0.25, 0.75, 0.75)
    """
    return ((1 - side) / 2, (1 - side) / 2, (1 + side) / 2, (1 + side) / 2)


TOP_LEFT, TOP_RIGHT = (0, 0, 0.75, 0.75), (0.25, 0, 1, 0.75)
CENTRE_DOWN, CENTRE_TOP = (0.125, 0.25, 0.875, 1), (0.125, 0, 0.875, 0.75)
FIXED: dict[str, tuple[tuple[float, ...], ...]] = {
    "fixed5": (TOP_LEFT, TOP_RIGHT, CENTRE_DOWN, centre(0.9), centre(0.85)),
    "face": (),
    "fixed7": (CENTRE_DOWN, TOP_LEFT, TOP_RIGHT, centre(0.9), centre(0.8), centre(0.75), CENTRE_TOP),
}
SCHEMES = (*FIXED, "landmarks", "random")
# Of the 68 landmarks: both eyes, the tip of the nose, the corners of the mouth.
CROP_LANDMARKS = (tuple(range(36, 42)), tuple(range(42, 48)), (30,), (48,), (54,))


def matrix(crop: Sequence[float]) -> np.ndarray:
    """The window of a crop (x0, y0, x1, y1), float32 [2, 3].

    >>> matrix((0, 0, 0.5, 1))
    array([[ 0.5,  0. , -0.5],
           [ 0. ,  1. ,  0. ]], dtype=float32)
    """
    x0, y0, x1, y1 = crop
    return np.array([[x1 - x0, 0, x0 + x1 - 1], [0, y1 - y0, y0 + y1 - 1]], "float32")


def check_radius(radius: Any) -> None:
    """Raise UserError unless `radius` is valid for LandmarkCrops."""
    if not is_number(radius) or not 0 < radius <= 0.5:
        raise UserError(f"landmark_radius: expected a share of the face's side in (0, .5], got {radius!r}")


def crops(
    scheme: str, *, image_size: Sequence[int], count: int = 5, radius: float = 0.25, seed: int = 0
) -> "FixedCrops | LandmarkCrops | RandomCrops":
    """Make the layer for a crop scheme.

    Args:
        scheme: "fixed5", "fixed7", "face", "landmarks" or "random".
        image_size: (H, W) in pixels.
        radius: see LandmarkCrops.
        count, seed: see RandomCrops.

    Raises:
        UserError: an unknown scheme, no crops, or a radius out of range.
    """
    if scheme not in SCHEMES:
        raise UserError(f"crops: expected one of {', '.join(SCHEMES)}, got {scheme!r}")
    if scheme == "landmarks":
        return LandmarkCrops(image_size, radius)
    return RandomCrops(count, seed=seed) if scheme == "random" else FixedCrops(scheme)


@keras.saving.register_keras_serializable(package="edram_fer")
class FixedCrops(keras.layers.Layer):
    """The same crops of every face: "fixed5" as in the FERPlus experiments, "fixed7" as in the released AffectNet code.

    "face", the published baseline, has no crops.

    Call arguments: image [B, H, W, C]; training is ignored. Returns windows float32 [B, k + 1, 2, 3].
    """

    def __init__(self, scheme: str = "fixed5", **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.scheme = scheme
        self.windows = np.stack([np.array(IDENTITY, "float32"), *map(matrix, FIXED[scheme])])

    def build(self, image_shape: Shape) -> None:
        pass

    @property
    def regions(self) -> int:
        """Number of regions, k + 1, including the whole face."""
        return len(self.windows)

    def call(self, image: Tensor, training: bool = False) -> Tensor:
        return _repeat(image, self.windows)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scheme": self.scheme}


@keras.saving.register_keras_serializable(package="edram_fer")
class RandomCrops(keras.layers.Layer):
    """Squares of random size and position; training draws new ones for each face in each step.

    At inference they are drawn once from the seed and are the same for every face, so that a prediction depends only
    on the face.

    Args:
        count: number of crops k, at least 1.
        smallest, largest: shares of the face's sides.
        seed: seed of all random numbers.

    Call arguments: image [B, H, W, C]; training. Returns windows float32 [B, k + 1, 2, 3].
    """

    def __init__(
        self, count: int = 5, smallest: float = 0.7, largest: float = 0.95, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_integer("crop_count", count, 1, LARGEST_COUNT)
        self.count, self.smallest, self.largest, self.seed = count, smallest, largest, seed
        self.generator = keras.random.SeedGenerator(seed)
        drawn = np.random.default_rng(seed).uniform(size=(1, count, 3)).astype("float32")
        self.windows = ops.convert_to_numpy(self._windows(ops.convert_to_tensor(drawn)))[0]

    def build(self, image_shape: Shape) -> None:
        pass

    @property
    def regions(self) -> int:
        """Number of regions, k + 1, including the whole face."""
        return self.count + 1

    def call(self, image: Tensor, training: bool = False) -> Tensor:
        whole = _repeat(image, np.array([IDENTITY], "float32"))
        if not training:
            return ops.concatenate([whole, _repeat(image, self.windows)], axis=1)
        drawn = keras.random.uniform((ops.shape(image)[0], self.count, 3), dtype="float32", seed=self.generator)
        return ops.concatenate([whole, self._windows(drawn)], axis=1)

    def _windows(self, drawn: Tensor) -> Tensor:
        """[B, k, 3] in [0, 1), side and position of each crop -> [B, k, 2, 3]."""
        side = self.smallest + (self.largest - self.smallest) * drawn[..., :1]
        return _squares(side, side, (2 * drawn[..., 1:] - 1) * (1 - side))

    def get_config(self) -> dict[str, Any]:
        config = {"count": self.count, "smallest": self.smallest, "largest": self.largest, "seed": self.seed}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="edram_fer")
class LandmarkCrops(keras.layers.Layer):
    """Squares around both eyes, the tip of the nose and both corners of the mouth.

    A square that would extend beyond the face is moved inside. A crop whose landmarks are not all finite is the whole
    face, so for a face without landmarks all k + 1 regions are the whole face.

    Args:
        image_size: (H, W) in pixels.
        radius: half the side of a square as a share of the face's shorter side, in (0, .5]; the paper's value is
            unknown.

    Call arguments: image [B, H, W, C]; landmarks [B, 68, 2] = (x, y) in pixels of the face, nan where unknown; training
    is ignored. Returns windows float32 [B, 6, 2, 3].
    """

    def __init__(self, image_size: Sequence[int], radius: float = 0.25, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_radius(radius)
        self.image_size, self.radius = tuple(image_size), radius

    def build(self, image_shape: Shape, landmarks_shape: Shape | None = None) -> None:
        pass

    @property
    def regions(self) -> int:
        """Number of regions, k + 1, including the whole face."""
        return len(CROP_LANDMARKS) + 1

    def call(self, image: Tensor, landmarks: Tensor, training: bool = False) -> Tensor:
        last = np.array(self.image_size[::-1], "float32") - 1  # (x, y) of the last pixel
        landmarks = ops.cast(landmarks, "float32")
        points = ops.stack([ops.mean(landmarks[:, i[0] : i[-1] + 1], axis=1) for i in CROP_LANDMARKS], axis=1)
        is_known = ops.all(ops.isfinite(points), axis=-1, keepdims=True)  # a mean is finite only if all of them are
        centres = ops.where(is_known, points, 0.0) * (2 / last) - 1
        width, height = 2 * self.radius * last.min() / last
        room = np.array([1 - width, 1 - height], "float32")
        centres = ops.clip(centres, -room, room)
        side = ops.ones_like(centres[..., :1])
        squares = _squares(width * side, height * side, centres)
        whole = np.array(IDENTITY, "float32")
        squares = ops.where(is_known[..., None], squares, whole)
        return ops.concatenate([_repeat(image, whole[None]), squares], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "image_size": self.image_size, "radius": self.radius}


def _repeat(image: Tensor, windows: np.ndarray) -> Tensor:
    """NumPy [N, 2, 3] -> [B, N, 2, 3]."""
    return ops.tile(ops.convert_to_tensor(windows)[None], (ops.shape(image)[0], 1, 1, 1))


def _squares(width: Tensor, height: Tensor, centres: Tensor) -> Tensor:
    """Upright windows: width and height [..., 1] as shares of the face, centres [..., 2] in [-1, 1] -> [..., 2, 3]."""
    zero = ops.zeros_like(width)
    x_row = ops.concatenate([width, zero, centres[..., :1]], axis=-1)
    y_row = ops.concatenate([zero, height, centres[..., 1:]], axis=-1)
    return ops.stack([x_row, y_row], axis=-2)
