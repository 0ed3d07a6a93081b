"""One opened file: its card, and the session that runs it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gen_runtime.card import Card
from gen_runtime.errors import FileError, GenRuntimeError, PortError
from gen_runtime.inputs import Array, check_inputs, fits, free_axes, shape_text
from gen_runtime.ports import Port
from gen_runtime.session import Device, Session, UsedDevice, first_line, open_bytes, open_session

if TYPE_CHECKING:
    from onnxruntime import OrtValue

_ONNX_NAMES = {"float32": "float", "float64": "double"}


class Graph:
    """A graph that can be called: `graph(x, t)` or `graph(x=x, t=t)`.

    Attributes:
        path: The file.
        card: What the file says of itself.
        device: Where it runs.
    """

    def __init__(self, path: Path, card: Card, session: Session, device: UsedDevice) -> None:
        self.path = path
        self.card = card
        self.device: UsedDevice = device
        self._session = session

    def __call__(self, *values: Any, **named: Any) -> Array | dict[str, Array]:
        """Runs on values given in the order of the inputs or by name; returns what `run` returns.

        Raises:
            PortError: A value is missing, too many, given twice, or not what its port says.
        """
        names = [port.name for port in self.card.inputs]
        if len(values) > len(names):
            raise PortError(f"{self.card.graph} takes {len(names)} inputs, found {len(values)}")
        placed = dict(zip(names, values, strict=False))
        for name in placed.keys() & named.keys():
            raise PortError(f"{self.card.graph}: {name} is given twice")
        return self.run({**placed, **named})

    def run(self, inputs: Mapping[str, Any]) -> Array | dict[str, Array]:
        """Runs the graph; returns its output, or where it has several, a dict of them by name.

        Raises:
            PortError: An input is missing, unknown, or not what its port says.
        """
        outputs = self.execute(self.check(inputs))
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    def check(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """The inputs as the arrays that the ports declare.

        Raises:
            PortError: An input is missing, unknown, or not what its port says.
        """
        return check_inputs(self.card.graph, self.card.inputs, inputs)

    def execute(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the graph on arrays that `check` returned; every output by name.

        Raises:
            FileError: An output has another shape than the file's ports say.
            GenRuntimeError: ONNX Runtime failed.
        """
        names = [port.name for port in self.card.outputs]
        outputs = dict(zip(names, self._run(arrays, names), strict=True))
        axes = free_axes(self.card.graph, self.card.inputs, arrays)
        for port in self.card.outputs:
            shape = outputs[port.name].shape
            if not fits(port, shape, axes):
                expected = shape_text(port, axes)
                raise FileError(f"{self.path}: {port.name}: its port says {expected}, found {list(shape)}")
        return outputs

    def held(self, array: Array) -> "OrtValue":
        """An array as a value of ONNX Runtime, which holds a copy of it."""
        from onnxruntime import OrtValue

        return OrtValue.ortvalue_from_numpy(np.array(array))

    def advance(self, inputs: Mapping[str, Any], state: Mapping[str, "OrtValue"]) -> dict[str, "OrtValue"]:
        """Runs the graph on inputs to check, and on values that it gave before; every output by name.

        Raises:
            PortError: An input is missing, unknown, or not what its port says.
            GenRuntimeError: ONNX Runtime failed.
        """
        ports = [port for port in self.card.inputs if port.name not in state]
        arrays = check_inputs(self.card.graph, ports, inputs)
        names = [port.name for port in self.card.outputs]
        try:
            values = self._session.run_with_ort_values(
                names, {**{name: self.held(array) for name, array in arrays.items()}, **state}
            )
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own
            raise GenRuntimeError(f"{self.path}: ONNX Runtime failed: {first_line(error)}") from error
        return dict(zip(names, values, strict=True))

    def _run(self, arrays: Mapping[str, Array], names: list[str]) -> list[Array]:
        """The outputs of these names."""
        try:
            return self._session.run(names, arrays) if self.device == "cpu" else self._bound_run(arrays, names)
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own
            raise GenRuntimeError(f"{self.path}: ONNX Runtime failed: {first_line(error)}") from error

    def _bound_run(self, arrays: Mapping[str, Array], names: list[str]) -> list[Array]:
        """Runs with inputs and outputs bound in host memory.

        Each input then goes to the GPU at most once, and only where a GPU node reads it (`count` is read
        on the host), and each output comes back once.
        """
        from onnxruntime import OrtValue

        binding = self._session.io_binding()
        for name, array in arrays.items():
            # Shares the array's memory; `bind_cpu_input` would refuse optional inputs.
            binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(array))
        for name in names:
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()


