"""The type of a tensor."""

from typing import Any, TypeAlias

Tensor: TypeAlias = Any  # of Keras' backend, or a NumPy array: Keras has no type for it
