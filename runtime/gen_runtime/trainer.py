"""Training steps of an exported model, by ONNX Runtime alone, and its files with the weights that came of them."""

import os
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from gen_runtime.card import Card
from gen_runtime.errors import FileError
from gen_runtime.files import atomic
from gen_runtime.graph import Graph, open_graph
from gen_runtime.inputs import Array
from gen_runtime.model import part_file

NEW = "new_"
"""What an output of the state is called, before the name of the input that it is for."""
RAW_DATA = 0x4A
"""The byte before a tensor's length and data in an ONNX file: field 9 of `TensorProto`, of bytes."""


class Trainer:
    """A model in training.

    Args:
        path: `<name>.onnx` or `<name>.train.onnx`, as `gen-export export --train-step` writes them.
        seed: Decides all noise, together with the number of the step.
        threads: Threads that one operator may use; ONNX Runtime's choice where None.

    Raises:
        FileError: A file is missing, broken, or not one of ours.
        DeviceError: ONNX Runtime is missing.
    """

    def __init__(self, path: str | os.PathLike[str], seed: int = 0, threads: int | None = None) -> None:
        given = Path(path)
        self.path = given.with_name(f"{given.name.removesuffix('.onnx').removesuffix('.train')}.onnx")
        self._step = _part(self.path, "train", threads)
        self._seed = seed
        start = _part(self.path, "start", threads).execute({})
        # From here on only ONNX Runtime's own values, handed on from step to step: none is copied, and no step writes
        # where it still reads.
        self._state = {name: self._step.held(value) for name, value in start.items()}

    @property
    def card(self) -> Card:
        """What the file of the step says of itself."""
        return self._step.card

    @property
    def steps(self) -> int:
        """How many were taken."""
        return int(self._state["step"].numpy())

    def step(self, images: Array, labels: Array | None = None, lr: float = 1e-4, **weights: float) -> dict[str, float]:
        """One step on a batch; the losses by name, and `grad_norm`.

        Args:
            images: uint8 (B, H, W, C) as `sample` gives them, or float32 (B, C, H, W) in [-1, 1].
            labels: Their classes, whole numbers (B,), of a model that knows classes.
            lr: Learning rate.
            weights: Of the terms of the loss, such as `beta`.

        Raises:
            PortError: An input is missing, unknown, or not what its port says.
            GenRuntimeError: ONNX Runtime failed.
        """
        batch = {"image": _planes(images), "seed": self._seed, "lr": lr, **weights}
        if labels is not None:
            batch["label"] = labels
        found = self._step.advance(batch, self._state)
        self._state = {name: found[NEW + name] for name in self._state}
        losses = [port.name for port in self.card.outputs if not port.name.startswith(NEW)]
        return {name: float(found[name].numpy()) for name in losses}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the state, from which `restore` goes on as if nothing had been.

        Raises:
            FileError: It cannot be written.
        """
        data = BytesIO()
        arrays: dict[str, Any] = {name: value.numpy() for name, value in self._state.items()}
        np.savez(data, **arrays)
        with atomic(path) as file:
            file.write(data.getbuffer())

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Goes on from a saved state of the same model.

        Raises:
            FileError: It cannot be read, or is of another model.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                saved = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, EOFError) as error:
            raise FileError(f"{path}: expected a saved state, found none that can be read: {error}") from error
        ports = {port.name: port for port in self.card.inputs if port.name in self._state}
        if saved.keys() != ports.keys():
            raise FileError(f"{path}: expected the state {', '.join(ports)}, found {', '.join(saved) or 'nothing'}")
        for name, port in ports.items():
            if (saved[name].shape, saved[name].dtype.name) != (port.shape, port.dtype):
                found = f"{saved[name].dtype} {list(saved[name].shape)}"
                raise FileError(f"{path}: {name}: expected {port.dtype} {list(port.shape)}, found {found}")
        self._state = {name: self._step.held(value) for name, value in saved.items()}

    def export(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Writes the model's files with the averaged weights of now into a folder; the main one last.

        What their cards say of the training, the parity and the checks is of the files as they were.

        Raises:
            FileError: A file of the model is missing or not as it was exported, or cannot be written.
        """
        try:
            sources = list(self._sources((self.card.state or {})["places"]))
            return [self._write(source, places, Path(folder)) for source, places in reversed(sources)][::-1]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileError(f"{self._step.path}: its card does not say where the weights are: {error}") from error

    def _sources(self, graphs: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """The files of the model, the main one first, and what belongs where in each."""
        for number, (graph, places) in enumerate(graphs.items()):
            if not graph.isidentifier():  # nothing else may become part of a file's name
                raise ValueError(f"{graph!r:.80} is no name of a graph")
            yield part_file(self.path, graph) if number else self.path, places

    def _write(self, source: Path, places: Mapping[str, list[list[int]]], folder: Path) -> Path:
        """Writes a file of the model anew; `places` say by the vector's name what of it belongs where."""
        try:
            data = bytearray(source.read_bytes())
        except OSError as error:
            raise FileError(f"{source}: cannot be read: {error.strerror or error}") from error
        for name, each in places.items():
            vector = self._state[name].numpy()
            for offset, first, count in each:
                _put(data, offset, vector[first : first + count], source)
        with atomic(folder / source.name) as file:
            file.write(data)
        return folder / source.name


def _part(main: Path, name: str, threads: int | None) -> Graph:
    """A graph of training beside a main file."""
    path = part_file(main, name)
    if not path.is_file():
        raise FileError(f"{path}: expected a file of training, found none: gen-export export --train-step writes it")
    return open_graph(path, "cpu", threads)


def _planes(images: Array) -> Array:
    """Images as the step takes them: bytes (B, H, W, C) become float32 (B, C, H, W) in [-1, 1]."""
    if images.dtype == np.uint8 and images.ndim == 4:
        return np.ascontiguousarray((images.astype(np.float32) * np.float32(2 / 255) - 1).transpose(0, 3, 1, 2))
    return images


def _put(data: bytearray, offset: int, numbers: Array, source: Path) -> None:
    """Writes float32 numbers over those of a tensor in an ONNX file.

    Raises:
        FileError: No tensor of as many numbers begins there.
    """
    header = bytes([RAW_DATA, *_varint(4 * numbers.size)])
    if bytes(data[offset - len(header) : offset]) != header or offset + 4 * numbers.size > len(data):
        raise FileError(f"{source}: expected {numbers.size} weights at byte {offset}, found another file than exported")
    data[offset : offset + 4 * numbers.size] = numbers.astype("<f4").tobytes()


def _varint(number: int) -> Iterator[int]:
    """The bytes of a length in Protocol Buffers' wire format."""
    while number >= 128:
        yield number % 128 + 128
        number //= 128
    yield number
