"""Networks that predict the noise, the velocity or the clean image from an image and the time in [0, 1]."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gen_export.models.labels import LabelEmbedding
from gen_export.models.layers import (
    Attention,
    ResidualBlock,
    TimeEmbedding,
    Unpatchify,
    downsample,
    patchify,
    upsample,
    zero,
)
from gen_export.models.lipschitz import Gain, Share, Unit


class UNet(nn.Module):
    """Two resolutions below the image's, skips by addition, attention at the lowest, and the image itself scaled.

    At low noise the output is mostly the input's finest detail: `gain`, one number a channel and time, lets it pass
    around the patches, which would have to squeeze it through `width` channels.

    After Ronneberger et al. (2015), arXiv:1505.04597, and Ho et al. (2020), arXiv:2006.11239, appendix B.

    Args:
        channels: C of the image.
        width: Channels at half resolution, twice that at a quarter; a multiple of 16.
        blocks: Residual blocks a resolution and direction.
        classes: K where it is told the class of the image, else 0.
    """

    def __init__(self, channels: int, width: int, blocks: int, classes: int = 0) -> None:
        super().__init__()
        wide, embedding = 2 * width, 4 * width

        def stack(channels: int) -> nn.ModuleList:
            return nn.ModuleList(ResidualBlock(channels, embedding) for _ in range(blocks))

        self.time = TimeEmbedding(width)
        self.label = LabelEmbedding(classes, embedding) if classes else None
        self.stem = patchify(channels, width)
        self.down1, self.halve = stack(width), downsample(width, wide)
        self.down2 = stack(wide)
        self.middle1 = ResidualBlock(wide, embedding)
        self.attention = Attention(wide)
        self.middle2 = ResidualBlock(wide, embedding)
        self.up2, self.enlarge = stack(wide), upsample(wide, width)
        self.up1 = stack(width)
        self.head = Unpatchify(width, channels)
        self.gain = zero(nn.Conv2d(embedding, channels, 1))

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:
        """The prediction, shape of x (B, C, H, W), for times (B,) or (1,), and classes (B,) or (); None is any."""
        embedding = self.time(time)
        if self.label is not None:
            embedding = embedding + self.label(label)[:, :, None, None]
        skip1 = _through(self.down1, self.stem(x), embedding)
        skip2 = _through(self.down2, self.halve(skip1), embedding)
        h = self.middle2(self.attention(self.middle1(skip2, embedding)), embedding)
        h = _through(self.up2, h + skip2, embedding)
        h = _through(self.up1, self.enlarge(h) + skip1, embedding)
        return self.head(h) + self.gain(embedding) * x


def _through(blocks: nn.ModuleList, x: Tensor, embedding: Tensor) -> Tensor:
    for block in blocks:
        x = block(x, embedding)
    return x


class PlainResidual(nn.Module):
    """h + conv(relu(conv(h))), 3x3, keeping the shape."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """Shape of h."""
        return h + self.conv2(F.relu(self.conv1(h)))


class ResidualNet(nn.Module):
    """The reference's compact predictor (section 6.9): conv, two residual blocks, conv; time is a constant channel.

    With a Lipschitz constant L, convolutions have norms of at most 1, those of the blocks a factor g_i, and the last
    one L / product of (1 + g_i): no two images give outputs that are further apart than L times the images.

    Args:
        channels: C of the image.
        hidden: Channels within.
        lipschitz: L, in the image; None for weights without bounds.
    """

    def __init__(self, channels: int, hidden: int, lipschitz: float | None = None) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels + 1, hidden, 3, padding=1)
        self.residual1 = PlainResidual(hidden)
        self.residual2 = PlainResidual(hidden)
        self.head = nn.Conv2d(hidden, channels, 3, padding=1)
        if lipschitz is not None:
            self._limit(channels, lipschitz)

    def _limit(self, channels: int, lipschitz: float) -> None:
        """Parametrizes the weights so that the constant is at most L."""
        gains = [Gain(0.5), Gain(0.5)]
        parametrize.register_parametrization(self.stem, "weight", Unit(channels=channels))
        for block, gain in zip((self.residual1, self.residual2), gains, strict=True):
            parametrize.register_parametrization(block.conv1, "weight", Unit())
            parametrize.register_parametrization(block.conv2, "weight", Unit())
            parametrize.register_parametrization(block.conv2, "weight", gain)
        parametrize.register_parametrization(self.head, "weight", Unit())
        parametrize.register_parametrization(self.head, "weight", Share(lipschitz, gains))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Predicted noise, shape of x (B, C, H, W), for times (B,) or (1,)."""
        plane = torch.zeros_like(x[:, :1]) + time.reshape(-1, 1, 1, 1)
        h = F.relu(self.stem(torch.cat([x, plane], dim=1)))
        return self.head(F.relu(self.residual2(F.relu(self.residual1(h)))))
