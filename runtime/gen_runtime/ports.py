"""Ports: the named, typed, bounded inputs and outputs of one ONNX graph."""

import sys
from dataclasses import asdict, dataclass
from typing import Any

DTYPES = ("bool", "uint8", "int32", "int64", "float32", "float64")


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output.

    Attributes:
        name: The ONNX value's name.
        dtype: NumPy's name of the element type: `float32`, `int64`, `uint8`.
        shape: One entry an axis: a number, or the name of a free axis shared by all ports of the graph.
            A free axis that has the name of a scalar integer input has that input's value as its size.
        description: What it is, with its unit, in one phrase.
        minimum: Least allowed value, inclusive; None where there is none.
        maximum: Greatest allowed value, inclusive; None where there is none.
        default: The value used when the caller leaves it out; None where there is none.
        optional: The caller may leave it out: it has an initializer in the file.
        choices: Names of the values 0, 1, ..; a caller may give the name.

    Raises:
        ValueError: A field has a value that no port can have.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    default: float | None = None
    optional: bool = False
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise ValueError(f"a port's name must be an identifier, found {self.name!r}")
        if self.dtype not in DTYPES:
            raise ValueError(f"port {self.name}: dtype must be one of {', '.join(DTYPES)}, found {self.dtype!r}")
        if not all(_is_axis(axis) for axis in self.shape):
            raise ValueError(f"port {self.name}: shape must hold sizes and names, found {list(self.shape)}")
        for field in ("minimum", "maximum", "default"):
            if not _is_bound(getattr(self, field)):
                raise ValueError(
                    f"port {self.name}: {field} must be a finite number, found {getattr(self, field)!r:.40}"
                )
        if not (isinstance(self.description, str) and isinstance(self.optional, bool)):
            raise ValueError(f"port {self.name}: description must be text and optional true or false")
        if not all(isinstance(name, str) and name.isidentifier() for name in self.choices):
            raise ValueError(f"port {self.name}: choices must be names, found {list(self.choices)!r:.80}")

    def to_json(self) -> dict[str, Any]:
        """The port as the metadata document holds it."""
        return {**asdict(self), "shape": list(self.shape), "choices": list(self.choices)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Port":
        """The port that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: The fields are not those of a port.
        """
        return cls(**{**fields, "shape": tuple(fields["shape"]), "choices": tuple(fields.get("choices", ()))})


def _is_axis(axis: object) -> bool:
    """Whether it is a positive size or the name of a free axis."""
    return axis.isidentifier() if isinstance(axis, str) else type(axis) is int and axis > 0


def _is_bound(value: object) -> bool:
    """Whether it is None or a number that float64 holds."""
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
