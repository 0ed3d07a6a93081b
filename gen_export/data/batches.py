"""The order of training: a function of the seed and the step alone, so that a resumed run repeats it."""

from functools import lru_cache

import numpy as np


def batch_indices(n: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """The images of batch number `step`, int64 [batch_size].

    The batches cut an endless sequence of epochs, each a permutation of 0..n-1 drawn by (seed, epoch);
    a batch may end one epoch and begin the next, so that every epoch shows every image once.

    Raises:
        ValueError: `n` or `batch_size` is below 1, or `step` below 0.
    """
    if n < 1 or batch_size < 1 or step < 0:
        raise ValueError(f"expected n >= 1, batch_size >= 1, step >= 0, found {n}, {batch_size}, {step}")
    epochs, places = np.divmod(np.arange(step * batch_size, (step + 1) * batch_size), n)
    parts = [_epoch(n, seed, int(epoch))[places[epochs == epoch]] for epoch in np.unique(epochs)]
    return np.concatenate(parts)


# Two are enough: a batch touches the epoch it ends and the one it begins.
@lru_cache(maxsize=2)
def _epoch(n: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation of one epoch."""
    return np.random.default_rng([seed % 2**64, epoch]).permutation(n)
