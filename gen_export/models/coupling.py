"""A chain of affine couplings: latents of a learned law to standard normal numbers, and back.

Dinh et al., *Density estimation using Real NVP* (2017), arXiv:1605.08803.
"""

from itertools import cycle, islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gen_export.models.labels import LabelEmbedding
from gen_export.models.layers import zero
from gen_export.spec import coupling

SIZES = {"tiny": 32, "small": 128, "base": 512}
"""Width of the networks of a movement."""
COUPLINGS = 8


class Movement(nn.Module):
    """The log-scale and the shift that the numbers which stay give to those which move; both zero at first.

    Args:
        stay: How many stay.
        move: How many move.
        width: Of the two hidden layers.
        classes: K where it is told the class of the image, else 0.
    """

    def __init__(self, stay: int, move: int, width: int, classes: int) -> None:
        super().__init__()
        self.move = move
        self.first = nn.Linear(stay, width)
        self.label = LabelEmbedding(classes, width) if classes else None
        self.second = nn.Linear(width, width)
        self.last = zero(nn.Linear(width, 2 * move))

    def forward(self, x: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        """Log-scale and shift (B, move) each, of numbers (B, stay) and classes (B,) or (); None is any."""
        hidden = self.first(x)
        if self.label is not None:
            hidden = hidden + self.label(label)
        # As exact as x whatever the network computes in: a log-determinant is the sum of many log-scales.
        both = self.last(F.silu(self.second(F.silu(hidden)))).to(x.dtype)
        return coupling.bounded_log_scale(both[:, : self.move]), both[:, self.move :]


class CouplingFlow(nn.Module):
    """Couplings in which either half of the numbers stays in turn.

    Args:
        length: Numbers of a latent, n, at least 2.
        size: A key of `SIZES`.
        classes: K where it is told the class of the image, else 0.
    """

    def __init__(self, length: int, size: str, classes: int = 0) -> None:
        super().__init__()
        halves = length // 2, length - length // 2
        self.stay = list(islice(cycle(halves), COUPLINGS))
        self.movements = nn.ModuleList(Movement(stay, length - stay, SIZES[size], classes) for stay in self.stay)

    def normalize(self, z: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Standard normal numbers (B, n) of latents (B, n), and log |det du / dz| (B,)."""
        determinants = []
        for stay, movement in zip(self.stay, self.movements, strict=True):
            still, moving = z[:, :stay], z[:, stay:]
            log_scale, shift = movement(still, label)
            z = torch.cat([coupling.couple(moving, log_scale, shift), still], dim=1)
            determinants.append(log_scale.sum(dim=1))
        return z, torch.stack(determinants).sum(dim=0)

    def generate(self, u: Tensor, label: Tensor | None = None) -> Tensor:
        """The latents (B, n) that `normalize` carries to u (B, n)."""
        for stay, movement in zip(reversed(self.stay), reversed(self.movements), strict=True):
            moved, still = u[:, :-stay], u[:, -stay:]
            log_scale, shift = movement(still, label)
            u = torch.cat([still, coupling.uncouple(moved, log_scale, shift)], dim=1)
        return u
