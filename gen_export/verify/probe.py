"""What a fact asks of a file: its outputs, the named values on the way to them, and other values in their place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from gen_export.verify.onnx_file import OnnxFile
from gen_runtime.errors import FileError
from gen_runtime.graph import Graph, open_model
from gen_runtime.inputs import Array
from gen_runtime.ports import Port
from gen_runtime.session import open_bytes


class Probe:
    """One file, opened on the CPU as it is, and once more for each set of values that is read or put into it.

    A value that is read keeps ONNX Runtime from fusing across it, so outputs beside it may differ in their
    last bits from those of the file as it is.

    Attributes:
        file: What the file holds.
        graph: The file as the runtime opens it.

    Args:
        path: The file, which is read once.

    Raises:
        FileError: The file is missing, broken, or not one of ours.
    """

    def __init__(self, path: Path) -> None:
        self.file = OnnxFile.read(path)
        self.graph = open_model(self.file.data, path)
        self._spliced = cache(self._splice)

    def run(
        self, inputs: Mapping[str, Any], inner: Sequence[str] = (), put: Mapping[str, Any] | None = None
    ) -> dict[str, Array]:
        """Runs the file; every output by name, and the inner values that were asked for.

        Args:
            inputs: The graph's inputs; optional ones may be left out.
            inner: Names of inner values to return.
            put: Inner values to go on with, by name, whatever the file computes for them. An output of the
                same name is then no output.

        Raises:
            FileError: The file declares no such inner value, or its graph computes none.
            PortError: A value is missing, unknown, or not what its port says.
            GenRuntimeError: ONNX Runtime failed.
        """
        put = put or {}
        graph = self._spliced(frozenset(inner), frozenset(put)) if inner or put else self.graph
        return graph.execute(graph.check({**inputs, **put}))

    def _splice(self, inner: frozenset[str], put: frozenset[str]) -> Graph:
        """The file with some of its inner values as outputs and others as inputs."""
        card = self.graph.card
        read, given = self._inner_ports(inner), self._inner_ports(put)
        outputs = [port for port in card.outputs if port.name not in put]
        known = {port.name for port in outputs}
        model = self.file.substitute(given).expose(read)
        outputs += [port for port in read if port.name not in known]
        changed = replace(card, inputs=(*card.inputs, *given), outputs=tuple(outputs))
        session = open_bytes(model.data, self.graph.path, None)
        return Graph(self.graph.path, changed, session, self.graph.device)

    def _inner_ports(self, names: Iterable[str]) -> list[Port]:
        """The ports of inner values, and of outputs, in whose place others may be put as well.

        Raises:
            FileError: The file declares none of this name.
        """
        declared = {port.name: port for port in (*self.graph.card.inner, *self.graph.card.outputs)}
        for name in sorted(names):
            if name not in declared:
                have = ", ".join(declared) or "none"
                raise FileError(f"{self.graph.path}: expected an inner value {name!r}, found {have}")
        return [declared[name] for name in sorted(names)]
