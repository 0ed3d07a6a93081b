"""Nodes of a graph being recorded, as the rules of differentiation read them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from gen_export.errors import ExportError
from gen_export.export.graph_arrays import GraphArray, emit

Extent = int | str | None


def real(value: ir.Value) -> GraphArray:
    """A value that an operator with a derivative takes or gives; torch's exporter does not know all types."""
    value.type = value.type or ir.TensorType(ir.DataType.FLOAT)
    return GraphArray(value)


def extents(x: GraphArray) -> list[Extent]:
    """The extents of an array: numbers, or names of those that are known only when the graph runs.

    Raises:
        ExportError: Not even their number is known.
    """
    if x.value.shape is None:
        raise ExportError(f"{x.value.name}: expected a value of known rank, found none")
    return [extent if isinstance(extent, int) else str(extent) for extent in x.value.shape]


def known(value: ir.Value) -> np.ndarray:
    """The numbers of a value that is the same in every run: an initializer, or what a few operators make of one.

    Raises:
        ExportError: It depends on the graph's inputs, or comes from another operator.
    """
    if value.const_value is not None:
        return value.const_value.numpy()
    node = value.producer()
    if node is not None and node.op_type == "Constant":
        (attribute,) = node.attributes.values()
        return attribute.value.numpy() if attribute.type == ir.AttributeType.TENSOR else np.asarray(attribute.value)
    if node is not None and node.op_type in ("Cast", "Reshape", "Identity", "Unsqueeze"):
        assert node.inputs[0] is not None
        return known(node.inputs[0]).reshape(-1)
    raise ExportError(
        f"{value.name}: expected a constant, found {f'a result of {node.op_type}' if node else 'an input'}"
    )


def plane_mean(x: GraphArray) -> GraphArray:
    """Mean over all axes from 2 on, however many there are; they stay, of extent 1."""
    return emit("GlobalAveragePool", x)


@dataclass(frozen=True, slots=True)
class Applied:
    """A node in the graph being recorded.

    Attributes:
        node: The node.
    """

    node: ir.Node

    @property
    def output(self) -> GraphArray:
        """What it computes."""
        return real(self.node.outputs[0])

    def value(self, at: int) -> ir.Value:
        """An input that it must have."""
        value = self.node.inputs[at]
        assert value is not None, f"{self.node.op_type} without its input {at}"
        return value

    def input(self, at: int) -> GraphArray:
        """An input of real numbers."""
        return real(self.value(at))

    def choice(self, at: int) -> GraphArray:
        """An input of whole numbers or truths, by which it chooses."""
        return GraphArray(self.value(at))

    def has(self, at: int) -> bool:
        """Whether it has an input."""
        return len(self.node.inputs) > at and self.node.inputs[at] is not None

    def constant(self, at: int) -> list[int]:
        """The whole numbers of an input that is the same in every run."""
        return [int(number) for number in known(self.value(at)).reshape(-1)]

    def integers(self, name: str, default: Sequence[int]) -> list[int]:
        """An attribute of whole numbers."""
        return list(self.node.attributes.get_ints(name, list(default)))

    def integer(self, name: str, default: int) -> int:
        """An attribute that is a whole number."""
        return self.node.attributes.get_int(name, default)

    def require(self, condition: bool, expected: str) -> None:
        """Refuses a form of the operator that its rule does not know.

        Raises:
            ExportError: The condition does not hold.
        """
        if not condition:
            raise ExportError(f"derivative of {self.node.op_type}: expected {expected}, found another form of it")
