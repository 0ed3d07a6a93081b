"""The two networks of an adversarial family. Neither normalises over the batch: sample i is the same in any batch.

After Radford et al. (2016), arXiv:1511.06434: strided convolutions with leaky activations against a generator that
enlarges a small feature map.
"""

import math

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gen_export.models.codec import SIZES, feature_shape
from gen_export.models.family import ImageShape
from gen_export.models.layers import Bounded, ResidualBlock, downsample, patchify, upsample

SLOPE = 0.2


def generator(image: ImageShape, size: str, latent: int) -> nn.Sequential:
    """Network from latents (B, latent) to images (B, C, H, W) in [-1, 1].

    It doubles twice by repeating pixels before a convolution: pixels that are drawn separately, as in an
    autoencoder's last layer, leave a checkerboard where no error of reconstruction forbids it.
    """
    start = feature_shape(image, size)
    width = start[0] // 2
    return nn.Sequential(
        nn.Linear(latent, math.prod(start)), nn.Unflatten(1, start), ResidualBlock(2 * width),
        upsample(2 * width, width), ResidualBlock(width),
        upsample(width, width // 2), nn.SiLU(),
        nn.Conv2d(width // 2, image.channels, 3, padding=1), Bounded(),
    )  # fmt: skip


def discriminator(image: ImageShape, size: str, spectral: bool) -> nn.Sequential:
    """Network from images (B, C, H, W) to scores (B, 1): three halvings, then one linear layer.

    Args:
        image: Shape of the images.
        size: Of the networks.
        spectral: Divide every weight by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).
    """
    width = 2 * SIZES[size][0]
    features = 4 * width * math.ceil(image.height / 8) * math.ceil(image.width / 8)
    layers = [
        patchify(image.channels, width), nn.LeakyReLU(SLOPE),
        patchify(width, 2 * width), nn.LeakyReLU(SLOPE),
        downsample(2 * width, 4 * width), nn.LeakyReLU(SLOPE),
        nn.Flatten(), nn.Linear(features, 1),
    ]  # fmt: skip
    if spectral:
        layers = [spectral_norm(layer) if hasattr(layer, "weight") else layer for layer in layers]
    return nn.Sequential(*layers)
