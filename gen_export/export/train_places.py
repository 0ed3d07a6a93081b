"""Where the files of a model hold the weights that a step of training moves, so that a host can write them anew.

A host needs no reader of ONNX for that: a place is an offset in a file, and how much of which vector belongs there.
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from gen_export.export.train_turns import Vector
from gen_export.verify.onnx_file import OnnxFile

Place = list[int]
"""Offset of the first byte, index of the first number in the vector, count of numbers: float32, little-endian."""


def places(path: Path, vector: Vector) -> list[Place]:
    """Where a file holds the tensors of a vector, which its initializers are named after."""
    file = OnnxFile.read(path)
    base = _address(np.frombuffer(file.data, np.uint8))
    starts = dict(zip(vector.shapes, accumulate(vector.sizes, initial=0), strict=False))
    return [
        [_address(array) - base, starts[name], array.size]
        for name, array in _named(file)
        if name in starts and array.shape == vector.shapes[name]
    ]


def _named(file: OnnxFile) -> Iterator[tuple[str, np.ndarray]]:
    """The float32 initializers of all graphs in a file, by the names of what they were in the model."""
    for graph in file.graphs():
        for name, array in graph.initializers.items():
            if array.dtype == np.float32:
                yield name.rsplit("/", 1)[-1].removeprefix("family."), array


def _address(array: np.ndarray) -> int:
    """Where an array begins in memory."""
    return array.ctypes.data


def section(files: Mapping[str, Path], weights: Vector, buffers: Vector) -> dict[str, Any]:
    """The parts of the section `state` of a training step's metadata that say what the vectors hold, and where.

    Args:
        files: The model's files by the names of their graphs.
        weights: What is trained.
        buffers: What is learned without a gradient.
    """
    vectors = {"averages": weights, "buffers": buffers}
    found = {
        graph: {name: places(path, vector) for name, vector in vectors.items() if vector.size}
        for graph, path in files.items()
    }
    sizes = {name: {tensor: list(shape) for tensor, shape in vector.shapes.items()} for name, vector in vectors.items()}
    return {"tensors": sizes, "places": {graph: each for graph, each in found.items() if any(each.values())}}
