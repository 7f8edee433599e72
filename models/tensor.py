"""The types of a tensor and of its shape."""

from typing import Any, TypeAlias

Tensor: TypeAlias = Any  # a tensor of Keras' backend or a NumPy array: Keras has no type for it
Shape: TypeAlias = tuple[int | None, ...]  # None: an unknown size, that of the batch
