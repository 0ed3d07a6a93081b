"""A denoiser that is the gradient of a convex potential, so that the eigenvalues of its slopes are known."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gen_export.models.lipschitz import Unit

KNOTS = 12


class Positive(nn.Module):
    """The exponential of what is learned."""

    def forward(self, logarithm: Tensor) -> Tensor:
        """exp(logarithm)."""
        return logarithm.exp()


class OverStates(nn.Module):
    """Rows for all states, (T + 1, n), from rows at a few noise rates, between which the states' lie.

    Args:
        hats: How much of each knot a state takes, (T + 1, `KNOTS`).
    """

    def __init__(self, hats: Tensor) -> None:
        super().__init__()
        self.hats: Tensor
        self.register_buffer("hats", hats, persistent=False)

    def forward(self, knots: Tensor) -> Tensor:
        """The rows of all states."""
        return self.hats @ knots


class Softmax(nn.Module):
    """Shares of 1 in each row."""

    def forward(self, logits: Tensor) -> Tensor:
        """Softmax over the last axis."""
        return torch.softmax(logits, dim=-1)


class Potential(nn.Module):
    """The gradient W^T d s((W x + c) / d) of a convex function of x, |W| <= 1, s = tanh, d > 0 a number a channel.

    Its slope W^T s' W is symmetric with eigenvalues in [0, 1].

    Args:
        channels: Of the image.
        hidden: Rows of W a place.
        kernel: Side of the square that a row sees.
        stride: From place to place.
        padding: Zeros around the image.
    """

    def __init__(self, channels: int, hidden: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(hidden, channels, kernel, kernel)))
        self.threshold = nn.Parameter(torch.zeros(1, hidden, 1, 1))
        self.offset = nn.Conv2d(KNOTS, hidden, 1, bias=False)
        parametrize.register_parametrization(self, "weight", Unit(stride))
        parametrize.register_parametrization(self, "threshold", Positive())

    def forward(self, x: Tensor, level: Tensor, scale: Tensor) -> Tensor:
        """The gradient at x (B, C, H, W) with all d times `scale`, at a level (B, KNOTS, 1, 1)."""
        rows = F.conv2d(x, self.weight, stride=self.stride, padding=self.padding) + self.offset(level)
        bent = torch.tanh(rows / scale / self.threshold) * self.threshold * scale
        return F.conv_transpose2d(bent, self.weight, stride=self.stride, padding=self.padding)


class MonotoneNet(nn.Module):
    """The noise eps(x, t) = m(t) x + (1 / b - m(t)) sum_k p_k(t) P_k(x, t), with P_k potentials, sum_k p_k = 1.

    The exact noise prediction has the slope (1 / b) (I - (a / b)^2 Cov(x_0 | x_t)), with a and b the signal and noise
    rates: symmetric, with eigenvalues of at most 1 / b. Those of this network lie in [m, 1 / b] for any weights.

    With m >= b every step of DDIM without clipping contracts, whatever its length: at slope b it multiplies distances
    by a_s a_t + b_s b_t, the cosine of the angle between the levels, and at slope 1 / b by b_s / b_t. But data of a
    variance above 1 spreads under the exact flow at high noise. So m = min(5 b / 4, a^2): a quarter more than DDIM
    needs, as Euler's steps of the flow need some more.

    Potentials see 5x5 pixels, 8x8 pixels at every fourth, and the whole image.

    Args:
        image: (C, H, W).
        hidden: Rows of the three potentials.
        alpha_bars: Of the states 0..T; at state 0 the network is that of state 1.
    """

    def __init__(self, image: tuple[int, int, int], hidden: tuple[int, int, int], alpha_bars: Tensor) -> None:
        super().__init__()
        channels = image[0]
        b = (1.0 - alpha_bars.double()).sqrt()
        b[0] = b[1]
        least = torch.minimum(1.25 * b, 1.0 - b * b)
        hats = (1.0 - (b[:, None] * (KNOTS - 1) - torch.arange(KNOTS)).abs()).clamp_min(0.0).float()
        self.potentials = nn.ModuleList(
            [
                Potential(channels, hidden[0], kernel=5, stride=1, padding=2),
                Potential(channels, hidden[1], kernel=8, stride=4, padding=2),
                Potential(math.prod(image), hidden[2], kernel=1, stride=1, padding=0),
            ]
        )
        self.least, self.rest, self.rate, self.level = (
            nn.Buffer(table.float(), persistent=False)
            for table in (least[:, None], 1.0 / b[:, None] - least[:, None], b[:, None], hats)
        )
        self.share = nn.Parameter(torch.zeros(KNOTS, len(self.potentials)))
        self.width = nn.Parameter(torch.zeros(KNOTS, len(self.potentials)))
        for name, positive in (("share", Softmax()), ("width", Positive())):
            parametrize.register_parametrization(self, name, OverStates(hats), unsafe=True)
            parametrize.register_parametrization(self, name, positive)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The predicted noise, shape of x (B, C, H, W), at states t (B,) or (1,)."""
        level = _row(self.level, t)
        least, rest, rate = (_row(table, t) for table in (self.least, self.rest, self.rate))
        shares, widths = _row(self.share, t), _row(self.width, t)
        eps = least * x
        views = x, x, x.flatten(1)[..., None, None]
        for k, (potential, view) in enumerate(zip(self.potentials, views, strict=True)):
            gradient = potential(view, level, rate * widths[:, k : k + 1])
            eps = eps + rest * shares[:, k : k + 1] * gradient.reshape(-1, *x.shape[1:])
        return eps


def _row(table: Tensor, t: Tensor) -> Tensor:
    """The rows of a table (T + 1, n) at states t (B,), as (B, n, 1, 1)."""
    return table.index_select(0, t).reshape(-1, table.shape[1], 1, 1)
