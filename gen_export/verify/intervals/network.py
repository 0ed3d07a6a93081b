"""The box of what an ONNX file computes from a box, by going through its nodes once.

Every node takes what is known of its inputs, boxes and first-order forms, to a box and perhaps a form that hold all its
results over the real numbers; where it has both, the box is what lies in both. So the last box holds the graph's output
for every input in the box.
"""

from collections.abc import Mapping

import numpy as np

from gen_export.errors import NoCertificateError
from gen_export.verify.intervals.box import Box, fixed, meet
from gen_export.verify.intervals.first_order import Known, form_of, silu_form
from gen_export.verify.intervals.forms import Form, box_of, of_source
from gen_export.verify.intervals.rules import applied, silu
from gen_export.verify.lipschitz.operators import evaluate, exact, is_read, needed_nodes, refusal
from gen_export.verify.onnx_file import OnnxFile
from gen_export.verify.onnx_graph import Node


class Enclosure:
    """A value of a file's main graph, bounded while one of its inputs stays in a box, the others at their defaults.

    Args:
        file: The file.
        source: The input.
        target: The value, an output for instance.

    Raises:
        NoCertificateError: The graph has no such input or value.
    """

    def __init__(self, file: OnnxFile, source: str, target: str) -> None:
        graph = file.graph
        self._nodes = needed_nodes(graph, target)
        if source not in graph.inputs or not any(target in node.outputs for node in self._nodes):
            raise NoCertificateError(f"{file.source}: expected its main graph to compute {target!r} from {source!r}")
        weights = {name: tensor for name, tensor in graph.initializers.items() if name != source}
        self._weights = {name: Known(fixed(exact(tensor))) for name, tensor in weights.items()}
        self._source, self._target = source, target
        self._sigmoids = {node.outputs[0]: node.inputs[0] for node in self._nodes if node.op_type == "Sigmoid"}

    def box(self, low: np.ndarray, high: np.ndarray) -> Box:
        """The box of the value while the input lies between two arrays of one shape.

        Raises:
            NoCertificateError: A node stands in the way; the message names it and says why.
        """
        start = Box(exact(np.asarray(low)), exact(np.asarray(high)))
        known = {**self._weights, self._source: Known(start, of_source(start))}
        with np.errstate(all="ignore"):
            for node in self._nodes:
                known[node.outputs[0]] = self._through(node, known)
        return known[self._target].box

    def _through(self, node: Node, known: Mapping[str, Known]) -> Known:
        """What is known of a node's result."""
        inputs = [known[name] if name else None for name in _computed(node, known)]
        boxes = [None if value is None else value.box for value in inputs]
        if node.op_type == "Mul" and (name := self._activated(node)):
            box, form = known[name]
            return _both(silu(box), None if form is None else silu_form(form))
        if not is_read(node) and not _is_normalization(node):
            raise refusal(node, "no rule bounds this operator with these attributes")
        given = [value for value in boxes if value is not None]
        if given and all(value.fixed and value.low.dtype.kind != "f" for value in given):
            return Known(fixed(evaluate(node, [None if value is None else value.low for value in boxes])))
        return _both(applied(node, boxes), form_of(node, inputs))

    def _activated(self, node: Node) -> str | None:
        """The name of v where a node multiplies v by sigmoid(v)."""
        return next((a for a, b in (node.inputs, node.inputs[::-1]) if self._sigmoids.get(b) == a), None)


def _both(box: Box, form: Form | None) -> Known:
    """What lies in a box and in a form."""
    if form is None or box.fixed or not np.isfinite(form.rest).all():
        return Known(box)
    return Known(meet(box, box_of(form)), form)


def _computed(node: Node, known: Mapping[str, Known]) -> list[str]:
    """The names of a node's inputs, all of them computed before."""
    for name in node.inputs:
        if name and name not in known:
            raise refusal(node, f"nothing before it computes its input {name!r}")
    return node.inputs


def _is_normalization(node: Node) -> bool:
    """Whether it is the standard instance normalisation, the one operator read here alone."""
    standard = node.message.text(7) in ("", "ai.onnx") and len(node.outputs) == 1
    return standard and node.op_type == "InstanceNormalization" and node.attributes.keys() <= {"epsilon"}
