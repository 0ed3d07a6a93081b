"""What can go wrong, as one tree.

    GenRuntimeError  ONNX Runtime itself failed while it ran a graph
    ├── FileError    a file is missing, broken, not one of ours, too new, or cannot be written
    ├── GraphError   a graph that the file does not declare (also an AttributeError)
    ├── PortError    an argument is missing, unknown, or not what its port says (also a ValueError)
    └── DeviceError  the device asked for, or ONNX Runtime itself, is not there

Every message is one line that names the thing, what was expected and what was found.
"""


class GenRuntimeError(Exception):
    """The root: catch it to catch everything this package raises on purpose."""


class FileError(GenRuntimeError):
    """A file is missing, broken, not one of ours, too new, or cannot be written."""


class GraphError(GenRuntimeError, AttributeError):
    """A graph that the file does not declare."""


class PortError(GenRuntimeError, ValueError):
    """An argument is missing, unknown, or not what its port says."""


class DeviceError(GenRuntimeError):
    """The device asked for, or ONNX Runtime itself, is not there."""


class RuntimeConflictWarning(UserWarning):
    """Two ONNX Runtime packages share one folder, so either may be broken."""
