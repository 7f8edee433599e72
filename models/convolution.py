"""3x3 convolutions whose kernel gradient, on small maps in bfloat16 on a CPU, is computed by nine matrix products.

In this case oneDNN, which TensorFlow uses, is two to three times slower. On larger maps the library's gradient is
faster. The library's gradient is also used on a GPU and in float32, where a run can be repeated bit for bit.
"""

import keras
from keras import ops

from edram_fer.models import tensorflow_kernels
from edram_fer.models.tensor import Tensor

SMALL = 36  # largest number of output positions of a small map


def convolve(x: Tensor, kernel: Tensor, padding: str) -> Tensor:
    """Convolve with stride 1, like `ops.conv`, but compute the gradient of the kernel differently.

    The gradient is dK[i, j] = sum over b, y, x of X[b, y + i, x + j]^T dY[b, y, x].

    Args:
        x: [B, H, W, C].
        kernel: [3, 3, C, D].
        padding: "same" or "valid".

    Returns:
        [B, H', W', D] in the dtype of x.
    """

    @ops.custom_gradient
    def convolution(x, kernel):
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            _, height, width, filters = upstream.shape
            padded = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))) if padding == "same" else x
            rows = ops.reshape(upstream, (-1, filters))
            shifted = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
            products = [ops.matmul(ops.transpose(ops.reshape(part, (-1, x.shape[-1]))), rows) for part in shifted]
            return ops.conv_transpose(upstream, kernel, padding=padding), ops.reshape(products, kernel.shape)

        return ops.conv(x, kernel, padding=padding), gradient

    # Casting turns variables into tensors: TensorFlow accepts no variables inside.
    return convolution(ops.convert_to_tensor(x), ops.cast(kernel, x.dtype))


@keras.saving.register_keras_serializable(package="edram_fer")
class Conv2D(keras.layers.Conv2D):
    """Keras' Conv2D with the faster of the two gradients. It keeps Keras' name, which weight files refer to."""

    def convolution_op(self, x: Tensor, kernel: Tensor) -> Tensor:
        _, height, width, _ = self.compute_output_shape(x.shape)
        plain = self.kernel_size == (3, 3) and self.strides == (1, 1) == self.dilation_rate and self.groups == 1
        small = height is not None and width is not None and height * width <= SMALL
        if plain and small and self.compute_dtype == "bfloat16" and tensorflow_kernels.runs_on_cpu():
            return convolve(x, kernel, self.padding)
        return super().convolution_op(x, kernel)