def open_graph(path: Path, device: Device, threads: int | None) -> Graph:
    """Opens one file.

    Raises:
        FileError: The file is missing, broken, or not one of ours.
        DeviceError: The device is not there.
    """
    return _opened(path, *open_session(path, device, threads))


def open_model(model: bytes, path: Path) -> Graph:
    """Opens a model in memory, read from the file `path`, on the CPU.

    Raises:
        FileError: The model is broken, or not one of ours.
        DeviceError: ONNX Runtime is missing.
    """
    return _opened(path, open_bytes(model, path, None), "cpu")


def _opened(path: Path, session: Session, used: UsedDevice) -> Graph:
    """The graph of a session, whose card must fit it."""
    try:
        metadata = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: its metadata is not UTF-8 text") from error
    card = Card.of_metadata(metadata, str(path))
    _check_ports(path, card, session)
    return Graph(path, card, session, used)


def _check_ports(path: Path, card: Card, session: Session) -> None:
    """Refuses a file whose card declares other inputs or outputs than its graph has."""
    required = {value.name: value.type for value in session.get_inputs()}
    optional = {value.name: value.type for value in session.get_overridable_initializers()}
    outputs = {value.name: value.type for value in session.get_outputs()}
    declared = (
        ("required inputs", required, [port for port in card.inputs if not port.optional]),
        ("optional inputs", optional, [port for port in card.inputs if port.optional]),
        ("outputs", outputs, card.outputs),
    )
    for what, found, ports in declared:
        expected = {port.name: f"tensor({_ONNX_NAMES.get(port.dtype, port.dtype)})" for port in ports}
        if expected != found:
            raise FileError(f"{path}: its card declares the {what} {expected}, its graph has {found}")
    _check_shapes(path, card, session)


def _check_shapes(path: Path, card: Card, session: Session) -> None:
    """Refuses a file whose card declares other shapes than its graph: whoever makes an input believes the card.

    Of an output the graph may know less, behind a Loop or an If, or more.
    """
    inputs = {value.name: value.shape for value in (*session.get_inputs(), *session.get_overridable_initializers())}
    outputs = {value.name: value.shape for value in session.get_outputs()}
    wrong = [(port, inputs[port.name]) for port in card.inputs if not _same_sizes(port, inputs[port.name])]
    wrong += [(port, outputs[port.name]) for port in card.outputs if _contradicts(port, outputs[port.name])]
    for port, shape in wrong:
        found = f"[{', '.join(map(str, shape))}]"
        raise FileError(
            f"{path}: its card declares {port.name} with the shape {shape_text(port, {})}, its graph {found}"
        )


def _same_sizes(port: Port, shape: list[int | str | None]) -> bool:
    """Whether a shape has the port's sizes, and free axes where it has some."""
    return [_size(axis) for axis in port.shape] == [_size(axis) for axis in shape]


def _contradicts(port: Port, shape: list[int | str | None]) -> bool:
    """Whether a shape has another rank or size than the port; an empty one is also that of an unknown rank."""
    if len(shape) != len(port.shape):
        return shape != []
    pairs = [(_size(said), _size(known)) for said, known in zip(port.shape, shape, strict=True)]
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)


def _size(axis: int | str | None) -> int | None:
    """The size of an axis; None where it is free."""
    return axis if isinstance(axis, int) else None
