"""A step of training in ONNX Runtime beside torch's own: its losses, autograd, clipping, AdamW and averaged weights."""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gen_export.export.parity import apart, require_close, worst
from gen_export.export.train_draws import law_of
from gen_export.export.train_step import NEW, TrainStep
from gen_export.export.train_turns import Turn, Vector
from gen_export.models.draws import Given
from gen_export.models.family import Batch
from gen_export.spec.noise import drawn, sample_keys, seed_bits
from gen_export.training.state import TrainState
from gen_export.verify.inputs import random_inputs
from gen_runtime.graph import Graph as RuntimeGraph
from gen_runtime.inputs import Array

BATCHES = (1, 3)
STEPS = 2
LR = 1e-3
WITHIN = 1e-4
"""A gradient is a sum of many products that cancel: its relative error is some ten times that of a network's output."""
MOMENTS = {"exp_avg": "first_moments", "exp_avg_sq": "second_moments"}
"""Names of the moments in torch and in the graph."""


class TorchTraining:
    """Steps of training in torch, with the noise that the graph draws.

    Args:
        step: The graphs that the steps are beside.
        dtype: What torch computes in.
    """

    def __init__(self, step: TrainStep, dtype: torch.dtype = torch.float32) -> None:
        self.step, self.dtype = step, dtype
        self.state = TrainState(copy.deepcopy(step.family).to(dtype), step.settings, torch.device("cpu"))
        self.players = {player.name: player for player in self.state.players}

    def take(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """One step on inputs of the graph, its state among them; the outputs that the graph should have."""
        self._put(inputs)
        terms: dict[str, Tensor] = {}
        norms = []
        for turn in self.step.turns:
            found, norm = self._turn(turn, inputs)
            terms |= found
            norms.append(norm)
        self.state.ema.update_parameters(self.state.model)
        self.state.step += 1
        numbers = {name: value.detach() for name, value in terms.items()} | {"grad_norm": torch.stack(norms).max()}
        return self._outputs() | {name: value.numpy() for name, value in numbers.items()}

    def _turn(self, turn: Turn, inputs: dict[str, Array]) -> tuple[dict[str, Tensor], Tensor]:
        """A player's turn: its losses and the norm of its gradient."""
        player, optimizer = self.players[turn.player.name], self.state.optimizers[turn.player.name]
        optimizer.param_groups[0]["lr"] = float(inputs["lr"])
        names = [name for name in ("image", "label", *player.weights) if name in inputs]
        given = {name: self._tensor(inputs[name]) for name in names}
        batch = Batch(given.pop("image"), given.pop("label", None))
        own = [dict(self.state.model.named_parameters())[name] for name in turn.parameters.shapes]
        with self.state.turn(player):
            found = player.losses(batch, Given(self._noise(turn, inputs)), **given)
            slopes = torch.autograd.grad(next(iter(found.values())), own, allow_unused=True)
        for parameter, slope in zip(own, slopes, strict=True):
            parameter.grad = torch.zeros_like(parameter) if slope is None else slope
        norm = torch.nn.utils.clip_grad_norm_(own, self.step.settings.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return found | (player.settle(lambda total: total) if player.settle else {}), norm

    def _noise(self, turn: Turn, inputs: dict[str, Array]) -> list[Tensor]:
        """What a player's losses draw in this step, as the specification says it in NumPy."""
        numbers = []
        for number, asked in enumerate(turn.asked, start=self.step.first_draw(turn, int(inputs["step"]))):
            count, *shape = (len(inputs["image"]), *asked.shape) if asked.rows else asked.shape
            keys = sample_keys(seed_bits(int(inputs["seed"])), np.arange(count, dtype=np.uint64))
            flat = drawn(law_of(asked), keys, np.array([number], np.uint64), int(np.prod(shape)))
            numbers.append(self._tensor(np.reshape(flat, (count, *shape))))
        return numbers

    def _tensor(self, array: Array) -> Tensor:
        """An input as torch computes with it."""
        tensor = torch.from_numpy(array)
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    @torch.no_grad()
    def _put(self, inputs: dict[str, Array]) -> None:
        """Makes the state that of the graph's inputs."""
        model, step = self.state.model, int(inputs["step"])
        parameters = dict(model.named_parameters())
        self.state.step = step
        self.state.ema.n_averaged.fill_(step)
        _fill(parameters, inputs["weights"], self.step.weights)
        _fill(dict(self.state.ema.module.named_parameters()), inputs["averages"], self.step.weights)
        if self.step.buffers.size:
            _fill(dict(model.named_buffers()), inputs["buffers"], self.step.buffers)
        for optimizer in self.state.optimizers.values():
            for parameter in optimizer.param_groups[0]["params"]:
                moments = {name: torch.zeros_like(parameter) for name in MOMENTS}
                optimizer.state[parameter] = {"step": torch.tensor(float(step)), **moments}
        for name, vector in MOMENTS.items():
            _fill(self._moment(name), inputs[vector], self.step.weights)

    def _outputs(self) -> dict[str, Array]:
        """The state as the graph names it."""
        model, averaged = self.state.model, self.state.ema.module
        weights, buffers = dict(model.named_parameters()), dict(model.named_buffers())
        flat = {
            "weights": _flat(weights, self.step.weights),
            **{vector: _flat(self._moment(name), self.step.weights) for name, vector in MOMENTS.items()},
            "averages": _flat(dict(averaged.named_parameters()), self.step.weights),
            "step": np.array(self.state.step),
        }
        if self.step.buffers.size:
            flat["buffers"] = _flat(buffers, self.step.buffers)
        return {NEW + name: value for name, value in flat.items()}

    def _moment(self, kind: str) -> dict[str, Tensor]:
        """One moment of every parameter, by its name."""
        held = {}
        for optimizer in self.state.optimizers.values():
            held |= {id(parameter): moments[kind] for parameter, moments in optimizer.state.items()}
        named = self.state.model.named_parameters()
        return {name: held[id(parameter)] for name, parameter in named if id(parameter) in held}


def _flat(tensors: dict[str, Tensor], vector: Vector) -> Array:
    return torch.cat([tensors[name].detach().flatten() for name in vector.shapes]).numpy()


def _fill(tensors: dict[str, Tensor], flat: Array, vector: Vector) -> None:
    """Copies a flat vector into the tensors that it is of."""
    pieces = torch.from_numpy(flat).split(vector.sizes)
    for (name, shape), piece in zip(vector.shapes.items(), pieces, strict=True):
        tensors[name].copy_(piece.reshape(shape))


def train_parity(step: TrainStep, graph: RuntimeGraph, start: RuntimeGraph) -> list[dict[str, Any]]:
    """The worst errors of steps from the start on, each from the file's own state, one entry a batch size.

    Raises:
        ExportError: A loss or part of the state is further from torch's than `WITHIN`, relative in L2.
    """
    return [_parity_at(step, graph, start, batch) for batch in BATCHES]


def _parity_at(step: TrainStep, graph: RuntimeGraph, start: RuntimeGraph, batch: int) -> dict[str, Any]:
    beside, state = TorchTraining(step), start.execute({})
    errors: list[dict[str, float]] = []
    for number in range(STEPS):
        free = [port for port in graph.card.inputs if port.name not in state]
        inputs = random_inputs(free, batch, np.random.default_rng([batch, number]))
        inputs |= {"lr": np.array(LR, np.float32), **state}
        found, expected = graph.execute(inputs), beside.take(inputs)
        for name, value in expected.items():
            errors.append(apart(found[name], value))
            require_close(f"{graph.card.graph}: {name}", batch, errors[-1], WITHIN)
        state = {name: found[NEW + name] for name in state}
    return {"graph": graph.card.graph, "batch": batch, **worst(errors, WITHIN)}
