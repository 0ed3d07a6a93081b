"""A network of features small enough to know: the mean of each channel."""

from pathlib import Path

import onnx
from onnx import parser

MEANS = """
<ir_version: 10, opset_import: ["": 18]>
means (float[n, 3, h, w] x) => (float[n, 3, one, one] y) { y = GlobalAveragePool(x) }
"""


def write_network(folder: Path, source: str = MEANS) -> Path:
    """The network's file."""
    path = folder / "network.onnx"
    onnx.save(parser.parse_model(source), path)
    return path
