"""Training on a GPU: images a second, share of the device's arithmetic, and what reading the data costs.

    python bench/gpu.py --out docs/measurements-cuda.md

`make gpu` runs it after the tests that need a GPU. Each row is a U-Net of the diffusion family on 32x32 RGB sprites, in
one arithmetic. Images a second are those of steps in the middle of a run of the training loop, between two
synchronised readings of the clock. The reader's share is what the same steps save when they all have one batch that
is on the device. Share of arithmetic: floating-point operations of forward and backward passes, counted by torch,
over what products of two 8192x8192 matrices reach in the same arithmetic on the same device, in the same run.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from gen_export.data import open_data
from gen_export.models.family import Batch, ImageShape
from gen_export.training.checkpoint import Record
from gen_export.training.device import pick_device
from gen_export.training.loop import Trainer
from gen_export.training.settings import TrainSettings
from gen_runtime.files import atomic

WARM, TIMED, SIDE = 20, 100, 8192
SETTINGS: dict[str, dict[str, Any]] = {
    "float32": {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, compiled": {"precision": "bfloat16", "compile": True},
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was trained, and in which arithmetic.
        images: Images a second.
        tflops: Operations of forward and backward passes a second, in 10^12.
        of_products: The same as a share of what products of matrices reach.
        of_reader: Share of the time that goes to reading.
    """

    what: str
    images: float
    tflops: float
    of_products: float
    of_reader: float

    def __str__(self) -> str:
        return (
            f"| {self.what} | {self.images:,.0f} | {self.tflops:.1f} | {self.of_products:.0%} | {self.of_reader:.1%} |"
        )


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time of some work and of all that it has left the device to do."""
    _finish(device)
    start = time.perf_counter()
    work()
    _finish(device)
    return time.perf_counter() - start


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def products(dtype: torch.dtype, device: torch.device, side: int) -> float:
    """Operations a second of products of two square matrices."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    rounds = 10
    torch.mm(a, b)
    return rounds * 2 * side**3 / seconds(lambda: [torch.mm(a, b) for _ in range(rounds)], device)


def operations(trainer: Trainer, batch: Batch) -> int:
    """Floating-point operations of one step's forward and backward passes."""
    player = trainer.state.players[0]
    with FlopCounterMode(display=False) as counter:
        next(iter(player.losses(batch, trainer.learner.rng).values())).backward()
    trainer.state.model.zero_grad()
    return counter.get_total_flops()


def measured(what: str, trainer: Trainer, peak: float) -> Row:
    """The row of a run."""
    batches, learner, device = trainer.batches(), trainer.learner, trainer.device
    kept = next(batches)
    count = operations(trainer, kept)

    def steps(source: Iterator[Batch], number: int) -> None:
        for batch in islice(source, number):
            learner.step(batch)

    steps(batches, WARM)
    whole = seconds(lambda: steps(batches, TIMED), device)
    alone = seconds(lambda: steps(iter([kept] * TIMED), TIMED), device)
    rate = TIMED / whole
    return Row(what, rate * len(kept.images), rate * count / 1e12, rate * count / peak, 1 - alone / whole)


def rows(device: torch.device, sizes: list[str], batch: int, side: int) -> Iterator[Row]:
    """A row for every size and arithmetic."""
    train, test = (open_data("sprites", part) for part in ("train", "test"))
    for name, options in SETTINGS.items():
        if options.get("compile") and device.type != "cuda":
            continue
        peak = products(getattr(torch, options["precision"]), device, side)
        for size in sizes:
            settings = TrainSettings(steps=1 + WARM + 2 * TIMED, batch_size=batch, **options)
            record = Record("diffusion", {"size": size}, ImageShape(3, 32, 32), settings, {})
            trainer = Trainer(record, train, test, Path("unused"), device)
            yield measured(f"{size}, {name}", trainer, peak)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a Markdown file")
    parser.add_argument("--sizes", nargs="+", default=["small", "base"])
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--device", default="cuda", help="cpu to try the benchmark itself")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "this processor"
    lines = [
        f"# Training on {name}",
        "",
        f"*{datetime.now(UTC):%Y-%m-%d}, torch {torch.__version__}, batches of {arguments.batch_size}, `make gpu`*",
        "",
        "[bench/gpu.py](../bench/gpu.py) says what is measured.",
        "",
        "| U-Net | images/s | TFLOP/s | of matrix products | spent on reading |",
        "|---|---|---|---|---|",
    ]
    side = SIDE if device.type == "cuda" else 512
    lines += [str(row) for row in rows(device, arguments.sizes, arguments.batch_size, side)]
    print(text := "\n".join([*lines, ""]))
    if arguments.out:
        with atomic(arguments.out) as file:
            file.write(text.encode())


if __name__ == "__main__":
    main()
