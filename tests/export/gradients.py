"""Gradients of small graphs, written as ONNX text, beside torch's in float64."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from gen_export.export.cotangents import differentiable, gradient
from gen_export.export.graph_arrays import GraphArray, emit, innermost
from gen_export.export.subgraphs import inline
from gen_export.export.tracing import drop_stops
from gen_export.models.derivatives import STOP
from gen_runtime.ports import Port
from tests.export.analytic import OPSETS, evaluate, graph_of, parse

Case = tuple[str, Callable[..., Tensor], Sequence[tuple[int, ...]]]
"""Nodes from a, b, c to y, in which [1, 2] stands for a constant; the same in torch; and the shapes of a, b, c."""
Shape = Sequence[int | str]

# Each number is a sum of at most some hundreds of products, whose rounding errors, 2^-24 = 6e-8 each, add up at random.
TOLERANCE = 1e-6


def gradients(text: str, shapes: Sequence[Shape], weights: Shape) -> ir.Model:
    """The model of the gradient, by each of a, b, c, of the weighted sum of what these nodes compute of them."""
    named = {**dict(zip("abc", shapes, strict=False)), "weights": weights}
    ports = {name: Port(name, "float32", tuple(shape)) for name, shape in named.items()}
    model = network(text, ports)

    def compute(*arrays: GraphArray) -> list[GraphArray]:
        (loss,) = inline(model, *arrays)
        slopes = gradient(loss, arrays[:-1], list(innermost()))
        drop_stops(ir.Model(innermost(), ir_version=OPSETS[18]))
        return [emit("Identity", slope) for slope in slopes]

    return graph_of(compute, ports)


def network(text: str, ports: Mapping[str, Port]) -> ir.Model:
    """The model of these nodes from the ports to the weighted outputs."""
    literals: list[str] = []

    def named(match: re.Match[str]) -> str:
        literals.append(match[0])
        return f"literal_{len(literals) - 1}"

    body = re.sub(r"(?:(?<=\()|(?<=, ))\[[^]]*\]", named, text)
    kinds = ["floats" if "." in literal else "ints" for literal in literals]
    constants = (f"literal_{i} = Constant <value_{kind} = {literals[i]}> ()" for i, kind in enumerate(kinds))
    extents = {name: f"[{', '.join(map(str, port.shape))}]" if port.shape else "" for name, port in ports.items()}
    model = parse(f"""
        <ir_version: 8, opset_import: ["" : 18, "gen_export" : 1]>
        small ({", ".join(f"float{extents[name]} {name}" for name in ports)}) => (float loss)
            {{ {" ".join(constants)} {body} loss = Mul (y, weights) }}
    """)
    model.graph.outputs[0].shape = None
    for node in model.graph:
        if node.op_type == STOP:  # of an input, whose shape torch's exporter would repeat
            node.outputs[0].type, node.outputs[0].shape = node.inputs[0].type, node.inputs[0].shape
    return differentiable(model)


def torchs_gradients(
    function: Callable[..., Tensor], shapes: Sequence[Sequence[int]]
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Random inputs and weights; and the gradients that torch finds there, in float64."""
    rng = np.random.default_rng(0)
    inputs = {name: quarters(rng, shape) for name, shape in zip("abc", shapes, strict=False)}
    variables = [torch.from_numpy(array).double().requires_grad_() for array in inputs.values()]
    y = function(*variables)
    weights = quarters(rng, y.shape)
    found = torch.autograd.grad(y, variables, torch.from_numpy(weights).double(), materialize_grads=True)
    return {**inputs, "weights": weights}, [each.numpy() for each in found]


def quarters(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Random multiples of 1/4, so that some are 0 and some stand on the bounds of a Clip, float32."""
    return np.asarray(np.round(4.0 * rng.standard_normal(shape)) / 4.0, np.float32)


def assert_torchs_gradient(case: Case) -> None:
    """The graph's gradient of randomly weighted outputs by each input is torch's."""
    text, function, shapes = case
    inputs, expected = torchs_gradients(function, shapes)

    assert_alike(evaluate(gradients(text, shapes, inputs["weights"].shape), inputs), expected)


def assert_alike(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Each array is as expected, up to rounding."""
    for each, exact in zip(found, expected, strict=True):
        assert each.shape == exact.shape
        assert np.linalg.norm(each - exact) <= TOLERANCE * np.linalg.norm(exact)


def squared_gradient(case: Case) -> Case:
    """The squares of the gradient, by a, of the cubes of what a case computes."""
    text, function, shapes = case
    inner = text.replace("y = ", "inner = ")

    def squares(a: Tensor, *others: Tensor) -> Tensor:
        (found,) = torch.autograd.grad((function(a, *others) ** 3).sum(), a, create_graph=True)
        return found.square()

    outer = "cubes = Pow (inner, [3.0]) slope = gen_export.InputGradient (a, cubes) y = Mul (slope, slope)"
    return f"{inner} {outer}", squares, shapes


def operators(cases: Iterable[Case]) -> set[str]:
    """The operators in these cases."""
    return {name for text, _, _ in cases for name in re.findall(r"= (\w+) [<(]", text)}
