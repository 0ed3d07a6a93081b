"""The operators that are affine in their image or matrix: convolution and products with matrices."""

from collections.abc import Callable

import numpy as np

from gen_export.verify.lipschitz.outward import Array, Attributes


def _conv(attributes: Attributes, image: Array, kernel: Array, bias: Array | None = None) -> Array:
    pads, strides = convolution(attributes, kernel)
    result = correlate(pad(image, pads), kernel, strides)
    return result if bias is None else result + bias[:, None, None]


def convolution(attributes: Attributes, kernel: Array) -> tuple[tuple[int, ...], tuple[int, int]]:
    """The pads (top, left, bottom, right) and strides of a plain 2-D convolution.

    Raises:
        ValueError: It is grouped, dilated, padded by itself or of other dimensions.
    """
    plain = attributes.get("auto_pad", "NOTSET") == "NOTSET" and attributes.get("group", 1) == 1
    pads, strides = attributes.get("pads", [0] * 4), attributes.get("strides", [1, 1])
    steps = min(pads) >= 0 and min(strides) >= 1 and not {*attributes.get("dilations", [])} - {1}
    if not plain or not steps or kernel.ndim != 4:
        raise ValueError("only 2-D convolutions without groups, dilations and auto_pad are read")
    return tuple(pads), (strides[0], strides[1])


def pad(image: Array, pads: tuple[int, ...]) -> Array:
    """An image (batch, channels, height, width) with zeros (top, left, bottom, right)."""
    top, left, bottom, right = pads
    return np.pad(image, ((0, 0), (0, 0), (top, bottom), (left, right)))


def correlate(image: Array, kernel: Array, strides: tuple[int, int]) -> Array:
    """The valid correlation of an image (batch, in, H, W) with a kernel (out, in, kh, kw)."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape[2:], axis=(2, 3))
    taken = windows[:, :, :: strides[0], :: strides[1]]
    return np.tensordot(taken, kernel, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)


def transposed(
    result: Array, kernel: Array, shape: tuple[int, ...], pads: tuple[int, ...], strides: tuple[int, int]
) -> Array:
    """The transpose of padding an image of a shape and correlating it, applied to what that results in."""
    (top, left, bottom, right), (down, across) = pads, strides
    height, width = shape[2] + top + bottom, shape[3] + left + right
    kh, kw = kernel.shape[2:]
    spread = np.zeros((*result.shape[:2], height + kh - 1, width + kw - 1))
    spread[:, :, kh - 1 : height : down, kw - 1 : width : across] = result
    image = correlate(spread, kernel[:, :, ::-1, ::-1].swapaxes(0, 1), (1, 1))
    return image[:, :, top : top + shape[2], left : left + shape[3]]


def _gemm(attributes: Attributes, a: Array, b: Array, c: Array | None = None) -> Array:
    left, right = a.T if attributes.get("transA", 0) else a, gemm_matrix(attributes, b)
    return left @ right if c is None else left @ right + attributes.get("beta", 1.0) * c


def gemm_matrix(attributes: Attributes, b: Array) -> Array:
    """The matrix alpha B, or its transpose, by which Gemm multiplies from the right."""
    return attributes.get("alpha", 1.0) * (b.T if attributes.get("transB", 0) else b)


def _matmul(attributes: Attributes, a: Array, b: Array) -> Array:
    return a @ b


WEIGHTED: dict[str, Callable[..., Array]] = {"Conv": _conv, "Gemm": _gemm, "MatMul": _matmul}
