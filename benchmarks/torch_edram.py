"""EDRAM in plain PyTorch, with the sizes of `edram_fer.models.edram`: the baseline of benchmarks.training_step.

The layers are idiomatic and not tuned. The network is the same down to the biases: six tanh units emit the
matrix, batch normalisation (BN) per step replaces the biases of the layers before it, and the LSTMs have no peepholes.
`EDRAM.load` copies the weights of the Keras model, so that the outputs of both can be compared.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

FILTERS = (64, 64, 128, 128, 160, 192)
PADDING = (1, 0, 1, 1, 1, 0)
POOLED = (1, 3)  # a 2x2 max-pool follows these convolutions
EPSILON, MOMENTUM = 1e-3, 0.1
CONTEXT_SIDE = 12


class StepNorms(nn.ModuleList):
    """A batch normalisation for each step."""

    def __init__(self, norm: type[nn.Module], features: int, steps: int, beta: float = 0.0) -> None:
        super().__init__(norm(features, eps=EPSILON, momentum=MOMENTUM) for _ in range(steps))
        for module in self:
            nn.init.constant_(module.bias, beta)


class Context(nn.Module):
    """[B, C, H, W] -> area average 12x12 -> three convolutions with BN -> [B, 512]."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.register_buffer("down", area_average_matrix(size, CONTEXT_SIDE), persistent=False)
        shapes = ((channels, 16, 5), (16, 16, 3), (16, 32, 3))
        self.convolutions = nn.ModuleList([nn.Conv2d(*shape, bias=False) for shape in shapes])
        self.norms = nn.ModuleList([nn.BatchNorm2d(n, eps=EPSILON, momentum=MOMENTUM) for n in (16, 16, 32)])

    def forward(self, image: Tensor) -> Tensor:
        """Initial hidden state of the second LSTM."""
        x = self.down @ image @ self.down.T
        for convolution, norm in zip(self.convolutions, self.norms):
            x = norm(convolution(x))
        return x.permute(0, 2, 3, 1).flatten(1)  # Keras' order of entries


class Glimpse(nn.Module):
    """Product of the "what" and "where" features: [B, C, 26, 26] and [B, 2, 3] -> [B, units]."""

    def __init__(self, channels: int, units: int, steps: int) -> None:
        super().__init__()
        pairs = zip((channels, *FILTERS), FILTERS, PADDING)
        self.convolutions = nn.ModuleList([nn.Conv2d(a, b, 3, padding=p, bias=False) for a, b, p in pairs])
        self.norms = nn.ModuleList([StepNorms(nn.BatchNorm2d, n, steps) for n in FILTERS])
        self.what = nn.Linear(FILTERS[-1] * 4 * 4, units, bias=False)
        self.what_norms = StepNorms(nn.BatchNorm1d, units, steps)
        self.where = nn.Linear(6, units, bias=False)
        self.where_norms = StepNorms(nn.BatchNorm1d, units, steps, beta=1.0)

    def forward(self, x: Tensor, matrix: Tensor, step: int) -> Tensor:
        """Features of the glimpse `x` at the window `matrix`."""
        for i, (convolution, norms) in enumerate(zip(self.convolutions, self.norms)):
            x = F.relu(norms[step](convolution(x)))
            x = F.max_pool2d(x, 2) if i in POOLED else x
        what = F.relu(self.what_norms[step](self.what(x.flatten(1))))
        return what * F.relu(self.where_norms[step](self.where(matrix.flatten(1))))


