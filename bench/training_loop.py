"""Time of a step of the training loop against the same step written by hand, on the CPU.

    python bench/training_loop.py diffusion --size small --batch-size 64

By hand: the same network, batches, losses, clipping, AdamW and averaged weights in fifteen lines of torch, with no
log, no bar, no checkpoint. Both train on sprites in one process, in turns; of each, a long run less a short one, so
that building, previews and the last checkpoint do not count. The figure is the median ratio of the times.
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gen_export.data import batch_indices, open_data
from gen_export.data.image_set import ImageSet
from gen_export.models.family import Batch, ImageShape
from gen_export.spec.pixels import from_bytes
from gen_export.training.checkpoint import Record
from gen_export.training.loop import Trainer
from gen_export.training.settings import TrainSettings

CPU = torch.device("cpu")
ONE_PLAYER: dict[str, dict[str, Any]] = {"vae": {"prior": "normal"}}
"""Options with which a family has one player."""


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ours(record: Record, images: ImageSet, held_out: ImageSet) -> None:
    """A run as `gen-export train` does it."""
    with tempfile.TemporaryDirectory() as folder:
        Trainer(record, images, held_out, Path(folder), CPU).run()


def by_hand(record: Record, images: ImageSet) -> None:
    """The same run in plain torch, for a family with one player."""
    model, settings = record.build().train(), record.settings
    averaged = copy.deepcopy(model)
    (player,) = model.players()
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    rng = torch.Generator()
    for step in range(settings.steps):
        indices = batch_indices(len(images), settings.batch_size, settings.seed, step)
        pixels = torch.from_numpy(images.images(indices)).permute(0, 3, 1, 2).float().contiguous()
        loss = player.losses(Batch(from_bytes(pixels)), rng.manual_seed(step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
        with torch.no_grad():
            for mean, value in zip(averaged.parameters(), model.parameters(), strict=True):
                mean.lerp_(value, 1 - settings.ema)


def main() -> None:
    """Print images a second of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=("diffusion", "vae", "autoencoder", "mae"))
    parser.add_argument("--size", default="small")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    train, test = (open_data("sprites", part) for part in ("train", "test"))

    def record(steps: int) -> Record:
        often: Any = {"save_every": 10**6, "preview_every": 10**6}
        settings = TrainSettings(steps=steps, batch_size=arguments.batch_size, **often)
        config = {"size": arguments.size, **ONE_PLAYER.get(arguments.family, {})}
        return Record(arguments.family, config, ImageShape(3, 32, 32), settings, {})

    def per_step(run: Callable[[Record], None]) -> float:
        short, long = record(2), record(2 + arguments.steps)
        return (seconds(lambda: run(long)) - seconds(lambda: run(short))) / arguments.steps

    pairs = [
        (per_step(lambda r: ours(r, train, test)), per_step(lambda r: by_hand(r, train)))
        for _ in range(arguments.rounds)
    ]
    mine, hand = (arguments.batch_size / statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"{arguments.family} {arguments.size}: {mine:.0f} images/s, by hand {hand:.0f}: {ratio:.3f} of its speed")


if __name__ == "__main__":
    main()
