"""Codebooks: one that gradients move, and one that is a moving average of the latents that its codes stand for."""

import torch
from torch import Generator, Tensor, nn

from gen_export.spec.vqvae import ema_codebook

EPSILON = 1e-5
DEAD = 0.1
"""A code is dead when its average count is under this share of what all codes alike would have."""


class Codebook(nn.Module):
    """K codes (K, d) that move by the gradient of the codebook loss.

    van den Oord et al. (2017), arXiv:1711.00937, equation 3.
    """

    codes: Tensor

    def __init__(self, count: int, dim: int) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(count, dim))

    def learn(self, encoded: Tensor, usage: Tensor, rng: Generator) -> None:
        """Nothing: the gradient does it."""


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

    @torch.no_grad()
    def learn(self, encoded: Tensor, usage: Tensor, rng: Generator) -> None:
        """Move the codes towards their latents of a batch.

        Args:
            encoded: Latents (N, d).
            usage: 1 where a latent's code is k, else 0, (N, K).
            rng: Draws the latents that dead codes start from.
        """
        new_sums = (usage.T.double() @ encoded.double()).float()  # autocast would round a float32 product
        counts, sums, codes = ema_codebook(self.counts, self.sums, usage.sum(0), new_sums, self.decay, EPSILON)
        least = DEAD * len(encoded) / len(codes)
        drawn = encoded[torch.randint(len(encoded), (len(codes),), generator=rng, device=encoded.device)]
        dead = counts < least
        self.counts.copy_(torch.where(dead, least, counts))
        self.sums.copy_(torch.where(dead[:, None], least * drawn, sums))
        self.codes.copy_(torch.where(dead[:, None], drawn, codes))
