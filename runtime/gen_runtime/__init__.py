"""Run files that gen-export wrote, with NumPy and ONNX Runtime alone.

from gen_runtime import grid, load, save_png

model = load("diffusion.onnx")
save_png("out.png", grid(model.sample(count=16, seed=7, steps=50)))
"""

from gen_runtime.card import Card
from gen_runtime.errors import (
    DeviceError,
    FileError,
    GenRuntimeError,
    GraphError,
    PortError,
    RuntimeConflictWarning,
)
from gen_runtime.graph import Graph
from gen_runtime.images import grid, save_png, save_ppm
from gen_runtime.model import Model, load
from gen_runtime.packages import installed_runtimes
from gen_runtime.ports import Port
from gen_runtime.trainer import Trainer

__all__ = [
    "Card",
    "DeviceError",
    "FileError",
    "GenRuntimeError",
    "Graph",
    "GraphError",
    "Model",
    "Port",
    "PortError",
    "RuntimeConflictWarning",
    "Trainer",
    "grid",
    "installed_runtimes",
    "load",
    "save_png",
    "save_ppm",
]
