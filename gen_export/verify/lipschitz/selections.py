"""The operators that copy entries of their first input, chosen by the other ones and whatever the entries are."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gen_export.verify.lipschitz.outward import Array, Attributes
from gen_export.verify.onnx_graph import ELEMENTS


def _reshape(attributes: Attributes, data: Array, shape: Array) -> Array:
    keep = not attributes.get("allowzero", 0)
    return data.reshape([data.shape[i] if keep and size == 0 else size for i, size in enumerate(shape.tolist())])


def _transpose(attributes: Attributes, data: Array) -> Array:
    return data.transpose(attributes.get("perm"))


def _squeeze(attributes: Attributes, data: Array, axes: Array | None = None) -> Array:
    return data.squeeze() if axes is None else data.squeeze(tuple(axes.tolist()))


def _unsqueeze(attributes: Attributes, data: Array, axes: Array) -> Array:
    return np.expand_dims(data, tuple(axes.tolist()))


def _flatten(attributes: Attributes, data: Array) -> Array:
    axis = attributes.get("axis", 1)
    front = data.shape[:axis] if axis else ()
    return data.reshape(math.prod(front), -1)


def _identity(attributes: Attributes, data: Array) -> Array:
    return data


def _cast(attributes: Attributes, data: Array) -> Array:
    return _as_type(data, np.dtype(ELEMENTS[attributes["to"]]))


def _cast_like(attributes: Attributes, data: Array, like: Array) -> Array:
    return _as_type(data, like.dtype)


def _as_type(data: Array, dtype: np.dtype[Any]) -> Array:
    return data.astype(np.float64 if dtype.kind == "f" else dtype)


def _slice(attributes: Attributes, data: Array, starts: Array, ends: Array, *rest: Array | None) -> Array:
    axes, steps = (*rest, None, None)[:2]
    where = range(len(starts)) if axes is None else axes.tolist()
    strides = [1] * len(starts) if steps is None else steps.tolist()
    cuts = [slice(None)] * data.ndim
    for axis, start, end, step in zip(where, starts.tolist(), ends.tolist(), strides, strict=True):
        cuts[axis] = slice(start, end, step)
    return data[tuple(cuts)]


def _expand(attributes: Attributes, data: Array, shape: Array) -> Array:
    return np.broadcast_to(data, np.broadcast_shapes(data.shape, tuple(shape.tolist())))


def _gather(attributes: Attributes, data: Array, indices: Array) -> Array:
    return np.take(data, indices, axis=attributes.get("axis", 0))


def _depth_to_space(attributes: Attributes, data: Array) -> Array:
    size = attributes["blocksize"]
    batch, channels, height, width = data.shape
    if attributes.get("mode", "DCR") == "CRD":
        split = data.reshape(batch, -1, size, size, height, width).transpose(0, 1, 4, 2, 5, 3)
    else:
        split = data.reshape(batch, size, size, -1, height, width).transpose(0, 3, 4, 1, 5, 2)
    return split.reshape(batch, channels // size**2, height * size, width * size)


def _resize(
    attributes: Attributes, data: Array, roi: Array | None, scales: Array | None, sizes: Array | None = None
) -> Array:
    """Each pixel repeated, along every axis a whole number of times."""
    repeats = np.asarray(scales) if sizes is None else sizes / data.shape
    ways = [attributes.get(name, default) for name, default in RESIZE.items()]
    if ways not in _REPEATING or len(repeats) != data.ndim or np.any(repeats != np.maximum(np.round(repeats), 1)):
        raise ValueError("only nearest-neighbour upsampling by whole factors is read")
    for axis, count in enumerate(repeats.astype(int).tolist()):
        data = data.repeat(count, axis)
    return data


RESIZE = {
    "mode": "nearest",
    "coordinate_transformation_mode": "half_pixel",
    "nearest_mode": "round_prefer_floor",
    "keep_aspect_ratio_policy": "stretch",
}
"""The attributes that decide which pixel is nearest, and their defaults."""
_REPEATING = (
    ["nearest", "asymmetric", "floor", "stretch"],
    ["nearest", "half_pixel", "round_prefer_floor", "stretch"],
)
"""Those for which upsampling by a whole factor repeats pixels."""


SELECTIONS: dict[str, Callable[..., Array]] = {
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Flatten": _flatten,
    "Identity": _identity,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Slice": _slice,
    "Expand": _expand,
    "Gather": _gather,
    "DepthToSpace": _depth_to_space,
    "Resize": _resize,
}
