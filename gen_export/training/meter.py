"""Losses between two reports, kept on the device so that no step waits for them."""

import math
import time

from torch import Tensor


class Meter:
    """Losses since the last reading, kept on the device until then so that no step waits for them."""

    def __init__(self, step: int, batch_size: int) -> None:
        self.step, self.batch_size = step, batch_size
        self.entries: list[tuple[dict[str, Tensor], Tensor]] = []
        self.started = time.perf_counter()

    def add(self, entry: tuple[dict[str, Tensor], Tensor]) -> None:
        """Note one step's losses and gradient norm."""
        self.entries.append(entry)

    def read(self) -> tuple[dict[str, float], float, float, int | None]:
        """Mean losses and gradient norm, images a second, seconds, and the first step with one that is no number."""
        rows = [
            {**{name: value.item() for name, value in losses.items()}, "grad_norm": norm.item()}
            for losses, norm in self.entries
        ]
        seconds = time.perf_counter() - self.started
        broken = next((self.step + i + 1 for i, row in enumerate(rows) if not math.isfinite(row["loss"])), None)
        means = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
        rate = len(rows) * self.batch_size / max(seconds, 1e-9)
        self.step, self.entries, self.started = self.step + len(rows), [], time.perf_counter()
        return means, rate, seconds, broken
