"""The convolutional halves that autoencoders share: image to features at a quarter of its resolution, and back."""

import math

from torch import Tensor, nn

from gen_export.models.family import ImageShape
from gen_export.models.labels import LabelEmbedding
from gen_export.models.layers import GROUPS, Bounded, ResidualBlock, Unpatchify, downsample, patchify, upsample

SIZES = {"tiny": (16, 1), "small": (48, 1), "base": (128, 2)}
"""Width at half resolution, twice that at a quarter, and residual blocks a resolution."""


def feature_shape(image: ImageShape, size: str) -> tuple[int, int, int]:
    """Shape (channels, H / 4, W / 4) of the features of an image."""
    return 2 * SIZES[size][0], image.height // 4, image.width // 4


def encoder_layers(channels: int, size: str) -> list[nn.Module]:
    """Layers from images (B, channels, H, W) to activated features."""
    width, blocks = SIZES[size]
    wide = 2 * width
    return [
        patchify(channels, width), *_blocks(width, blocks), downsample(width, wide), *_blocks(wide, blocks),
        nn.GroupNorm(GROUPS, wide), nn.SiLU(),
    ]  # fmt: skip


def decoder_layers(channels: int, size: str) -> list[nn.Module]:
    """Layers from features to maps (B, channels, H, W), not bounded."""
    width, blocks = SIZES[size]
    wide = 2 * width
    return [
        *_blocks(wide, blocks + 1), upsample(wide, width), *_blocks(width, blocks), Unpatchify(width, channels),
    ]  # fmt: skip


def _blocks(channels: int, count: int) -> list[nn.Module]:
    return [ResidualBlock(channels) for _ in range(count)]


def code_encoder(image: ImageShape, size: str, length: int) -> nn.Sequential:
    """Images to vectors (B, length)."""
    features = math.prod(feature_shape(image, size))
    return nn.Sequential(*encoder_layers(image.channels, size), nn.Flatten(), nn.Linear(features, length))


class CodeDecoder(nn.Module):
    """Vectors (B, length) to images in [-1, 1].

    Args:
        image: Shape of an image.
        size: A key of `SIZES`.
        length: Numbers a vector.
        classes: K where it is told the class of the image, else 0.
    """

    def __init__(self, image: ImageShape, size: str, length: int, classes: int = 0) -> None:
        super().__init__()
        self.feature_shape = feature_shape(image, size)
        features = math.prod(self.feature_shape)
        self.features = nn.Linear(length, features)
        self.label = LabelEmbedding(classes, features) if classes else None
        self.layers = nn.Sequential(*decoder_layers(image.channels, size), Bounded())

    def forward(self, code: Tensor, label: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) of classes (B,) or (); None is any."""
        features = self.features(code)
        if self.label is not None:
            features = features + self.label(label)
        return self.layers(features.reshape(-1, *self.feature_shape))
