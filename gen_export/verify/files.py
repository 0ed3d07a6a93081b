"""The files of one exported model as facts see them: graphs by name, each run on inputs of its own making."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from gen_export.verify.inputs import random_inputs
from gen_export.verify.probe import Probe
from gen_runtime.card import Card
from gen_runtime.errors import FileError, GraphError
from gen_runtime.graph import Graph
from gen_runtime.inputs import Array
from gen_runtime.model import part_file

MOST_STATES = 4000
"""States of a diffusion model that are believed: the most that a model is built with."""
MOST_CODES = 65_536
"""Codes of a codebook that are believed: the most that a model is built with."""


class Files:
    """A main file and those of its parts that are beside it, or one part alone.

    Args:
        path: `<name>.onnx`, or a part `<name>.<graph>.onnx`.

    Raises:
        FileError: The file is missing, or it or one of its parts is broken, of another model, not one of ours, or
            says that it has more states or codes than a model can have.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        main = Probe(path)
        self.card: Card = main.graph.card
        self._probes = {self.card.graph: main}
        for name in self.card.parts:
            if part_file(path, name).is_file():
                self._probes[name] = self._part(name)
        for probe in self._probes.values():
            _require_sizes(probe.graph)

    @property
    def graphs(self) -> tuple[str, ...]:
        """The graphs that are at hand."""
        return tuple(self._probes)

    def probe(self, name: str) -> Probe:
        """The file of a graph.

        Raises:
            GraphError: There is no such graph.
        """
        if name not in self._probes:
            raise GraphError(f"{self.path}: expected a graph {name!r}, found {', '.join(self._probes)}")
        return self._probes[name]

    def run(
        self, name: str, inputs: Mapping[str, Any], inner: Sequence[str] = (), put: Mapping[str, Any] | None = None
    ) -> dict[str, Array]:
        """Runs a graph; its outputs by name, and the inner values that were asked for (`Probe.run`)."""
        return self.probe(name).run(inputs, inner, put)

    def inputs(self, name: str, batch: int, purpose: str) -> dict[str, Array]:
        """Random inputs of a graph, always the same for a purpose."""
        return random_inputs(self.probe(name).graph.card.inputs, batch, random(purpose))

    def _part(self, name: str) -> Probe:
        """A part, known to belong to the main file."""
        path = part_file(self.path, name)
        probe, main = Probe(path), self.card
        card = probe.graph.card
        expected = (main.family, name, main.image, main.config, main.training)
        if (card.family, card.graph, card.image, card.config, card.training) != expected:
            raise FileError(f"{path}: expected the part {name} of {self.path}, found {card.graph} of another model")
        return probe


def _require_sizes(graph: Graph) -> None:
    """Refuses a card by whose numbers a check would make arrays of any size."""
    said = [("schedule.states", (graph.card.schedule or {}).get("states"), MOST_STATES)]
    said += [(port.name, port.maximum, MOST_CODES - 1) for port in graph.card.inputs if port.name == "indices"]
    for name, number, most in said:
        if isinstance(number, int | float) and number > most:
            raise FileError(f"{graph.path}: {name}: expected at most {most}, found {number!s:.20}")


def random(purpose: str) -> np.random.Generator:
    """A generator that is the same in every run for the same purpose."""
    return np.random.default_rng([crc32(purpose.encode()), 2026])
