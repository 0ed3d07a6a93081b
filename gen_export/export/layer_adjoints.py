"""Rules of reverse-mode differentiation: products of matrices, convolutions, normalisations and softmax.

Rules as in `adjoints`. The gradient of a kernel is a product of matrices for each of its taps: ONNX has no operator for
it, and of its forms that of one product a tap is the fastest in ONNX Runtime.
"""

from collections.abc import Callable, Sequence

import numpy as np

from gen_export.export.adjoints import Pulled, Rule, Shares, as_large, gathered, total
from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, emit
from gen_export.export.nodes import extents, plane_mean

Mean = Callable[[GraphArray], GraphArray]
REPEATING = {("nearest", "half_pixel", "round_prefer_floor"), ("nearest", "asymmetric", "floor")}
"""Ways to resize an image that repeat its pixels where it grows a whole number of times."""


def _matmul(a: Pulled) -> Shares:
    """Of x y: g y^T and x^T g."""
    x, y, g = a.input(0), a.input(1), a.cotangent
    a.require(min(len(extents(x)), len(extents(y))) >= 2, "matrices")
    shares = emit("MatMul", g, _transposed(y)), emit("MatMul", _transposed(x), g)
    return [gathered(share, a.input(at), a.output, matrices=True) for at, share in enumerate(shares)]


def _transposed(x: GraphArray) -> GraphArray:
    """The last two axes exchanged."""
    *batch, rows, columns = range(len(extents(x)))
    return xp.permute_dims(x, [*batch, columns, rows])


def _gemm(a: Pulled) -> Shares:
    """Of x W + b, where either matrix may stand transposed."""
    scaled = any(a.node.attributes.get_float(name, 1.0) != 1.0 for name in ("alpha", "beta"))
    across_x, across_w = a.integer("transA", 0), a.integer("transB", 0)
    a.require(not scaled, "alpha = beta = 1")
    x, w, g = a.input(0), a.input(1), a.cotangent
    first = emit("Gemm", w, g, transA=across_w, transB=1) if across_x else emit("Gemm", g, w, transB=1 - across_w)
    second = emit("Gemm", g, x, transA=1, transB=across_x) if across_w else emit("Gemm", x, g, transA=1 - across_x)
    return [first, second, *([gathered(g, a.input(2), a.output)] if a.has(2) else [])]


def _conv(a: Pulled) -> Shares:
    """Of a convolution in the plane: the transposed one, and the kernel's gradient."""
    x, w, g = a.input(0), a.input(1), a.cotangent
    strides, pads, kernel = _plane(a, w)
    sizes, outer = extents(x)[2:], extents(a.output)[2:]
    rest = [
        size - ((out - 1) * stride - before - after + tap)  # pyright: ignore[reportOperatorIssue]
        for size, out, stride, before, after, tap in zip(sizes, outer, strides, pads[:2], pads[2:], kernel, strict=True)
    ]
    back = emit("ConvTranspose", g, w, strides=strides, pads=pads, output_padding=rest)
    return [back, _kernel_gradient(g, x, kernel, strides, pads, outer), total(g, [0, 2, 3])][: len(a.node.inputs)]


def _conv_transpose(a: Pulled) -> Shares:
    """Of a transposed convolution: the convolution, and the kernel's gradient with the two images exchanged."""
    x, w, g = a.input(0), a.input(1), a.cotangent
    strides, pads, kernel = _plane(a, w)
    back = emit("Conv", g, w, strides=strides, pads=pads)
    grad = _kernel_gradient(x, g, kernel, strides, pads, extents(x)[2:])
    return [back, grad, total(g, [0, 2, 3])][: len(a.node.inputs)]


def _plane(a: Pulled, w: GraphArray) -> tuple[list[int], list[int], list[int]]:
    """Strides, pads and the kernel's extents of a convolution, whose form is known."""
    sizes = [*extents(a.input(0))[2:], *extents(w)[2:], *extents(a.output)[2:]]
    a.require(len(sizes) == 6 and all(isinstance(size, int) for size in sizes), "two axes of known extents")
    a.require(a.integer("group", 1) == 1 and set(a.integers("dilations", (1, 1))) == {1}, "one group, no dilation")
    own = a.node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET" and "output_shape" not in a.node.attributes
    a.require(own, "its own pads")
    kernel = [int(size) for size in extents(w)[2:] if isinstance(size, int)]
    return a.integers("strides", (1, 1)), a.integers("pads", (0, 0, 0, 0)), kernel


