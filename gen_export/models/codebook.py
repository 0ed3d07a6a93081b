"""Codebooks: one that gradients move, and one that is a moving average of the latents that its codes stand for.

Both note what a batch uses, part by part, and learn from it once the batch is whole.
"""

import torch
from torch import Tensor, nn

from gen_export.models.draws import NOW, Source, pick_rows
from gen_export.models.family import Total
from gen_export.spec.vqvae import ema_codebook

EPSILON = 1e-5
DEAD = 0.1
"""A code is dead when its average count is under this share of what all codes alike would have."""


class Sums:
    """Tensors added up over the parts of a batch."""

    def __init__(self) -> None:
        self._sums: tuple[Tensor, ...] = ()

    def add(self, *found: Tensor) -> None:
        """Add those of one part."""
        self._sums = tuple(map(torch.add, self._sums, found)) if self._sums else found

    def take(self, total: Total) -> tuple[Tensor, ...]:
        """Those of the whole batch; the next batch starts from nothing."""
        sums, self._sums = self._sums, ()
        return tuple(map(total, sums))


class Codebook(nn.Module):
    """K codes (K, d) that move by the gradient of the codebook loss.

    van den Oord et al. (2017), arXiv:1711.00937, equation 3.
    """

    codes: Tensor

    def __init__(self, count: int, dim: int) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(count, dim))
        self.noted = Sums()

    def note(self, encoded: Tensor, usage: Tensor, rng: Source) -> None:
        """Note the uses of each code in a part of a batch: arguments as those of `AverageCodebook.note`."""
        self.noted.add(usage.sum(0))

    def learn(self, total: Total) -> Tensor:
        """The uses of each code in the whole batch, (K,); the gradient moves the codes."""
        return self.noted.take(total)[0]


class AverageCodebook(nn.Module):
    """K codes (K, d), each the moving average of its latents; a dead one starts again from a latent of the batch.

    van den Oord et al. (2017), arXiv:1711.00937, appendix A.1; Dhariwal et al., *Jukebox* (2020), arXiv:2005.00341,
    section 3.1 (restarts). At first all codes are dead, so the first batch fills the codebook.

    Args:
        count: K.
        dim: d.
        decay: Weight of the past in the average.
    """

    codes: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, count: int, dim: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("codes", torch.randn(count, dim))
        self.register_buffer("counts", torch.zeros(count))
        self.register_buffer("sums", torch.zeros(count, dim))
        self.noted, self.latents = Sums(), 0

    @torch.no_grad()
    def note(self, encoded: Tensor, usage: Tensor, rng: Source) -> None:
        """Note what the codes are to learn from a part of a batch.

        Args:
            encoded: Latents (N, d).
            usage: 1 where a latent's code is k, else 0, (N, K).
            rng: Draws the latents that dead codes start from, out of those of the whole batch.
        """
        new_sums = (usage.T.double() @ encoded.double()).float()  # autocast would round a float32 product
        self.noted.add(usage.sum(0), new_sums, pick_rows(encoded, len(self.codes), rng))
        self.latents = encoded.shape[0] * NOW.count

    @torch.no_grad()
    def learn(self, total: Total) -> Tensor:
        """Move the codes towards the latents of the whole batch.

        Args:
            total: Adds a tensor up over the processes that share the batch.

        Returns:
            The uses of each code in it, (K,).
        """
        new_counts, new_sums, drawn = self.noted.take(total)
        counts, sums, codes = ema_codebook(self.counts, self.sums, new_counts, new_sums, self.decay, EPSILON)
        least = DEAD * self.latents / len(codes)
        dead = counts < least
        self.counts.copy_(torch.where(dead, least, counts))
        self.sums.copy_(torch.where(dead[:, None], least * drawn, sums))
        self.codes.copy_(torch.where(dead[:, None], drawn, codes))
        return new_counts
