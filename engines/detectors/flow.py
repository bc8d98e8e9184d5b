"""Normalizing flows on vectors: affine couplings with soft clamping, fixed permutations.

Every layer is `y, log_det = layer(x)` with x (..., dim) and log_det (...), and has an `inverse`. A density follows by
the change of variables: log p(x) = log N(z; 0, I) + log_det. `pullback` is the gradient written by hand, so that it is
part of an exported graph.

Affine couplings are those of [1]; soft clamping is that of [2], as DifferNet uses it.

References:
    [1] L. Dinh, J. Sohl-Dickstein, S. Bengio, "Density estimation using Real NVP", ICLR 2017.
    [2] L. Ardizzone, C. Lüth, J. Kruse, C. Rother, U. Köthe, "Guided image generation with conditional invertible
        neural networks", arXiv:1907.02392, 2019.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn

CLAMP = 1.9
"""Largest |log scale| of one coupling."""


class FlowLayer(nn.Module, ABC):
    """An invertible function of vectors."""

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y and log |det dy/dx|."""

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor:
        """The x of this y."""

    @abstractmethod
    def pullback(self, x: Tensor, y_gradient: Tensor, log_det_gradient: Tensor) -> Tensor:
        """Gradient with respect to x of a scalar whose gradients with respect to y and log_det are given.

        Args:
            x: (..., dim), the input of `forward`.
            y_gradient: (..., dim).
            log_det_gradient: (..., 1).
        """


