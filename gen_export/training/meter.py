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
        """Mean losses and gradient norm, images a second, seconds, and what is wrong with the first step not finite.

        A loss that not every step had, as its player came or went, is the mean over those that had it.
        """
        rows = [
            {**{name: value.item() for name, value in losses.items()}, "grad_norm": norm.item()}
            for losses, norm in self.entries
        ]
        seconds = time.perf_counter() - self.started
        broken = next((_told(self.step + i, row) for i, row in enumerate(rows, 1) if not _finite(row)), None)
        means = {name: _mean([row[name] for row in rows if name in row]) for name in {**rows[0], **rows[-1]}}
        rate = len(rows) * self.batch_size / max(seconds, 1e-9)
        self.step, self.entries, self.started = self.step + len(rows), [], time.perf_counter()
        return means, rate, seconds, broken


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _finite(row: dict[str, float]) -> bool:
    """Whether the step moved the weights by numbers: a gradient that is none breaks them before the loss shows it."""
    return all(map(math.isfinite, row.values()))


def _told(step: int, row: dict[str, float]) -> str:
    found = ", ".join(f"{name} {value:g}" for name, value in row.items())
    return f"step {step}: expected finite losses and gradient, found {found}"
