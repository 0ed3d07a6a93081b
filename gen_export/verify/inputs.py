"""Seeded random inputs of a graph, within the ranges that its ports declare."""

from collections.abc import Sequence

import numpy as np

from gen_runtime.ports import Port


def random_inputs(ports: Sequence[Port], batch: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Clipped normal numbers, uniform whole numbers and fair coins; defaults as they are; free axes of this extent."""
    return {port.name: _random(port, batch, rng) for port in ports}


def _random(port: Port, batch: int, rng: np.random.Generator) -> np.ndarray:
    shape = [batch if isinstance(extent, str) else extent for extent in port.shape]
    if port.default is not None:
        value = np.full(shape, port.default)
    elif port.dtype == "bool":
        value = rng.random(shape) < 0.5
    elif port.dtype == "int64":
        value = rng.integers(int(port.minimum or 0), int(port.maximum or 0), shape, endpoint=True)
    else:
        low = -np.inf if port.minimum is None else port.minimum
        value = rng.standard_normal(shape).clip(low, np.inf if port.maximum is None else port.maximum)
    return np.asarray(value, port.dtype)
