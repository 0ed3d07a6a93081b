"""A caller's values as the arrays that a graph's ports declare, or a refusal by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gen_runtime.errors import PortError
from gen_runtime.ports import Port

Array = npt.NDArray[Any]


def check_inputs(graph: str, ports: Sequence[Port], values: Mapping[str, Any]) -> dict[str, Array]:
    """Every given value as a C-contiguous array of its port's dtype, shape and range.

    Whole numbers go to integer ports and floats to float ports when nothing is lost but float64's extra
    digits; a single whole number also goes to a float port that holds it exactly.

    Raises:
        PortError: A name is unknown, a required input is missing, or a value is not what its port says.
    """
    known = {port.name: port for port in ports}
    for name in values:
        if name not in known:
            raise PortError(f"{graph} has no input {name!r}: it takes {', '.join(known) or 'none'}")
    missing = [port.name for port in ports if not port.optional and port.name not in values]
    if missing:
        raise PortError(f"{graph} needs {', '.join(missing)}")
    arrays = {name: _as_array(graph, known[name], value) for name, value in values.items()}
    free_axes(graph, ports, arrays)
    return arrays


def free_axes(graph: str, ports: Sequence[Port], arrays: Mapping[str, Array]) -> dict[str, int]:
    """The size of each free axis: from the arrays that have it, or a scalar integer input of its name.

    Raises:
        PortError: An array has another shape than its port, or two arrays disagree on a free axis.
    """
    given = [(port, arrays[port.name]) for port in ports if port.name in arrays]
    axes = {port.name: int(array) for port, array in given if array.ndim == 0 and array.dtype.kind == "i"}
    for port, array in given:
        if not fits(port, array.shape, axes):
            expected = shape_text(port, axes)
            raise PortError(f"{graph}: {port.name}: expected shape {expected}, found {list(array.shape)}")
    return axes


def fits(port: Port, shape: tuple[int, ...], axes: dict[str, int]) -> bool:
    """Whether a shape is the port's, with no empty axis; notes the free axes it is the first to have."""
    if len(shape) != len(port.shape) or 0 in shape:
        return False
    expected = (
        axes.setdefault(axis, n) if isinstance(axis, str) else axis for axis, n in zip(port.shape, shape, strict=True)
    )
    return tuple(expected) == shape


def shape_text(port: Port, axes: Mapping[str, int]) -> str:
    """The port's shape with the free axes' known sizes: `[batch=2, 1, 28, 28]`."""
    sizes = (f"{axis}={axes[axis]}" if isinstance(axis, str) and axis in axes else f"{axis}" for axis in port.shape)
    return f"[{', '.join(sizes)}]"


def _as_array(graph: str, port: Port, value: Any) -> Array:
    """The value as an array of the port's dtype, finite and within its range."""
    label = f"{graph}: {port.name}"
    if port.choices and isinstance(value, str):
        value = _number_of(label, port, value)
    try:
        array = np.asarray(value)
    except ValueError:
        raise PortError(f"{label}: expected {port.dtype}, found lists of unequal lengths") from None
    if not _keeps_value(array, np.dtype(port.dtype)):
        raise PortError(f"{label}: expected {port.dtype}, found {_found(array)}")
    if array.dtype != port.dtype or not array.flags.c_contiguous:
        with np.errstate(over="ignore"):  # a float64 too large for float32 becomes infinite, and is refused below
            array = np.asarray(array, port.dtype, order="C")
    _check_values(label, port, array)
    return array


def _number_of(label: str, port: Port, name: str) -> int:
    """The number of a choice."""
    if name not in port.choices:
        raise PortError(f"{label}: expected one of {', '.join(port.choices)}, found {name!r:.40}")
    return port.choices.index(name)


def _keeps_value(array: Array, target: np.dtype[Any]) -> bool:
    """Whether a cast to the target dtype keeps the values, up to float64's extra digits."""
    kind = array.dtype.kind
    if array.dtype == target or target.kind == "b":
        return array.dtype == target
    if target.kind == "f":
        whole = kind in "iu" and array.ndim == 0
        return kind == "f" or (whole and int(target.type(int(array))) == int(array))
    if kind not in "iu":
        return False
    bounds = np.iinfo(target)
    return array.size == 0 or (int(array.min()) >= bounds.min and int(array.max()) <= bounds.max)


def _check_values(label: str, port: Port, array: Array) -> None:
    """Refuses values that are not finite or outside the port's range."""
    if array.size == 0:
        return  # the shape check refuses it, and says so better
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise PortError(f"{label}: expected finite {port.dtype} values, found NaN or infinity")
    if port.minimum is not None and (least := array.min().item()) < port.minimum:
        raise PortError(f"{label}: expected at least {port.minimum:g}, found {least:g}")
    if port.maximum is not None and (greatest := array.max().item()) > port.maximum:
        raise PortError(f"{label}: expected at most {port.maximum:g}, found {greatest:g}")


def _found(array: Array) -> str:
    """A single value itself, or an array's dtype."""
    return f"{array.item()!r:.40}" if array.ndim == 0 else f"an array of {array.dtype}"
