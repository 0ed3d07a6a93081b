"""One step: every player's turn on a batch that may be shared out to processes, and computed in parts.

Whatever the number of processes and parts, the gradients are those of the whole batch, within rounding: the parts
are equal, each has its own rows of the whole batch's noise, and what is no mean over images is settled at the end.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gen_export.models.draws import part_of_batch
from gen_export.models.family import Batch, Family, Player, require
from gen_export.training.device import compiled, pick_precision
from gen_export.training.processes import Processes
from gen_export.training.settings import TrainSettings
from gen_export.training.state import TrainState, step_seed


class Learner:
    """What takes the steps of a run.

    Args:
        model: The family in training.
        settings: Of the run.
        device: Where to compute.
        processes: Who shares the batches.

    Attributes:
        state: What the steps change.
        scaler: Of the losses, with float16.

    Raises:
        ConfigError: The batch cannot be shared out evenly.
    """

    def __init__(self, model: Family, settings: TrainSettings, device: torch.device, processes: Processes) -> None:
        parts = processes.count * settings.accumulate
        even = f"a multiple of {parts}, the number of processes x accumulate"
        require(settings.batch_size % parts == 0, "batch_size", even, settings.batch_size)
        self.settings, self.device, self.processes, self.parts = settings, device, processes, parts
        self.state = TrainState(model, settings, device)
        self.precision = pick_precision(settings.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == torch.float16)
        self.rng = torch.Generator(device)
        self.losses = {
            player.name: compiled(player.losses, device) if settings.compile else player.losses
            for player in self.state.players
        }

    def step(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """One turn of every player; their losses and the largest norm of their gradients, still on the device.

        Args:
            batch: This process's share of the step's images.
        """
        state, settings = self.state, self.settings
        self.rng.manual_seed(step_seed(settings.seed, state.step))
        losses: dict[str, Tensor] = {}
        norms = []
        for player in state.players:
            span = settings.span(player.begin, player.end)
            if state.step in span:
                found, norm = self._turn(player, batch, settings.lr_at(state.step, span))
                losses |= found
                norms.append(norm)
        self.scaler.update()
        state.ema.update_parameters(state.model)
        state.step += 1
        return losses, torch.stack(norms).max()

    def _turn(self, player: Player, batch: Batch, lr: float) -> tuple[dict[str, Tensor], Tensor]:
        """One optimiser step of a player; its losses and the norm of its gradient."""
        optimizer = self.state.optimizers[player.name]
        optimizer.param_groups[0]["lr"] = lr
        with self.state.turn(player):
            losses = self._gradients(player, batch)
        self.scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(player.parameters(), self.settings.clip)
        if self.scaler.is_enabled():
            norm = norm.nan_to_num(0.0, 0.0, 0.0)  # a step that the scaler skips moves nothing
        self.scaler.step(optimizer)
        optimizer.zero_grad(set_to_none=True)
        return losses, norm

    def _gradients(self, player: Player, batch: Batch) -> dict[str, Tensor]:
        """Leaves the gradients over the whole batch, of all processes, in a player's parameters; its losses."""
        losses: dict[str, Tensor] = {}
        for index, part in self._parts(batch):
            with part_of_batch(index, self.parts):
                found = self._backward(player, part)
            losses = {name: losses[name] + value if name in losses else value for name, value in found.items()}
        gradients = [x.grad for x in player.parameters() if x.grad is not None]
        self.processes.average([*gradients, *losses.values()])
        return losses | (player.settle(self.processes.total) if player.settle else {})

    def _backward(self, player: Player, part: Batch) -> dict[str, Tensor]:
        """Adds a part's gradients to those of the parts before it; its share of the losses."""
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            losses = self.losses[player.name](part, self.rng)
        share = 1.0 / self.settings.accumulate
        self.scaler.scale(share * next(iter(losses.values()))).backward()
        return {name: share * value.detach() for name, value in losses.items()}

    def _parts(self, batch: Batch) -> Iterator[tuple[int, Batch]]:
        """The parts of this process's share by their numbers, each from the noise and buffers that the first found."""
        count = self.settings.accumulate
        first = self.processes.index * count
        back = _way_back(self.state.model, self.rng) if count > 1 else None
        size = len(batch.images) // count
        for part in range(count):
            if back is not None:
                back()
            rows = slice(part * size, (part + 1) * size)
            yield first + part, Batch(batch.images[rows], None if batch.labels is None else batch.labels[rows])


def _way_back(model: Family, rng: torch.Generator) -> Callable[[], None]:
    """A function that puts a generator and a model's buffers back to where they are now.

    A spectral norm moves its buffers with each call: the parts of a batch must see the ones that the whole would.
    """
    noise, buffers = rng.get_state(), [buffer.clone() for buffer in model.buffers()]

    def back() -> None:
        rng.set_state(noise)
        for buffer, value in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(value)

    return back
