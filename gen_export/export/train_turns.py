"""What each player does in a step of training, and its losses as a model whose gradient can be written down."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from gen_export.errors import ExportError
from gen_export.export.cotangents import differentiable
from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, emit_all
from gen_export.export.tracing import trace
from gen_export.export.train_draws import draw_port
from gen_export.models.draws import Drawn, Given, Source
from gen_export.models.family import Batch, Family, Graph, Player
from gen_runtime.ports import Port

Values = dict[str, GraphArray]
TRIED = 2
"""Images of the batch on which losses are tried, to see what they draw and change."""


@dataclass(frozen=True, slots=True)
class Vector:
    """Named tensors as one flat vector.

    Attributes:
        shapes: Of the tensors, in their order.
    """

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def sizes(self) -> list[int]:
        """How many numbers each tensor has."""
        return [math.prod(shape) for shape in self.shapes.values()]

    @property
    def size(self) -> int:
        """How many numbers the vector has."""
        return sum(self.sizes)

    def split(self, flat: GraphArray) -> Values:
        """The tensors of a flat vector."""
        pieces = emit_all("Split", [flat, constant(self.sizes, np.int64)], [flat.dtype] * len(self.sizes), axis=0)
        tensors = {}
        for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True):
            tensors[name] = xp.reshape(piece, shape)
            tensors[name].value.shape = ir.Shape(shape)  # which the rules of differentiation read
        return tensors

    def join(self, tensors: Sequence[GraphArray]) -> GraphArray:
        """The flat vector of tensors in order."""
        return xp.concat([xp.reshape(tensor, (-1,)) for tensor in tensors])


@dataclass(frozen=True, slots=True)
class Turn:
    """What a player does in a step.

    Attributes:
        player: Whose turn it is.
        asked: What its losses draw.
        terms: The names of its losses, the one to minimise first.
        parameters: What it moves.
        buffers: What its losses change.
    """

    player: Player
    asked: tuple[Drawn, ...]
    terms: tuple[str, ...]
    parameters: Vector
    buffers: Vector

    def losses(self, batch: Batch, rng: Source, **weights: Tensor) -> dict[str, Tensor]:
        """The losses of a whole batch by name; in training, what they change has changed."""
        found = self.player.losses(batch, rng, **weights)
        return found | (self.player.settle(lambda total: total) if self.player.settle else {})


def turns_of(family: Family, freeze: Sequence[str]) -> list[Turn]:
    """The turns of a family's players, without those to whom nothing is left to move.

    Args:
        family: The model.
        freeze: Names, or beginnings of names up to a dot, of parameters that stand still.

    Raises:
        ExportError: No parameter has such a name, or none is left to train.
    """
    names = list(dict(family.named_parameters()))
    for part in freeze:
        if not any(_within(name, part) for name in names):
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
            raise ExportError(f"--freeze: expected some of {parts}, or a part of them, found {part!r}")
    frozen = {name for name in names if any(_within(name, part) for part in freeze)}
    turns = [turn for player in family.players() if (turn := _tried(family, player, frozen)).parameters.shapes]
    if not turns:
        raise ExportError("--freeze: expected something left to train, found nothing")
    return turns


def _within(name: str, part: str) -> bool:
    return f"{name}.".startswith(f"{part}.")


def _tried(family: Family, player: Player, frozen: set[str]) -> Turn:
    """A player's turn, whose losses have been computed once; the family is as before."""
    own = set(player.parameters())
    moved = {
        name: tuple(parameter.shape)
        for name, parameter in family.named_parameters()
        if parameter in own and name not in frozen
    }
    before = {name: buffer.clone() for name, buffer in family.named_buffers()}
    asked, training = Given(), family.training
    batch = Batch(torch.zeros(TRIED, *family.image.chw), torch.zeros(TRIED, dtype=torch.int64))
    untried = Turn(player, (), (), Vector(moved), Vector({}))
    terms = tuple(untried.losses(batch, asked)) if family.train() else ()
    family.train(training)
    changed = {}
    for name, buffer in family.named_buffers():
        if not torch.equal(buffer, before[name]):
            changed[name] = tuple(buffer.shape)
            buffer.copy_(before[name])
    return Turn(player, tuple(asked.asked), terms, Vector(moved), Vector(changed))


def traced_losses(family: Family, turn: Turn, given: Sequence[Port], opset: int) -> ir.Model:
    """A player's losses as a model, and then the buffers that they change.

    Args:
        family: Whose player it is.
        turn: Its turn.
        given: The ports of images, of labels if there are any, and of the weights of the loss; those of what is drawn
            follow them.
        opset: ONNX opset.
    """
    draws = [draw_port(number, asked) for number, asked in enumerate(turn.asked)]

    def losses(*inputs: Tensor) -> tuple[Tensor, ...]:
        values = dict(zip([port.name for port in given], inputs, strict=False))
        batch = Batch(values.pop("image"), values.pop("label", None))
        found = turn.losses(batch, Given(inputs[len(given) :]), **values)
        buffers = dict(family.named_buffers())
        return *found.values(), *(buffers[name] for name in turn.buffers.shapes)

    outputs = [Port(name, "float32", ()) for name in turn.terms]
    outputs += [Port(f"buffer_{i}", "float32", shape) for i, shape in enumerate(turn.buffers.shapes.values())]
    graph = Graph("losses", "", losses, (*given, *draws), tuple(outputs))
    return differentiable(trace(family, graph, opset, training=True))
