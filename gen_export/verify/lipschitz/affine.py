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
    (rows, columns), (kh, kw) = result.shape[2:], kernel.shape[2:]
    parts = np.tensordot(result, kernel, (1, 0)).transpose(0, 3, 1, 2, 4, 5)
    padded = np.zeros((*shape[:2], shape[2] + top + bottom, shape[3] + left + right))
    for i, j in np.ndindex(kh, kw):
        padded[:, :, i : i + rows * down : down, j : j + columns * across : across] += parts[..., i, j]
    return padded[:, :, top : top + shape[2], left : left + shape[3]]


def _conv_transpose(attributes: Attributes, image: Array, kernel: Array, bias: Array | None = None) -> Array:
    pads, strides = convolution(attributes, kernel)
    if any(attributes.get("output_padding", ())):
        raise ValueError("only transposed convolutions without output padding are read")
    result = transposed(image, kernel, spread_shape(image, kernel, pads, strides), pads, strides)
    return result if bias is None else result + bias[:, None, None]


def spread_shape(
    image: Array, kernel: Array, pads: tuple[int, ...], strides: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The shape of an image (batch, out, h, w) under the transpose of a convolution with a kernel (out, in, kh, kw)."""
    (batch, _, height, width), (top, left, bottom, right) = image.shape, pads
    kh, kw = kernel.shape[2:]
    tall, wide = (height - 1) * strides[0] + kh, (width - 1) * strides[1] + kw
    return batch, kernel.shape[1], tall - top - bottom, wide - left - right


def _gemm(attributes: Attributes, a: Array, b: Array, c: Array | None = None) -> Array:
    left, right = a.T if attributes.get("transA", 0) else a, gemm_matrix(attributes, b)
    return left @ right if c is None else left @ right + attributes.get("beta", 1.0) * c


def gemm_matrix(attributes: Attributes, b: Array) -> Array:
    """The matrix alpha B, or its transpose, by which Gemm multiplies from the right."""
    return attributes.get("alpha", 1.0) * (b.T if attributes.get("transB", 0) else b)


def _matmul(attributes: Attributes, a: Array, b: Array) -> Array:
    return a @ b


WEIGHTED: dict[str, Callable[..., Array]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
}
