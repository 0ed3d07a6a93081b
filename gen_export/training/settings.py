"""How a run is trained: everything that decides its result besides the model and the data."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from gen_export.models.family import require

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Options of the loop, the same for every family.

    Raises:
        ConfigError: An option outside its range.
    """

    steps: Annotated[int, "Optimiser steps."] = 10_000
    batch_size: Annotated[int, "Images a step, over all processes together."] = 64
    accumulate: Annotated[int, "Parts that a batch is computed in, one after another: the same step, less memory."] = 1
    lr: Annotated[float, "Peak learning rate."] = 1e-3
    warmup: Annotated[int, "Steps of linear warm-up; cosine decay follows."] = 200
    weight_decay: Annotated[float, "Decoupled weight decay of AdamW."] = 1e-3
    clip: Annotated[float, "Largest norm of the whole gradient."] = 1.0
    ema: Annotated[float, "Decay of the averaged weights, the ones that ship."] = 0.999
    seed: Annotated[int, "Seeds the weights, the order of the data and all noise."] = 0
    save_every: Annotated[int, "Steps between checkpoints."] = 500
    preview_every: Annotated[int, "Steps between pictures and held-out losses."] = 1000
    precision: Annotated[Precision | None, "Arithmetic of the networks; bfloat16 on CUDA, float32 on the CPU."] = None
    compile: Annotated[bool, "Compile the losses with torch.compile (CUDA)."] = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "save_every", "preview_every"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("lr", "clip"):
            require(
                math.isfinite(getattr(self, name)) and getattr(self, name) > 0,
                name,
                "above 0",
                getattr(self, name),
            )
        require(self.warmup >= 0, "warmup", "at least 0", self.warmup)
        require(
            math.isfinite(self.weight_decay) and self.weight_decay >= 0,
            "weight_decay",
            "at least 0",
            self.weight_decay,
        )
        require(0 <= self.ema < 1, "ema", "at least 0 and below 1", self.ema)
        require(-(2**63) <= self.seed < 2**64, "seed", "a number of 64 bits", self.seed)
        kinds = (None, *get_args(Precision))
        require(self.precision in kinds, "precision", f"one of {', '.join(kinds[1:])}", self.precision)

    def span(self, begin: float, end: float) -> range:
        """The steps between two shares of the run."""
        return range(round(begin * self.steps), round(end * self.steps))

    def lr_at(self, step: int, span: range | None = None) -> float:
        """Learning rate of a step of a span of steps, by default of the whole run.

        Linear warm-up, then half a cosine towards 0.
        """
        span = range(self.steps) if span is None else span
        done, length = step - span.start, len(span)
        warm = min(1.0, (done + 1) / max(self.warmup, 1))
        progress = max(0.0, (done - self.warmup) / max(length - self.warmup, 1))
        return self.lr * warm * 0.5 * (1.0 + math.cos(math.pi * progress))
