"""What training changes: the weights, their average and the optimisers, and how these become named tensors."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel

from gen_export.models.family import Family, Player
from gen_export.training.device import memory_layout
from gen_export.training.settings import TrainSettings


def ema_update(decay: float, count: Callable[[], int]):  # noqa: ANN201 - the closure's type is torch's own
    """Exponential averaging whose decay warms up as (1 + n) / (10 + n), so that early weights are forgotten.

    Args:
        decay: Largest decay.
        count: Tells n, the updates so far. torch's own count is on the device: to read it would wait for every step.
    """

    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], _: Tensor | int) -> None:
        weight = 1.0 - min(decay, (1.0 + count()) / (10.0 + count()))
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            list(averaged), list(current), weight
        )

    return update


class TrainState:
    """A family in training.

    Attributes:
        model: The weights that the optimisers move.
        ema: Their average: the weights that ship.
        players: The model's players.
        optimizers: AdamW over each player's parameters, by its name.
        step: Number of finished steps.
    """

    def __init__(self, model: Family, settings: TrainSettings, device: torch.device) -> None:
        self.model = model.to(device).to(memory_format=memory_layout(device)).train()  # pyright: ignore[reportCallIssue]
        self.ema = AveragedModel(self.model, multi_avg_fn=ema_update(settings.ema, lambda: self.step))
        self.players = self.model.players()
        self.optimizers = {
            player.name: AdamW(
                player.parameters(),
                lr=settings.lr,
                betas=player.betas,
                weight_decay=settings.weight_decay,
                fused=device.type == "cuda",
            )
            for player in self.players
        }
        self.step = 0

    def averaged(self) -> Family:
        """The averaged model, ready for use."""
        return cast("Family", self.ema.module.eval())

    @contextmanager
    def turn(self, player: Player) -> Iterator[None]:
        """While it lasts, only this player's parameters have gradients."""
        own = set(player.parameters())
        others = [parameter for parameter in self.model.parameters() if parameter not in own]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that training changes: `model.*`, `ema.*`, `optimizer.<player>.<parameter>.<moment>`."""
        named = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        named |= {f"ema.{name}": value for name, value in self.ema.module.state_dict().items()}
        for player, optimizer in self.optimizers.items():
            for index, moments in optimizer.state_dict()["state"].items():
                named |= {f"optimizer.{player}.{index}.{name}": value for name, value in moments.items()}
        return {name: value.detach().cpu().contiguous() for name, value in named.items()}

    def restore(self, tensors: dict[str, Tensor], step: int) -> None:
        """Put back what `tensors` gave after `step` steps."""
        self.model.load_state_dict(_under("model.", tensors))
        self.ema.module.load_state_dict(_under("ema.", tensors))
        self.ema.n_averaged.fill_(step)
        for player in self.players:
            _restore_optimizer(
                self.optimizers[player.name], player.parameters(), _under(f"optimizer.{player.name}.", tensors)
            )
        self.step = step


def _restore_optimizer(optimizer: AdamW, parameters: list[nn.Parameter], tensors: dict[str, Tensor]) -> None:
    """Put back moments named `<parameter>.<moment>`."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".")
        moments.setdefault(int(index), {})[key] = _laid_out_like(parameters[int(index)], value)
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the parameter's memory layout, which fused AdamW takes for granted; its step counter as it is."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def step_seed(seed: int, step: int) -> int:
    """The seed of one step's noise: any step can be drawn again without the ones before it."""
    return int(np.random.SeedSequence([seed % 2**64, step]).generate_state(1, np.uint64)[0] >> 1)
