"""What a run measures between two reports."""

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

    def read(self) -> tuple[dict[str, float], float, float, str | None]:
        """Mean losses and gradient norm, images a second, seconds, and what is wrong with the first step not finite."""
        rows = [
            {**{name: value.item() for name, value in losses.items()}, "grad_norm": norm.item()}
            for losses, norm in self.entries
        ]
        seconds = time.perf_counter() - self.started
        broken = next((_told(self.step + i, row) for i, row in enumerate(rows, 1) if not _finite(row)), None)
        means = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
        rate = len(rows) * self.batch_size / max(seconds, 1e-9)
        self.step, self.entries, self.started = self.step + len(rows), [], time.perf_counter()
        return means, rate, seconds, broken


def _finite(row: dict[str, float]) -> bool:
    """Whether the step moved the weights by numbers: a gradient that is none breaks them before the loss shows it."""
    return math.isfinite(row["loss"]) and math.isfinite(row["grad_norm"])


def _told(step: int, row: dict[str, float]) -> str:
    found = f"loss {row['loss']:g}, gradient norm {row['grad_norm']:g}"
    return f"step {step}: expected a finite loss and gradient, found {found}"