def _kernel_gradient(
    g: GraphArray, x: GraphArray, kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int], outer: Sequence
) -> GraphArray:
    """The gradient (out, in, kh, kw) of a kernel: for each tap, g times what the tap saw, summed over the images.

    Args:
        g: Cotangent of what the convolution gives, (B, out, h, w).
        x: What it takes, (B, in, H, W).
        kernel: kh and kw.
        strides: Along H and W.
        pads: Before H and W, then after them.
        outer: h and w.
    """
    margins = constant([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64)
    padded, flat = emit("Pad", x, margins) if any(pads) else x, emit("Reshape", g, constant([0, 0, -1], np.int64))
    axes, stride = constant([2, 3], np.int64), constant(list(strides), np.int64)
    taps = []
    for start in np.ndindex(*kernel):
        ends = [at + (size - 1) * by + 1 for at, size, by in zip(start, outer, strides, strict=True)]
        seen = emit("Slice", padded, constant(start, np.int64), constant(ends, np.int64), axes, stride)
        seen = emit("Reshape", seen, constant([0, 0, -1], np.int64))
        taps.append(total(emit("MatMul", flat, xp.permute_dims(seen, [0, 2, 1])), [0]))
    stacked = emit("Concat", *(emit("Unsqueeze", tap, constant([2], np.int64)) for tap in taps), axis=2)
    return emit("Reshape", stacked, constant([0, 0, *kernel], np.int64))


def _resize(a: Pulled) -> Shares:
    """Of pixels repeated a whole number of times: the sum over the copies."""
    sizes, outer = extents(a.input(0)), extents(a.output)
    modes = {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
    how = tuple(a.node.attributes.get_string(name, usual) for name, usual in modes.items())
    a.require(how in REPEATING and len(sizes) == 4 and sizes[1] == outer[1], "repeated pixels")
    pairs = list(zip(sizes[2:], outer[2:], strict=True))
    whole = all(isinstance(size, int) and isinstance(out, int) and out % size == 0 for size, out in pairs)
    a.require(whole, "a whole number of times")
    split = [extent for size, out in pairs for extent in (size, out // size)]  # pyright: ignore[reportOperatorIssue]
    return [total(emit("Reshape", a.cotangent, constant([0, 0, *split], np.int64)), [3, 5])]


def _depth_to_space(a: Pulled) -> Shares:
    """Its inverse."""
    block, (_, channels, height, width) = a.integer("blocksize", 1), extents(a.output)
    a.require(a.node.attributes.get_string("mode", "DCR") == "CRD", "channels before their pixels")
    rows, columns = height // block, width // block  # pyright: ignore[reportOperatorIssue]
    split = emit("Reshape", a.cotangent, constant([0, channels, rows, block, columns, block], np.int64))
    return [emit("Reshape", xp.permute_dims(split, [0, 1, 3, 5, 2, 4]), constant([0, -1, rows, columns], np.int64))]


def _softmax(a: Pulled) -> Shares:
    """Of s = softmax x: s g - s sum s g."""
    weighted = a.cotangent * a.output
    axis = a.integer("axis", -1)
    return [weighted - a.output * total(weighted, [axis], keepdims=True)]


def _normalized(x: GraphArray, g: GraphArray, epsilon: float, mean: Mean) -> tuple[GraphArray, GraphArray]:
    """The cotangent of x, of that of y = (x - mean x) / sd, which is (g - mean g - y mean y g) / sd; and y."""
    centred = x - mean(x)
    inverse = 1.0 / emit("Sqrt", mean(centred * centred) + epsilon)
    y = centred * inverse
    return (g - mean(g) - y * mean(y * g)) * inverse, y


def _instance_norm(a: Pulled) -> Shares:
    """Over all axes from 2 on; its scale and shift do not move, as in the group norm made of it."""
    channels = emit("Shape", plane_mean(a.cotangent), dtype=np.int64, start=1)
    scaled = a.cotangent * emit("Reshape", a.input(1), channels)
    return [_normalized(a.input(0), scaled, a.node.attributes.get_float("epsilon", 1e-5), plane_mean)[0]]


def _layer_norm(a: Pulled) -> Shares:
    """Over the last axis, with its scale and shift."""
    last = len(extents(a.input(0))) - 1
    a.require(a.integer("axis", -1) in (-1, last), "its last axis")

    def mean(x: GraphArray) -> GraphArray:
        return emit("ReduceMean", x, constant([-1], np.int64))

    g, epsilon = a.cotangent, a.node.attributes.get_float("epsilon", 1e-5)
    share, y = _normalized(a.input(0), g * a.input(1), epsilon, mean)
    return [share, total(g * y, range(last)), total(g, range(last))][: len(a.node.inputs)]


def _cross_entropy(a: Pulled) -> Shares:
    """Of -log softmax(x)[label] over axis 1, a number a label or their mean: (softmax x - 1 at the label) g."""
    reduction = a.node.attributes.get_string("reduction", "mean")
    a.require(reduction in ("none", "mean") and not a.has(2), "a number for each label, or their mean")
    x, labels = a.input(0), a.choice(1)
    classes = extents(x)[1]
    a.require(isinstance(classes, int), "a known number of classes")
    hot = emit("OneHot", labels, constant([classes], np.int64), constant([0.0, 1.0], x.dtype), dtype=x.dtype, axis=1)
    apart = emit("Softmax", x, axis=1) - hot
    if reduction == "mean":
        return [apart * (a.cotangent / xp.astype(emit("Size", labels, dtype=np.int64), x.dtype))]
    return [apart * emit("Unsqueeze", a.cotangent, constant([1], np.int64))]


def _averaged(a: Pulled) -> Shares:
    """Of a mean over all axes from 2 on."""
    sizes = extents(a.input(0))[2:]
    a.require(all(isinstance(size, int) for size in sizes), "axes of known extents")
    return [as_large(a.cotangent * (1.0 / float(np.prod(sizes))), a.input(0))]  # pyright: ignore


LAYERS: dict[str, Rule] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Resize": _resize,
    "DepthToSpace": _depth_to_space,
    "Softmax": _softmax,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "SoftmaxCrossEntropyLoss": _cross_entropy,
    "GlobalAveragePool": _averaged,
}
