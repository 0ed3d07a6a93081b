"""Branches, loops and whole models within the graph being recorded."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, emit, emit_all, graph_input, innermost, recording

Branch = Callable[[], Sequence[GraphArray]]


def _subgraph(name: str, build: Branch) -> ir.Graph:
    """A graph without inputs whose outputs are what `build` returns."""
    with recording(name, innermost().opset_imports[""]) as graph:
        graph.outputs.extend(emit("Identity", array).value for array in build())
    return graph


def either(condition: GraphArray, then: Branch, otherwise: Branch) -> list[GraphArray]:
    """If: only the chosen branch is computed; both give as many arrays."""
    branches = {"then_branch": _subgraph("then", then), "else_branch": _subgraph("else", otherwise)}
    dtypes = [GraphArray(output).dtype for output in branches["else_branch"].outputs]
    return emit_all("If", [condition], dtypes, **branches)


def choose(number: GraphArray, branches: Sequence[Branch]) -> list[GraphArray]:
    """What branch `number` gives, the last for any number that the others have not; only that one is computed."""
    first, *others = branches
    if not others:
        return list(first())
    return either(xp.equal(number, 0), first, lambda: choose(number - 1, others))


def loop(
    trips: GraphArray,
    states: Sequence[GraphArray],
    shapes: Sequence[Sequence[int | str]],
    body: Callable[..., Sequence[GraphArray]],
) -> list[GraphArray]:
    """Loop: `states = body(j, *states)` for j = 0..trips-1, each state always of its shape.

    Constants and weights recorded in the body stay in it: from the outer graph ONNX Runtime would not pre-pack them.
    """
    dtypes = [state.dtype for state in states]
    with recording("step", innermost().opset_imports[""]) as graph:
        j = graph_input("j", np.int64, ())
        go_on = graph_input("go_on", np.bool_, ())
        before = [graph_input(f"state_{i}", *kind) for i, kind in enumerate(zip(dtypes, shapes, strict=True))]
        after = body(j, *before)
        graph.outputs.extend(emit("Identity", value).value for value in (go_on, *after))
    return emit_all("Loop", [trips, constant(True, np.bool_), *states], dtypes, body=graph)


def inline(model: ir.Model, *inputs: GraphArray, shaped: bool = True) -> list[GraphArray]:
    """The nodes of a model applied to these inputs, its weights as initializers of the graph being recorded.

    A model that is inlined again into the same graph shares the weights that are already there.

    Args:
        model: The model.
        inputs: In the order of its own.
        shaped: Whether the shapes that it says its values have are theirs for these inputs as well.
    """
    target, source = innermost(), model.clone().graph
    for port, array in zip(source.inputs, inputs, strict=True):
        ir.convenience.replace_all_uses_with(port, array.value)
        source.initializers.pop(str(port.name), None)  # its default
    prefix = f"{source.name}_{target.num_nodes()}"
    for name, weight in list(source.initializers.items()):
        del source.initializers[name]
        shared = target.initializers.get(f"{source.name}/{name}")
        if shared is not None and shared.const_value is weight.const_value:
            ir.convenience.replace_all_uses_with(weight, shared)
        else:
            weight.name = f"{source.name}/{name}" if shared is None else f"{prefix}/{name}"
            target.register_initializer(weight)
    outputs = list(source.outputs)
    source.outputs.clear()
    nodes = list(source)
    source.remove(nodes)
    for node in nodes:
        node.name = None
        for output in node.outputs:
            output.name = f"{prefix}/{output.name}"
            output.shape = output.shape if shaped else None
    target.extend(nodes)
    return [GraphArray(output) for output in outputs]
