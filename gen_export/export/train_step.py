"""A step of training as one graph: every player's losses, gradients, clipping, AdamW and the averaged weights.

The losses are those of `Family.players`, the ones that `gen_export.training` lowers, and so is the order of things: in
a step the players take turns, each with the weights that the ones before it have just moved. The optimiser is that of
`gen_export.spec.optimizers`, recorded; what the losses draw comes from the seed and the number of the step.

The state is flat vectors, so that a host holds a handful of tensors whatever the network: the graph `start` gives it at
first, the step takes it, and gives it anew under names that begin with `new_`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from gen_export.errors import ExportError
from gen_export.export.cotangents import gradient
from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, emit, emit_all, innermost
from gen_export.export.sampler_graph import Built, Inputs, build
from gen_export.export.samplers import START, TRAIN
from gen_export.export.subgraphs import inline
from gen_export.export.tracing import drop_stops, tidy
from gen_export.export.train_draws import draw_all
from gen_export.export.train_turns import Turn, Values, Vector, traced_losses, turns_of
from gen_export.models.family import Family
from gen_export.models.lipschitz import plain
from gen_export.spec.optimizers import Moments, adamw, averaged, clipped, norm
from gen_export.training.settings import TrainSettings
from gen_runtime.ports import Port

NEW = "new_"


class TrainStep:
    """The graphs of a family's step of training.

    Args:
        family: The trained model: the step goes on from its weights.
        settings: Of its run: weight decay, clipping and the decay of the averages are theirs.
        opset: ONNX opset.
        freeze: Parts that stand still, as `turns_of` takes them.

    Raises:
        ExportError: A part to freeze is none, nothing is left to train, or the losses cannot be derived.
    """

    def __init__(self, family: Family, settings: TrainSettings, opset: int, freeze: Sequence[str] = ()) -> None:
        if plain(family) is not family:
            expected = "a network whose weights are what it computes with"
            raise ExportError(f"--train-step: expected {expected}, found some that are computed anew in every step")
        self.family, self.settings = family, settings
        self.turns = turns_of(family, freeze)
        self.weights = Vector({name: shape for turn in self.turns for name, shape in turn.parameters.shapes.items()})
        self.buffers = Vector({name: shape for turn in self.turns for name, shape in turn.buffers.shapes.items()})
        self.models = [traced_losses(family, turn, self._given(turn), opset) for turn in self.turns]

    def train(self) -> Built:
        """The step."""
        ports = (*self._batch_ports(), *self._state_ports()), (*self._state_ports(NEW), *self._loss_ports())
        built = build(TRAIN, *ports, self.models[0], self._step)
        drop_stops(built.model)
        tidy(built.model)
        return built

    def optimizer(self) -> dict[str, Any]:
        """How the step moves weights, and whose they are, as the metadata says it."""
        first, players = 0, []
        for turn in self.turns:
            part = {"first": first, "count": turn.parameters.size, "betas": list(turn.player.betas)}
            players.append({"name": turn.player.name, "loss": turn.terms[0], "draws": len(turn.asked), **part})
            first += turn.parameters.size
        settings = self.settings
        return {"players": players, "weight_decay": settings.weight_decay, "clip": settings.clip, "ema": settings.ema}

    def first_draw(self, turn: Turn, step: Any) -> Any:
        """The number of the first draw of a turn in a step: every draw of a run has its own."""
        every = sum(len(each.asked) for each in self.turns)
        return step * every + sum(len(each.asked) for each in self.turns[: self.turns.index(turn)])

    def start(self) -> Built:
        """The state at first: the model's weights, and an optimiser that knows nothing yet."""

        def compute(_: Inputs) -> list[GraphArray]:
            size = constant([self.weights.size], np.int64)
            moments = [emit("ConstantOfShape", size, dtype=np.float32) for _ in Moments._fields]
            weights, buffers = self._saved(self.weights), [self._saved(self.buffers)] if self.buffers.size else []
            return [emit("Identity", each) for each in (weights, *moments, weights, *buffers, constant(0, np.int64))]

        return build(START, (), self._state_ports(), self.models[0], compute)

    def _saved(self, vector: Vector) -> GraphArray:
        """What the model's tensors of these names are."""
        named = {**dict(self.family.named_parameters()), **dict(self.family.named_buffers())}
        return constant(torch.cat([named[name].detach().flatten() for name in vector.shapes]).numpy())

    def _batch_ports(self) -> tuple[Port, ...]:
        """What a step learns from, and how fast."""
        classes = getattr(self.family.config, "classes", ())
        weights = {name: value for turn in self.turns for name, value in turn.player.weights.items()}
        return (
            self.family.image_port("image", "images"),
            *([Port("label", "int64", ("batch",), "class of each image", 0, len(classes) - 1)] if classes else []),
            *(
                Port(name, "float32", (), f"weight {name} of the loss", 0, default=value, optional=True)
                for name, value in weights.items()
            ),
            Port("seed", "int64", (), "any number: with the number of the step it decides all noise"),
            Port("lr", "float32", (), "learning rate", minimum=0),
        )

    def _given(self, turn: Turn) -> list[Port]:
        """The ports of a step that a player's losses take."""
        return [port for port in self._batch_ports() if port.name in {"image", "label", *turn.player.weights}]

    def _state_ports(self, prefix: str = "") -> tuple[Port, ...]:
        """What a step changes."""
        size, held = self.weights.size, self.buffers.size
        flat = [
            ("weights", size, "all that is trained"),
            ("first_moments", size, "averages of the gradient"),
            ("second_moments", size, "averages of its square"),
            ("averages", size, "averaged weights, the ones to ship"),
            *([("buffers", held, "all that is learned without a gradient")] if held else []),
        ]
        ports = [Port(prefix + name, "float32", (count,), what) for name, count, what in flat]
        return *ports, Port(f"{prefix}step", "int64", (), "number of finished steps", minimum=0)

    def _loss_ports(self) -> tuple[Port, ...]:
        terms = [Port(term, "float32", (), f"of the {turn.player.name}") for turn in self.turns for term in turn.terms]
        return *terms, Port("grad_norm", "float32", (), "largest norm of a player's gradient", minimum=0)

    def _step(self, inputs: Inputs) -> list[GraphArray]:
        """Every player's turn: the new state, the losses, and the largest norm of a gradient."""
        values = self.weights.split(inputs["weights"])
        if self.buffers.size:
            values |= self.buffers.split(inputs["buffers"])
        parts = [self._parts(inputs[name]) for name in ("weights", "first_moments", "second_moments")]
        count, settings = xp.astype(inputs["step"], np.float64), self.settings
        lr = xp.astype(inputs["lr"], np.float64)
        moved, terms, lengths = [], [], []
        for turn, model, weights, *moments in zip(self.turns, self.models, *parts, strict=True):
            losses, slope = self._derived(turn, model, inputs, values)
            lengths.append(norm(slope))
            slope = clipped(slope, lengths[-1], settings.clip)
            found = adamw(weights, slope, Moments(*moments), count + 1.0, lr, turn.player.betas, settings.weight_decay)
            moved.append((found[0], *found[1]))
            terms += losses
            values |= turn.parameters.split(found[0])
        state = [_joined(column) for column in zip(*moved, strict=True)]
        average = averaged(inputs["averages"], state[0], count, settings.ema)
        buffers = [self.buffers.join([values[name] for name in self.buffers.shapes])] if self.buffers.size else []
        largest = emit("Max", *lengths)
        return [*state, average, *buffers, inputs["step"] + 1, *terms, largest]

    def _parts(self, flat: GraphArray) -> list[GraphArray]:
        """Each player's part of a flat vector of all."""
        sizes = [turn.parameters.size for turn in self.turns]
        if len(sizes) == 1:
            return [flat]
        return emit_all("Split", [flat, constant(sizes, np.int64)], [flat.dtype] * len(sizes), axis=0)

    def _derived(
        self, turn: Turn, model: ir.Model, inputs: Inputs, values: Values
    ) -> tuple[list[GraphArray], GraphArray]:
        """A player's losses and the flat gradient of the first; what they change is put into `values`."""
        draws = draw_all(turn.asked, inputs["seed"], self.first_draw(turn, inputs["step"]), inputs["image"])
        before = innermost().num_nodes()
        results = inline(model, *(inputs[port.name] for port in self._given(turn)), *draws)
        _put(values)
        names = list(turn.parameters.shapes)
        slopes = gradient(results[0], [values[name] for name in names], list(innermost())[before:])
        values |= dict(zip(turn.buffers.shapes, results[len(turn.terms) :], strict=True))
        return results[: len(turn.terms)], turn.parameters.join(slopes)


def _joined(parts: Sequence[GraphArray]) -> GraphArray:
    return xp.concat(parts) if len(parts) > 1 else parts[0]


def _put(values: Values) -> None:
    """Puts values of the state in the place of the weights that a model brought along."""
    graph = innermost()
    for key in list(graph.initializers):
        name = key.rsplit("/family.", 1)[-1]
        if name in values and name != key:
            ir.convenience.replace_all_uses_with(graph.initializers.pop(key), values[name].value)
