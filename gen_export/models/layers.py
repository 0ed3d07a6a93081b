"""Blocks shared by the networks.

Chosen by what they cost in ONNX Runtime (docs/adr/0004-network-blocks.md): convolutions that work at half
resolution behind a patchifying stem, skip connections by addition, and a time embedding that is four-dimensional
throughout, so that it is added without a reshape.
"""

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 8
Layer = TypeVar("Layer", bound=nn.Module)


def zero(layer: Layer) -> Layer:
    """The layer with its parameters at zero, so that a residual branch starts as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Bounded(nn.Module):
    """tanh, the activation of images in [-1, 1].

    The clamp is for ONNX Runtime, whose float32 Tanh reaches 1 + 2^-23.
    """

    def forward(self, x: Tensor) -> Tensor:
        """tanh(x)."""
        return torch.tanh(x).clamp(-1.0, 1.0)


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x))) + time))), keeping the shape (B, C, H, W).

    Args:
        channels: C, a multiple of 8.
        embedding: Length of the time embedding (B, E, 1, 1); 0 for a block without one.
    """

    def __init__(self, channels: int, embedding: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.time = nn.Conv2d(embedding, channels, 1) if embedding else None
        self.norm2 = nn.GroupNorm(GROUPS, channels)
        self.conv2 = zero(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """The block's output, shape of x."""
        h = self.conv1(F.silu(self.norm1(x)))
        if self.time is not None:
            h = h + self.time(embedding)
        return x + self.conv2(F.silu(self.norm2(h)))


class Attention(nn.Module):
    """x + softmax(q k / sqrt(d)) v over the H W positions, by heads.

    Vaswani et al., *Attention Is All You Need* (2017), arXiv:1706.03762, equation 1.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output, shape of x (B, C, H, W)."""
        channels, height, width = x.shape[1:]
        size = channels // self.heads
        q, k, v = self.qkv(self.norm(x)).reshape(-1, 3, self.heads, size, height * width).unbind(1)
        weights = torch.softmax((q / math.sqrt(size)).transpose(2, 3) @ k, dim=-1)
        return x + self.out((v @ weights.transpose(2, 3)).reshape(-1, channels, height, width))


class TimeEmbedding(nn.Module):
    """Sinusoids of the time in [0, 1] through a small network: (B,) to (B, 4 width, 1, 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.frequencies: Tensor
        frequencies = 1000.0 * torch.exp(torch.arange(half) * (-math.log(10_000.0) / (half - 1)))
        self.register_buffer("frequencies", frequencies.reshape(1, half, 1, 1), persistent=False)
        self.hidden = nn.Conv2d(2 * half, 4 * width, 1)
        self.out = nn.Conv2d(4 * width, 4 * width, 1)

    def forward(self, time: Tensor) -> Tensor:
        """The embedding, already through its activation."""
        angle = time.reshape(-1, 1, 1, 1) * self.frequencies
        return F.silu(self.out(F.silu(self.hidden(torch.cat([angle.sin(), angle.cos()], dim=1)))))


def downsample(channels: int, out_channels: int) -> nn.Conv2d:
    """Half the height and width."""
    return nn.Conv2d(channels, out_channels, 3, stride=2, padding=1)


def upsample(channels: int, out_channels: int) -> nn.Sequential:
    """Twice the height and width, by repeating pixels."""
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels, out_channels, 3, padding=1))


def patchify(channels: int, width: int) -> nn.Conv2d:
    """The stem: half the height and width, `width` channels."""
    return nn.Conv2d(channels, width, 4, stride=2, padding=1)


class Unpatchify(nn.Module):
    """The head: norm, activation, convolution, and 2x2 pixels from 4 channels each."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.conv = zero(nn.Conv2d(width, 4 * channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to (B, channels, 2H, 2W)."""
        return F.pixel_shuffle(self.conv(F.silu(self.norm(x))), 2)
