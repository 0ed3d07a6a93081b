"""Weights that keep a network's Lipschitz constant: parametrizations that training moves freely, and plain weights.

Prach & Lampert, *Almost-Orthogonal Layers for Efficient General-Purpose Lipschitz Networks* (2022), arXiv:2208.03160.
"""

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

Module = TypeVar("Module", bound=nn.Module)

SLACK = 1e-5
"""More than float32 rounding can lift a norm above 1."""
SMALLEST = 1e-12
"""The least sum that is divided by: a channel of zeros stays one."""


class Unit(nn.Module):
    """A convolution's kernel K (out, in, kh, kw), scaled so that its norm is at most 1 on images of any size.

    With G the Gram matrix of the convolution, |x^T G x| <= sum_i x_i^2 sum_j |G_ij|, so that channel i is divided by
    the root of the sum of |G_ij| over channels j and lags (theorem 2). Either side's channels will do: those of the
    output where they are fewer. A stride s makes s s channels of each input channel, one an offset of its pixels.

    Args:
        stride: Of the convolution.
        channels: How many of the input channels are meant, the first ones; None for all.
    """

    def __init__(self, stride: int = 1, channels: int | None = None) -> None:
        super().__init__()
        self.stride, self.channels = stride, channels

    def forward(self, kernel: Tensor) -> Tensor:
        """The scaled kernel."""
        meant, free = (
            kernel[:, : self.channels],
            kernel[:, kernel.shape[1] if self.channels is None else self.channels :],
        )
        return torch.cat([self._scaled(meant), free], dim=1)

    def _scaled(self, kernel: Tensor) -> Tensor:
        (outputs, inputs, height, width), stride = kernel.shape, self.stride
        split = _space_to_depth(kernel, self.stride)
        if outputs < split.shape[1]:
            return kernel * _scale(split.transpose(0, 1)).reshape(-1, 1, 1, 1)
        offsets = _scale(split).reshape(inputs, stride, stride)
        return kernel * offsets.repeat(1, -(-height // stride), -(-width // stride))[:, :height, :width]


class Gain(nn.Module):
    """A learned factor above 0, the same for all of a kernel."""

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(torch.tensor(initial).log())

    @property
    def value(self) -> Tensor:
        """The factor."""
        return self.logarithm.exp()

    def forward(self, kernel: Tensor) -> Tensor:
        """The kernel times the factor."""
        return kernel * self.value


class Share(nn.Module):
    """What is left of a constant L behind residual blocks h + g B(h), |B| <= 1: a factor L / product of (1 + g).

    Args:
        constant: L.
        gains: The blocks' g. They are parameters of their own layers, so they are not registered here.
    """

    def __init__(self, constant: float, gains: Sequence[Gain]) -> None:
        super().__init__()
        self.constant, self._gains = constant, tuple(gains)

    def forward(self, kernel: Tensor) -> Tensor:
        """The kernel times the factor."""
        for gain in self._gains:
            kernel = kernel / (1.0 + gain.value)
        return self.constant * kernel


def plain(module: Module) -> Module:
    """A copy of a module whose parametrized weights are what they are computed to; the module itself without any."""
    if not any(map(parametrize.is_parametrized, module.modules())):
        return module
    module = copy.deepcopy(module)
    for layer in [layer for layer in module.modules() if parametrize.is_parametrized(layer)]:
        names: Any = layer.parametrizations
        weights = {name: getattr(layer, name).detach() for name in names}
        # torch's own removal changes the class, which the copy shares with its original.
        layer.__class__ = parametrize.type_before_parametrizations(layer)
        del layer.parametrizations
        for name, weight in weights.items():
            layer.register_parameter(name, nn.Parameter(weight))
    return module


def _scale(kernel: Tensor) -> Tensor:
    """The factors (in,) of the input channels of a convolution with stride 1."""
    kh, kw = kernel.shape[2:]
    taps = kernel.transpose(0, 1)
    gram = F.conv2d(taps, taps, padding=(kh - 1, kw - 1))
    return (1.0 - SLACK) * gram.abs().sum((1, 2, 3)).clamp_min(SMALLEST).rsqrt()


def _space_to_depth(kernel: Tensor, stride: int) -> Tensor:
    """The kernel (out, in s s, ..) that acts with stride 1 on the image's pixels sorted by their offset."""
    return F.pixel_unshuffle(F.pad(kernel, (0, -kernel.shape[3] % stride, 0, -kernel.shape[2] % stride)), stride)
