"""The noise of a training step as the graph draws it: from the seed, the number of the step and the image's row."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import onnx_ir as ir
import torch

from gen_export.errors import ExportError
from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, emit
from gen_export.models.draws import Drawn
from gen_export.spec.noise import Law, drawn, sample_keys
from gen_runtime.ports import Port


def law_of(asked: Drawn) -> Law:
    """The law of numbers that losses draw.

    Raises:
        ExportError: It is none that a graph can draw.
    """
    draw = asked.draw
    if isinstance(draw, partial) and draw.func is torch.randint:
        return Law("integer", *draw.args)
    names = {torch.randn: "normal", torch.rand: "uniform"}
    if draw not in names:
        raise ExportError(f"noise: expected torch.randn, torch.rand or torch.randint, found {draw}")
    return Law(names[draw])


def draw_port(number: int, asked: Drawn) -> Port:
    """The input of a traced loss by which it is given what it would draw."""
    dtype = "int64" if law_of(asked).name == "integer" else "float32"
    return Port(f"draw_{number}", dtype, ("batch", *asked.shape) if asked.rows else asked.shape)


def draw_all(asked: Sequence[Drawn], seed: GraphArray, first: GraphArray, images: GraphArray) -> list[GraphArray]:
    """What losses draw in a step, recorded.

    Args:
        asked: Which numbers, in order.
        seed: int64 ().
        first: The number of the first draw of this step, int64 (); the others follow it.
        images: The batch, whose rows have noise of their own.
    """
    bits = xp.astype(xp.reshape(seed, (1,)), np.uint64)
    rows = emit("Shape", images, dtype=np.int64, start=0, end=1)
    results = []
    for number, numbers in enumerate(asked):
        count, *shape = (xp.reshape(rows, ()), *numbers.shape) if numbers.rows else numbers.shape
        keys = sample_keys(bits, xp.astype(xp.arange(count), np.uint64))
        draw = xp.astype(xp.reshape(first + number, (1,)), np.uint64)
        flat = drawn(law_of(numbers), keys, draw, int(np.prod(shape)))
        results.append(emit("Reshape", flat, constant([-1, *shape], np.int64)))
        results[-1].value.shape = ir.Shape(draw_port(number, numbers).shape)
    return results
