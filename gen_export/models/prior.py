"""A causal transformer over sequences of codes: the learned prior of a quantised model.

van den Oord et al., *Neural Discrete Representation Learning* (2017), arXiv:1711.00937, section 3.3 (a prior over the
codes, trained after them); Vaswani et al., *Attention Is All You Need* (2017), arXiv:1706.03762, section 3.2.3 (the
mask that makes it causal); Shazeer, *Fast Transformer Decoding* (2019), arXiv:1911.02150 (the cache).

Spec: p(k_1 .. k_L) = prod_i p(k_i | k_1 .. k_(i-1)), each a softmax of logits.
"""

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gen_export.models.labels import LabelEmbedding
from gen_export.models.transformer import Block

SIZES = {"tiny": (32, 1, 2), "small": (128, 4, 4), "base": (512, 8, 8)}
"""Width, blocks and heads a block."""


class Prior(nn.Module):
    """The law of each code of a sequence given the codes before it.

    Args:
        codes: K, the number of codes.
        length: L, the number of positions.
        size: A key of `SIZES`.
        classes: K where it is told the class of the image, else 0.
    """

    def __init__(self, codes: int, length: int, size: str, classes: int = 0) -> None:
        super().__init__()
        width, blocks, heads = SIZES[size]
        self.cache_shape = blocks, 2, heads, length, width // heads
        self.start = nn.Parameter(torch.zeros(width))
        self.label = LabelEmbedding(classes, width) if classes else None
        self.code = nn.Embedding(codes, width)
        self.place = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, codes)
        for embedding in (self.start, self.code.weight, self.place.weight):
            nn.init.normal_(embedding, std=0.02)

    def forward(self, codes: Tensor, label: Tensor | None = None) -> Tensor:
        """Logits (B, L, K) of every code of sequences (B, L), each from the codes before it and the class."""
        start = self._start(label)[:, None].expand(codes.shape[0], 1, -1)
        x = torch.cat([start, self.code(codes[:, :-1])], dim=1) + self.place.weight
        positions = torch.arange(codes.shape[1], device=codes.device)
        mask = positions <= positions[:, None]
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))

    def step(self, code: Tensor, position: Tensor, cache: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits (B, K) of the code at a position, and the cache with its keys and values.

        Args:
            code: The code before it, (B,); ignored at position 0.
            position: 0..L-1, (1,).
            cache: Keys and values of the positions before it, (B, blocks, 2, heads, L, d).
            label: Classes (B,) or (), read at position 0; None is any.
        """
        positions = torch.arange(self.cache_shape[-2], device=code.device)
        here, mask = (positions == position)[:, None], positions <= position
        x = torch.where(position == 0, self._start(label), self.code(code)) + self.place(position)
        x = x[:, None]
        kept = []
        for index, block in enumerate(cast("Iterable[Block]", self.blocks)):
            q, k, v = block.qkv(x)
            k, v = (torch.where(here, new, cache[:, index, part]) for part, new in enumerate((k, v)))
            x = block.attend(x, q, k, v, mask)
            kept.append(torch.stack([k, v], dim=1))
        return self.head(self.norm(x))[:, 0], torch.stack(kept, dim=1)

    def nats(self, codes: Tensor, label: Tensor | None = None) -> Tensor:
        """Negative log-likelihood of every code of sequences (B, L) given those before it, in nats, (B, L)."""
        return F.cross_entropy(self(codes, label).transpose(1, 2), codes, reduction="none")

    def _start(self, label: Tensor | None) -> Tensor:
        """What stands before the first code, (B, width) or one row for all: it knows the class."""
        return self.start[None] if self.label is None else self.start + self.label(label)
