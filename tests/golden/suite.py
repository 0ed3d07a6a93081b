"""The rules of golden.json: how its values are written, and when a host's answer is the expected one."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gen_export.spec.noise import splitmix64

FOLDER = Path(__file__).parents[2] / "models_onnx" / "golden"
EXACT_IN_JSON = 2**53
"""Up to here every JSON reader keeps whole numbers; larger ones are written as text."""

Value = dict[str, Any]


def array(dtype: str, shape: Sequence[int], *values: Any) -> Value:
    """Numbers of a dtype in row-major order."""
    return {"dtype": dtype, "shape": list(shape), "values": [_written(value) for value in values]}


def whole(value: int) -> Value:
    """An int64 scalar."""
    return array("int64", (), value)


def real(value: float) -> Value:
    """A float64 scalar, what most languages take a number with a point for."""
    return array("float64", (), value)


def choice(name: str) -> Value:
    """The name of a choice."""
    return {"choice": name}


def drawn(dtype: str, shape: Sequence[int], seed: int, low: int, high: int) -> Value:
    """Numbers between two whole ones that every language draws alike, both included where the dtype is whole.

    u_i = floor(splitmix64(seed + i) / 2^40) / 2^24, and value i = low + (high - low) u_i, or of a whole dtype
    low + floor((high - low + 1) u_i). All of it is exact in float64 and rounds once, to the dtype.
    """
    return {"dtype": dtype, "shape": list(shape), "seed": seed, "low": low, "high": high}


def written(values: np.ndarray) -> Value:
    """An array as the suite writes it: floats in the fewest digits that give them back."""
    return array(values.dtype.name, values.shape, *values.ravel())


def read(value: Value) -> Any:
    """What the suite wrote: an array, or the name of a choice."""
    if "choice" in value:
        return value["choice"]
    values = _draw(value) if "seed" in value else [_number(v, value["dtype"]) for v in value["values"]]
    return np.array(values, value["dtype"]).reshape(value["shape"])


def require_equal(found: np.ndarray, expected: np.ndarray, tolerance: float | None) -> None:
    """Refuses another dtype, shape or value; floats may be `tolerance` max(1, |expected|) apart."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
    else:
        wide = expected.astype(np.float64)
        apart = np.abs(found - wide) / np.maximum(1.0, np.abs(wide))
        assert apart.max() <= (tolerance or 0.0), f"{apart.max():.2g} apart, at most {tolerance}"


def load_suite() -> Mapping[str, Any]:
    """golden.json."""
    return json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))


def _draw(value: Value) -> np.ndarray:
    """The numbers of `drawn`, float64."""
    size = int(np.prod(value["shape"]))
    words = splitmix64(np.uint64(value["seed"]) + np.arange(size, dtype=np.uint64))
    u = (words >> np.uint64(40)) / 2.0**24
    low, high = value["low"], value["high"]
    return low + (high - low) * u if value["dtype"].startswith("float") else low + np.floor((high - low + 1) * u)


def _written(value: Any) -> int | float | str | bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value) if abs(int(value)) <= EXACT_IN_JSON else str(value)
    return float(str(value))


def _number(value: Any, dtype: str) -> Any:
    """A number, from text where it is a large whole one."""
    return int(value) if isinstance(value, str) and dtype.startswith(("int", "uint")) else value
