"""One opened file: its card, and the session that runs it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gen_runtime.card import Card
from gen_runtime.errors import FileError, GenRuntimeError, PortError
from gen_runtime.inputs import Array, check_inputs, fits, free_axes, shape_text
from gen_runtime.session import Device, Session, UsedDevice, first_line, open_session

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
        outputs = dict(zip(names, self._bound_run(arrays, names), strict=True))
        axes = free_axes(self.card.graph, self.card.inputs, arrays)
        for port in self.card.outputs:
            shape = outputs[port.name].shape
            if not fits(port, shape, axes):
                expected = shape_text(port, axes)
                raise FileError(f"{self.path}: {port.name}: its port says {expected}, found {list(shape)}")
        return outputs

    def _bound_run(self, arrays: Mapping[str, Array], names: list[str]) -> list[Array]:
        """Runs with inputs and outputs bound in host memory.

        Each input then goes to the GPU at most once, and only where a GPU node reads it (`count` is read
        on the host), and each output comes back once.
        """
        from onnxruntime import OrtValue

        binding = self._session.io_binding()
        try:
            for name, array in arrays.items():
                # Shares the array's memory; `bind_cpu_input` would refuse optional inputs.
                binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(array))
            for name in names:
                binding.bind_output(name, "cpu")
            self._session.run_with_iobinding(binding)
            return binding.copy_outputs_to_cpu()
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own
            raise GenRuntimeError(f"{self.path}: ONNX Runtime failed: {first_line(error)}") from error


def open_graph(path: Path, device: Device, threads: int | None) -> Graph:
    """Opens one file.

    Raises:
        FileError: The file is missing, broken, or not one of ours.
        DeviceError: The device is not there.
    """
    session, used = open_session(path, device, threads)
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
