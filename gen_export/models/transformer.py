"""The transformer block, with norms before its branches; attention in two halves, so that keys and values can be kept.

Vaswani et al., *Attention Is All You Need* (2017), arXiv:1706.03762; Xiong et al., *On Layer Normalization in the
Transformer Architecture* (2020), arXiv:2002.04745, figure 1b.
"""

import math

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), keeping the shape (B, L, D).

    Args:
        width: D, a multiple of `heads`.
        heads: Parts of the width that attend on their own, each of size d = D / heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The block's output; `mask` is that of `attend`."""
        return self.attend(x, *self.qkv(x), mask)

    def qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of x, each (B, heads, L, d)."""
        length, width = x.shape[1:]
        parts = self.project(self.norm1(x)).reshape(-1, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def attend(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """The block's output at x (B, L, D) from its queries, and keys and values of any length.

        Args:
            x: Input of the block, (B, L, D).
            q: Queries of x, (B, heads, L, d).
            k: Keys, (B, heads, K, d).
            v: Values, (B, heads, K, d).
            mask: Which keys a query may attend to, bool, broadcasts to (B, heads, L, K), at least one a query; None
                for all.
        """
        scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(2, 3)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        mixed = torch.softmax(scores, dim=-1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(-1, *x.shape[1:]))
        return x + self.mlp(self.norm2(x))
