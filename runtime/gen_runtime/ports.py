"""Ports: the named, typed, bounded inputs and outputs of one ONNX graph."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output.

    Attributes:
        name: The ONNX value's name.
        dtype: NumPy's name of the element type: `float32`, `int64`, `uint8`.
        shape: One entry an axis: a number, or the name of a free axis shared by all ports of the graph.
        description: What it is, with its unit, in one phrase.
        minimum: Least allowed value, inclusive; None where there is none.
        maximum: Greatest allowed value, inclusive; None where there is none.
        default: The value used when the caller leaves it out; None where there is none.
        optional: The caller may leave it out: it has an initializer in the file.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    default: float | None = None
    optional: bool = False

    def to_json(self) -> dict[str, Any]:
        """The port as the metadata document holds it."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Port":
        """The port that `to_json` wrote."""
        return cls(**{**fields, "shape": tuple(fields["shape"])})
