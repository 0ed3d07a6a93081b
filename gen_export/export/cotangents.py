"""The gradient of a number that an ONNX graph computes, node by node: reverse-mode differentiation.

Griewank & Walther, *Evaluating Derivatives* (2008), chapter 3. A value's *cotangent* is the derivative of one number,
the loss, by it. Each operator has a rule from the cotangent of its output to those of its inputs, of forward operators
alone: no operator of training is needed, stock ONNX Runtime runs the result, and what it holds can be derived again.
"""

from collections.abc import Sequence
from itertools import zip_longest

import onnx_ir as ir
from onnx_ir.passes.common import NameFixPass

from gen_export.errors import ExportError
from gen_export.export.adjoints import ARITHMETIC, Pulled, Rule, as_large
from gen_export.export.graph_arrays import GraphArray, constant, emit, innermost, recording
from gen_export.export.layer_adjoints import LAYERS
from gen_export.export.nodes import real
from gen_export.export.tracing import infer_shapes
from gen_export.models.derivatives import DOMAIN, INPUT_GRADIENT, STOP

RULES: dict[str, Rule] = {**ARITHMETIC, **LAYERS}
STILL = frozenset(
    {"Shape", "Size", "ArgMin", "ArgMax", "Range", "Not", "And", "Or"}
    | {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", STOP}
)
"""Operators whose results do not move with their inputs, or are told not to."""


def gradient(loss: GraphArray, variables: Sequence[GraphArray], nodes: Sequence[ir.Node]) -> list[GraphArray]:
    """The derivatives of a loss (), or of the sum of a loss of any shape, by variables, each of its variable's shape.

    Args:
        loss: What to derive.
        variables: By what.
        nodes: All that lie between the two, in order.

    Raises:
        ExportError: An operator has no rule, or its rule does not know this form of it.
    """
    moving = {variable.value for variable in variables}
    path = [node for node in nodes if _moves(node, moving)]
    cotangents = {loss.value: as_large(constant(1.0, loss.dtype), loss)}
    for node in reversed(path):
        if any(output in cotangents for output in node.outputs):
            _propagate(node, moving, cotangents)
    return [cotangents.get(variable.value) or 0.0 * variable for variable in variables]


def _moves(node: ir.Node, moving: set[ir.Value]) -> bool:
    """Whether a node's results move with what is moving; then they are moving too."""
    if node.op_type in STILL or not any(value in moving for value in _read(node) if value is not None):
        return False
    moving.update(node.outputs)
    return True


def _read(node: ir.Node) -> Sequence[ir.Value | None]:
    """The inputs whose numbers a node reads: of CastLike's second it reads the type alone."""
    return node.inputs[:1] if node.op_type == "CastLike" else node.inputs


def _propagate(node: ir.Node, moving: set[ir.Value], cotangents: dict[ir.Value, GraphArray]) -> None:
    """Adds a node's shares to the cotangents of its inputs."""
    if node.op_type not in RULES or any(output in cotangents for output in node.outputs[1:]):
        raise ExportError(f"gradient: expected operators with a derivative ({', '.join(RULES)}), found {node.op_type}")
    pulled = Pulled(node, cotangents[node.outputs[0]])
    for value, share in zip_longest(_read(node), RULES[node.op_type](pulled)):
        if value is None or value not in moving:
            continue
        if share is not None:
            cotangents[value] = cotangents[value] + share if value in cotangents else share
        else:
            pulled.require(real(value).dtype.kind != "f", "its other inputs to stand still")


def differentiable(model: ir.Model) -> ir.Model:
    """The model with its gradients by inputs (`models.derivatives`) written out, and the shapes of all its values."""
    model = infer_shapes(model)
    if not any(node.domain == DOMAIN and node.op_type == INPUT_GRADIENT for node in model.graph):
        return model
    source = model.graph
    nodes = list(source)
    source.remove(nodes)
    with recording(str(source.name), source.opset_imports[""]) as graph:
        for node in nodes:
            if node.op_type == INPUT_GRADIENT:
                x, y = (real(value) for value in node.inputs if value is not None)
                (found,) = gradient(y, [x], list(graph))
                ir.convenience.replace_all_uses_with(node.outputs[0], emit("Identity", found).value)
            else:
                innermost().append(node)
    written = list(graph)
    graph.remove(written)
    source.extend(written)
    for name in list(graph.initializers):
        source.register_initializer(graph.initializers.pop(name))
    NameFixPass()(model)  # each graph has numbered its values for itself
    return infer_shapes(model)
