"""A declared graph of a family as an ONNX model: torch's exporter, then passes that keep every number."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxscript
import torch
from onnx_ir.passes import common as passes
from torch import Tensor, nn

from gen_export.models.derivatives import DOMAIN, STOP
from gen_export.models.family import Family, Graph
from gen_runtime.ports import Port

TRACED_BATCH = 2
op: Any = onnxscript.opset18
IR_VERSION = 10  # ONNX Runtime 1.31 reads up to 11, onnx 1.23 would write 14


class _Function(nn.Module):
    """One function of a family as the module that torch's exporter wants."""

    def __init__(self, family: Family, function: Callable[..., Tensor | tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.family, self.function = family, function

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The function's result."""
        return self.function(*inputs)


def trace(family: Family, graph: Graph, opset: int, training: bool = False) -> ir.Model:
    """The graph as an ONNX model whose inputs, outputs and inner values are named and shaped as its ports.

    Args:
        family: Whose it is.
        graph: What to trace.
        opset: ONNX opset.
        training: Whether the networks are those of training, and what losses say of their derivatives stays in.
    """
    module = _Function(family, graph.function).train(training)
    results = (*graph.outputs, *graph.inner)
    with _quiet():
        program = torch.onnx.export(
            module,
            examples(graph.inputs),
            dynamo=True,
            optimize=False,  # its rewriter drops small constants, `+ 1e-8` among them
            opset_version=opset,
            input_names=[port.name for port in graph.inputs],
            output_names=[port.name for port in results],
            dynamic_shapes={"inputs": tuple(_free_axes(port) for port in graph.inputs)},
            custom_translation_table=_TRANSLATIONS,
            verbose=False,
        )
    assert program is not None
    if not training:
        drop_stops(program.model)
    model = tidy(program.model)
    model.graph.name, model.ir_version = graph.name, IR_VERSION
    for value, port in zip((*model.graph.inputs, *model.graph.outputs), (*graph.inputs, *results), strict=True):
        value.name, value.shape = port.name, ir.Shape(port.shape)
        if port.default is not None:
            value.const_value = ir.tensor(np.asarray(port.default, port.dtype), name=port.name)
            model.graph.register_initializer(value)
    del model.graph.outputs[len(graph.outputs) :]  # inner values keep their names
    return model


def examples(ports: Sequence[Port]) -> tuple[Tensor, ...]:
    """An input of each port for tracing: zeros, or ones for integers; every free axis has an extent of its own."""
    free = dict.fromkeys(extent for port in ports for extent in port.shape if isinstance(extent, str))
    extents = {name: TRACED_BATCH + index for index, name in enumerate(free)}
    return tuple(_example(port, extents) for port in ports)


def _example(port: Port, extents: dict[str, int]) -> Tensor:
    shape = [extents[extent] if isinstance(extent, str) else extent for extent in port.shape]
    dtype = getattr(torch, port.dtype)
    return torch.zeros(shape, dtype=dtype) if dtype.is_floating_point else torch.ones(shape, dtype=dtype)


def _free_axes(port: Port) -> dict[int, object]:
    return {axis: torch.export.Dim(extent, min=1) for axis, extent in enumerate(port.shape) if isinstance(extent, str)}


def _group_norm(  # noqa: ANN202 - values of the graph being traced
    x: onnxscript.FLOAT,
    groups: int,
    weight: onnxscript.FLOAT,
    bias: onnxscript.FLOAT,
    eps: float = 1e-5,
    cudnn: bool = True,
):
    """Group normalisation in eight nodes at any opset; torch's own translation takes fifteen."""
    flat = op.Reshape(x, op.Constant(value_ints=[0, groups, -1]))
    ones, zeros = op.Constant(value_floats=[1.0] * groups), op.Constant(value_floats=[0.0] * groups)
    normal = op.Reshape(op.InstanceNormalization(flat, ones, zeros, epsilon=eps), op.Shape(x))
    axes = op.Constant(value_ints=[1, 2])
    return op.Add(op.Mul(normal, op.Unsqueeze(weight, axes)), op.Unsqueeze(bias, axes))


def _sort(x: onnxscript.FLOAT, stable: bool = True, dim: int = -1, descending: bool = False):  # noqa: ANN202
    """Equal numbers stay in their order: TopK puts the lower index first."""
    extent = op.Gather(op.Shape(x), op.Constant(value_ints=[dim]))
    return op.TopK(x, extent, axis=dim, largest=int(descending))


_TRANSLATIONS: dict[Any, Any] = {
    torch.ops.aten.group_norm.default: _group_norm,
    torch.ops.aten.sort.stable: _sort,
}


def infer_shapes(model: ir.Model) -> ir.Model:
    """The model with the shapes of all values that follow from those of its inputs and weights."""
    return passes.ShapeInferencePass()(model).model


def drop_stops(model: ir.Model) -> None:
    """Takes out what only says where a gradient stops."""
    for node in [node for node in model.graph if node.domain == DOMAIN and node.op_type == STOP]:
        assert node.inputs[0] is not None
        ir.convenience.replace_all_uses_with(node.outputs[0], node.inputs[0])
        model.graph.remove(node, safe=True)
    model.opset_imports.pop(DOMAIN, None)


def tidy(model: ir.Model) -> ir.Model:
    """Inline functions and drop what is not needed; no pass here changes a number."""
    for graph_pass in (
        passes.InlinePass(),
        passes.IdentityEliminationPass(),
        passes.CommonSubexpressionEliminationPass(),
        passes.RemoveUnusedNodesPass(),
        passes.RemoveUnusedFunctionsPass(),
        passes.RemoveUnusedOpsetsPass(),
        passes.ClearMetadataAndDocStringPass(),
    ):
        graph_pass(model)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what torch's exporter says about itself: missing torchvision, its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
