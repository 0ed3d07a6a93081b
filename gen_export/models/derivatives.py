"""What losses say of their own derivatives: torch's exporter drops a detach, and does not know a gradient.

In training these are torch's. While losses become a graph they are operators of their own, in the domain `gen_export`,
which stand in it until the graph of the gradient is made.
"""

import torch
from torch import Tensor

DOMAIN = "gen_export"
STOP, INPUT_GRADIENT = "StopGradient", "InputGradient"


def stop_gradient(x: Tensor) -> Tensor:
    """The values of x (any shape), constant to whoever derives by what they are made of."""
    return _operator(STOP, x) if torch.compiler.is_exporting() else x.detach()


def input_gradient(y: Tensor, x: Tensor) -> Tensor:
    """The gradient of the sum of y by x, of the shape of x; it can be derived again."""
    if torch.compiler.is_exporting():
        return _operator(INPUT_GRADIENT, x, y)
    (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    return gradient


def _operator(name: str, x: Tensor, *more: Tensor) -> Tensor:
    """An operator of ours in the graph, whose result is like x."""
    return torch.onnx.ops.symbolic(f"{DOMAIN}::{name}", (x, *more), dtype=x.dtype, shape=x.shape, version=1)