class Subnet(nn.Module):
    """Fully connected, ReLU between the layers. Computes in the type of its weights, which may be half.

    Starts at zero: random first layers, and a last layer that is zero.
    """

    def __init__(
        self, dim_in: int, dim_out: int, *, hidden: int, hidden_layers: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        sizes = [dim_in] + [hidden] * hidden_layers + [dim_out]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(sizes))
        with torch.no_grad():
            for parameter in self.layers.parameters():
                parameter.zero_()
            for layer in self._linear()[:-1]:
                layer.weight.normal_(0.0, math.sqrt(2.0 / layer.in_features), generator=generator)

    @property
    def is_zero(self) -> bool:
        """It gives zeros whatever goes in: nothing was learned."""
        return not any(bool(parameter.any()) for parameter in self._linear()[-1].parameters())

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self._linear()
        value = x.to(last.weight.dtype)
        for layer in hidden:
            value = layer(value).relu()
        result: Tensor = last(value)
        return result.to(x.dtype)

    def pullback(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Gradient with respect to x, given that with respect to the output."""
        *hidden, last = self._linear()
        values = [x.to(last.weight.dtype)]
        for layer in hidden:
            values.append(layer(values[-1]).relu())
        back = gradient.to(last.weight.dtype) @ last.weight
        for layer, value in zip(reversed(hidden), reversed(values), strict=False):
            back = (back * (value > 0).to(back.dtype)) @ layer.weight
        return back.to(x.dtype)

    def _linear(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]


class AffineCoupling(FlowLayer):
    """Scales and shifts one half of the vector by functions of the other half; then the halves change places.

    So the next coupling changes what this one kept: two in a row transform both halves, one block of GLOW (Kingma and
    Dhariwal, NeurIPS 2018). Starts as the exchange alone: the subnet starts at zero.
    """

    def __init__(self, dim: int, hidden: int, generator: torch.Generator, *, hidden_layers: int = 1) -> None:
        super().__init__()
        self.kept = dim // 2
        self.changed = dim - self.kept
        self.subnet = Subnet(
            self.kept, 2 * self.changed, hidden=hidden, hidden_layers=hidden_layers, generator=generator
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `FlowLayer.forward`."""
        kept, changed = torch.split(x, [self.kept, self.changed], dim=-1)
        raw, shift = self._raw_and_shift(kept)
        log_scale = soft_clamp(raw)
        return torch.cat([changed * log_scale.exp() + shift, kept], dim=-1), log_scale.sum(dim=-1)

    def inverse(self, y: Tensor) -> Tensor:
        """See `FlowLayer.inverse`."""
        changed, kept = torch.split(y, [self.changed, self.kept], dim=-1)
        raw, shift = self._raw_and_shift(kept)
        return torch.cat([kept, (changed - shift) * (-soft_clamp(raw)).exp()], dim=-1)

    def pullback(self, x: Tensor, y_gradient: Tensor, log_det_gradient: Tensor) -> Tensor:
        """See `FlowLayer.pullback`."""
        kept, changed = torch.split(x, [self.kept, self.changed], dim=-1)
        changed_gradient, kept_gradient = torch.split(y_gradient, [self.changed, self.kept], dim=-1)
        raw, _ = self._raw_and_shift(kept)
        scale = soft_clamp(raw).exp()
        raw_gradient = (changed_gradient * changed * scale + log_det_gradient) * soft_clamp_slope(raw)
        through_subnet = self.subnet.pullback(kept, torch.cat([raw_gradient, changed_gradient], dim=-1))
        return torch.cat([kept_gradient + through_subnet, changed_gradient * scale], dim=-1)

    def _raw_and_shift(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = torch.split(self.subnet(kept), [self.changed, self.changed], dim=-1)
        return raw, shift


def soft_clamp(raw: Tensor) -> Tensor:
    """Nearly the identity around zero, never beyond +-`CLAMP`."""
    return CLAMP * (2 / math.pi) * torch.atan(raw / CLAMP)


def soft_clamp_slope(raw: Tensor) -> Tensor:
    """Derivative of `soft_clamp`."""
    return (2 / math.pi) / (1 + (raw / CLAMP).square())


class Permutation(FlowLayer):
    """A fixed random order of the dimensions."""

    order: Tensor
    back: Tensor

    def __init__(self, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        order = torch.randperm(dim, generator=generator)
        self.register_buffer("order", order)
        self.register_buffer("back", order.argsort())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `FlowLayer.forward`."""
        return x[..., self.order], torch.zeros_like(x[..., 0])

    def inverse(self, y: Tensor) -> Tensor:
        """See `FlowLayer.inverse`."""
        return y[..., self.back]

    def pullback(self, x: Tensor, y_gradient: Tensor, log_det_gradient: Tensor) -> Tensor:  # noqa: ARG002  linear
        """See `FlowLayer.pullback`."""
        return self.inverse(y_gradient)


class Chain(FlowLayer):
    """Layers in a row. With none it is the identity."""

    def __init__(self, layers: Iterable[FlowLayer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `FlowLayer.forward`."""
        log_det = torch.zeros_like(x[..., 0])
        for layer in self._layers():
            x, layer_log_det = layer(x)
            log_det = log_det + layer_log_det
        return x, log_det

    def inverse(self, y: Tensor) -> Tensor:
        """See `FlowLayer.inverse`."""
        for layer in reversed(self._layers()):
            y = layer.inverse(y)
        return y

    def pullback(self, x: Tensor, y_gradient: Tensor, log_det_gradient: Tensor) -> Tensor:
        """See `FlowLayer.pullback`."""
        inputs = []
        for layer in self._layers():
            inputs.append(x)
            x, _ = layer(x)
        gradient = y_gradient
        for layer, layer_input in zip(reversed(self._layers()), reversed(inputs), strict=True):
            gradient = layer.pullback(layer_input, gradient, log_det_gradient)
        return gradient

    def _layers(self) -> list[FlowLayer]:
        return [layer for layer in self.layers if isinstance(layer, FlowLayer)]


class Flow(Chain):
    """Couplings in a row, for vectors that are a random projection already: permutations would gain nothing."""

    def __init__(self, dim: int, *, couplings: int, hidden: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        super().__init__(AffineCoupling(dim, hidden, generator) for _ in range(couplings))

    @property
    def has_learned(self) -> bool:
        """False: it only exchanges halves, which changes neither length nor volume."""
        return not all(layer.subnet.is_zero for layer in self.layers if isinstance(layer, AffineCoupling))


class PermutedFlow(Chain):
    """The flow of DifferNet: blocks of a fixed random permutation and a coupling that transforms both halves."""

    def __init__(self, dim: int, *, blocks: int, hidden: int, hidden_layers: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        layers: list[FlowLayer] = []
        for _ in range(blocks):
            layers.append(Permutation(dim, generator))
            layers.extend(AffineCoupling(dim, hidden, generator, hidden_layers=hidden_layers) for _ in range(2))
        super().__init__(layers)
