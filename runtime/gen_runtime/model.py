"""A model: the file a user calls, and the parts beside it, opened when first called."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import index
from pathlib import Path
from typing import Any

import numpy as np

from gen_runtime.card import Card
from gen_runtime.errors import FileError, GraphError, PortError
from gen_runtime.graph import Graph, open_graph
from gen_runtime.images import Image
from gen_runtime.inputs import Array
from gen_runtime.session import Device, UsedDevice

_INT64_MAX = 2**63 - 1
LARGEST_RESULT = 2**33

Progress = Callable[[int, int], None]
"""Called with the images done and the images in all, after each batch."""


def load(path: str | os.PathLike[str], device: Device = "auto", threads: int | None = None) -> "Model":
    """Opens an exported file; its methods are the graphs that it declares.

    Args:
        path: `<name>.onnx`, or one of its parts `<name>.<graph>.onnx`.
        device: `cpu`; `cuda`, an NVIDIA GPU or an error; `auto`, CUDA where it really loads, else the CPU.
        threads: Threads that one operator may use on the CPU; ONNX Runtime's choice where None.

    Raises:
        FileError: The file is missing, broken, not one of ours, or too new.
        DeviceError: The device, or ONNX Runtime itself, is not there.
    """
    return Model(open_graph(Path(path), device, threads), threads)


def part_file(main: Path, name: str) -> Path:
    """The file of a part: `<name>.<graph>.onnx` beside `<name>.onnx`."""
    return main.with_name(f"{main.name.removesuffix('.onnx')}.{name}.onnx")


class Model:
    """Graphs by name: `model.encode(image)`, `model.denoise(x, t)`, and `model.sample(...)` in batches.

    A graph with one output returns the array, one with several a dict by name. All methods may be called
    from many threads at once.
    """

    def __init__(self, main: Graph, threads: int | None) -> None:
        self._main = main
        self._threads = threads
        self._lock = threading.Lock()
        self._opened = {main.card.graph: main}

    @property
    def path(self) -> Path:
        """The file that was loaded."""
        return self._main.path

    @property
    def card(self) -> Card:
        """What the file says of itself."""
        return self._main.card

    @property
    def device(self) -> UsedDevice:
        """Where it runs."""
        return self._main.device

    @property
    def graphs(self) -> tuple[str, ...]:
        """The names that can be called: the file's own graph, then its parts."""
        return (self.card.graph, *self.card.parts)

    def part_path(self, name: str) -> Path:
        """The file of a graph: the loaded one, or `<name>.<graph>.onnx` beside it.

        Raises:
            GraphError: The file declares no such graph.
        """
        if name not in self.graphs:
            raise GraphError(f"{self.path} has no graph {name!r}: it has {', '.join(self.graphs)}")
        if name == self.card.graph:
            return self.path
        return part_file(self.path, name)

    def graph(self, name: str) -> Graph:
        """The graph of this name, opened on the model's device when it is first asked for.

        Raises:
            GraphError: The file declares no such graph.
            FileError: The part's file is missing, broken, or holds another graph.
        """
        path = self.part_path(name)
        with self._lock:
            if name not in self._opened:
                self._opened[name] = self._open_part(name, path)
            return self._opened[name]

    def run(self, name: str, inputs: Mapping[str, Any]) -> Array | dict[str, Array]:
        """Runs a graph on inputs by name; returns its output, or a dict of several.

        Raises:
            GraphError: The file declares no such graph.
            FileError: The part's file is missing or broken.
            PortError: An input is missing, unknown, or not what its port says.
        """
        return self.graph(name).run(inputs)

    def sample(
        self,
        count: int = 1,
        seed: int = 0,
        first: int = 0,
        batch: int = 64,
        progress: Progress | None = None,
        **inputs: Any,
    ) -> Image:
        """Draws images, uint8 [count, H, W, C].

        Image `i` depends on `seed` and `first + i` alone, so neither `batch` nor `count` changes it.

        Args:
            count: How many, at least 1.
            seed: Any int64.
            first: The index of the first image in the seed's endless row of images.
            batch: Images a run of the graph: it bounds the memory.
            progress: Called after each batch.
            inputs: The file's further inputs: `steps`, `eta`.

        Raises:
            GraphError: The file declares no graph `sample`.
            FileError: What it declares draws no images.
            PortError: An input is unknown or not what its port says.
        """
        shape = self.card.image
        most = LARGEST_RESULT // (shape.height * shape.width * shape.channels)
        count = _positive("count", count)
        if count > most:
            raise PortError(f"sample: count: expected at most {most}, found {count}: draw more with stream")
        batches = []
        done = 0
        for images in self.stream(count, seed, first, batch, **inputs):
            batches.append(images)
            done += len(images)
            if progress is not None:
                progress(done, count)
        return np.concatenate(batches)

    def stream(
        self,
        count: int = 1,
        seed: int = 0,
        first: int = 0,
        batch: int = 64,
        **inputs: Any,
    ) -> Iterator[Image]:
        """Draws the images of `sample` batch by batch, uint8 [at most batch, H, W, C] each.

        The arguments are checked at the call, before the first batch is asked for.

        Raises:
            GraphError: The file declares no graph `sample`.
            FileError: What it declares draws no images.
            PortError: An input is unknown or not what its port says.
        """
        graph = self.graph("sample")
        _require_images(graph)
        count, batch = _positive("count", count), _positive("batch", batch)
        arrays = graph.check({"seed": seed, "count": min(count, batch), "first": first, **inputs})
        if int(arrays["first"]) + count > _INT64_MAX:
            raise PortError(f"sample: first + count: expected at most 2^63 - 1, found {first} + {count}")
        return _batches(graph, arrays, count, batch)

    def __getattr__(self, name: str) -> Callable[..., Array | dict[str, Array]]:
        if name.startswith("_"):  # never a graph's name, and asked for while a copy is not yet filled
            raise AttributeError(name)
        self.part_path(name)
        return partial(self._call, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.graphs})

    def __repr__(self) -> str:
        return f"<Model {str(self.path)!r} ({self.card.family}: {', '.join(self.graphs)}) on {self.device}>"

    def _call(self, name: str, *values: Any, **named: Any) -> Array | dict[str, Array]:
        return self.graph(name)(*values, **named)

    def _open_part(self, name: str, path: Path) -> Graph:
        """Opens a part and checks that it is the one meant."""
        if not path.is_file():
            raise FileError(f"{self.path} needs its part {name}: expected the file {path}")
        part = open_graph(path, self.device, self._threads)
        expected, found = (self.card.family, name), (part.card.family, part.card.graph)
        if found != expected:
            raise FileError(f"{path}: expected {' '.join(expected)}, found {' '.join(found)}")
        return part


def _require_images(sampler: Graph) -> None:
    """Refuses a sampler whose card declares anything else than images of its own size."""
    size, port = sampler.card.image, sampler.card.outputs[0]
    shape = ("count", size.height, size.width, size.channels)
    if (port.dtype, port.shape) != ("uint8", shape):
        expected, found = (f"[{', '.join(map(str, axes))}]" for axes in (shape, port.shape))
        raise FileError(f"{sampler.path}: expected images, uint8 {expected}, found {port.dtype} {found}")


def _positive(name: str, value: int) -> int:
    """The value as an int of at least 1."""
    try:
        number = index(value)
    except TypeError:
        raise PortError(f"sample: {name}: expected a whole number, found {value!r:.40}") from None
    if number < 1:
        raise PortError(f"sample: {name}: expected at least 1, found {number}")
    return number


def _batches(graph: Graph, arrays: Mapping[str, Array], count: int, batch: int) -> Iterator[Image]:
    """The images, batch by batch."""
    name = graph.card.outputs[0].name
    first = int(arrays["first"])
    for done in range(0, count, batch):
        size = min(batch, count - done)
        window = {"count": np.array(size, np.int64), "first": np.array(first + done, np.int64)}
        yield graph.execute({**arrays, **window})[name]