class Head(nn.Module):
    """[B, inputs] -> [B, outputs] through two hidden layers."""

    def __init__(self, outputs: int, inputs: int, units: int, steps: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList([nn.Linear(n, units, bias=False) for n in (inputs, units)])
        self.norms = nn.ModuleList([StepNorms(nn.BatchNorm1d, units, steps) for _ in range(2)])
        self.output = nn.Linear(units, outputs)

    def forward(self, x: Tensor, step: int) -> Tensor:
        """Outputs of a step."""
        for dense, norms in zip(self.hidden, self.norms):
            x = F.relu(norms[step](dense(x)))
        return self.output(x)


class EDRAM(nn.Module):
    """[B, C, H, W] -> emotion logits [B, T, K], affect [B, T, 2], emitted matrices [B, T + 1, 2, 3]."""

    def __init__(
        self, size: int = 100, channels: int = 1, classes: int = 7, glimpses: int = 6, glimpse_size: int = 26
    ) -> None:
        super().__init__()
        self.glimpses, self.glimpse_size = glimpses, glimpse_size
        self.context = Context(channels, size)
        self.emission = nn.Linear(512, 6)
        nn.init.zeros_(self.emission.weight)
        self.emission.bias.data.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
        self.glimpse = Glimpse(channels, 1024, glimpses)
        self.lstm1, self.lstm2 = nn.LSTMCell(1024, 512), nn.LSTMCell(512, 512)
        self.emotion_head = Head(classes, 512, 1024, glimpses)
        self.affect_head = Head(2, 512, 1024, glimpses)

    def emit(self, hidden: Tensor) -> Tensor:
        """Matrices [B, 2, 3] from the hidden state [B, 512], with zooms clamped to [0, 1]."""
        matrix = torch.tanh(self.emission(hidden)).unflatten(1, (2, 3))
        zooms = torch.eye(2, 3, dtype=torch.bool, device=matrix.device)
        return torch.where(zooms, matrix.clamp(0, 1), matrix)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs of all steps."""
        h2 = self.context(image)
        state1, state2 = (h2.new_zeros(len(h2), 512),) * 2, (h2, torch.zeros_like(h2))
        emitted, emotions, affects = [self.emit(h2)], [], []
        for step in range(self.glimpses):
            size = (len(image), image.shape[1], self.glimpse_size, self.glimpse_size)
            grid = F.affine_grid(emitted[-1].float(), size, align_corners=True)
            x = F.grid_sample(image, grid, padding_mode="border", align_corners=True)
            state1 = self.lstm1(self.glimpse(x, emitted[-1], step), state1)
            state2 = self.lstm2(state1[0], state2)
            emitted.append(self.emit(state2[0]))
            emotions.append(self.emotion_head(state1[0], step))
            affects.append(torch.tanh(self.affect_head(state1[0], step)))
        return torch.stack(emotions, 1), torch.stack(affects, 1), torch.stack(emitted, 1)

    @torch.no_grad()
    def load(self, weights: Sequence[Sequence[np.ndarray]]) -> None:
        """Copy the weights of an `edram_fer.models.edram.EDRAM`.

        Args:
            weights: the arrays of each layer, with the layers in the order of use.
        """
        head_layers = [[*zip(head.hidden, head.norms), [head.output]] for head in (self.emotion_head, self.affect_head)]
        glimpse = [*zip(self.glimpse.convolutions, self.glimpse.norms), [self.glimpse.what, self.glimpse.what_norms]]
        glimpse += [[self.glimpse.where, self.glimpse.where_norms], [self.lstm1, self.lstm2]]
        parts = [*zip(self.context.convolutions, self.context.norms), [self.emission], *glimpse, *sum(head_layers, [])]
        for module, arrays in zip([module for part in parts for module in part], weights, strict=True):
            _copy(module, [torch.from_numpy(array.copy()) for array in arrays])
        # Keras flattens [h, w, C], PyTorch [C, h, w].
        what = self.glimpse.what.weight.unflatten(1, (4, 4, FILTERS[-1])).permute(0, 3, 1, 2)
        self.glimpse.what.weight.copy_(what.flatten(1))


def _copy(module: nn.Module, arrays: Sequence[Tensor]) -> None:
    if isinstance(module, StepNorms):
        for step, norm in enumerate(module):
            _copy(norm, [array[step] for array in arrays])
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        for target, array in zip((module.weight, module.bias, module.running_mean, module.running_var), arrays):
            target.copy_(array)
    elif isinstance(module, nn.LSTMCell):
        kernel, recurrent, bias = arrays
        for target, array in zip((module.weight_ih, module.weight_hh, module.bias_ih), (kernel.T, recurrent.T, bias)):
            target.copy_(array)
        module.bias_hh.zero_()
    else:
        module.weight.copy_(arrays[0].permute(3, 2, 0, 1) if arrays[0].ndim == 4 else arrays[0].T)
        if module.bias is not None:
            module.bias.copy_(arrays[1])


def area_average_matrix(source: int, target: int) -> Tensor:
    """Weights [target, source] that average pixels into cells by exact overlap."""
    edges, pixels = torch.linspace(0, source, target + 1), torch.arange(source)
    overlap = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return overlap.clamp(min=0) * target / source
