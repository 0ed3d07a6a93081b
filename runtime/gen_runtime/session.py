"""ONNX Runtime sessions on the device that was asked for, never silently on another."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any, Literal, get_args

from gen_runtime.errors import DeviceError, FileError
from gen_runtime.packages import import_onnxruntime

Device = Literal["auto", "cpu", "cuda"]
UsedDevice = Literal["cpu", "cuda"]
Session = Any
"""`onnxruntime.InferenceSession`, which only this package's functions import."""

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_ERRORS_ONLY = 3  # an optional input is a warning each at ONNX Runtime's own level
_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed:)?")
_SOURCE_LINE = re.compile(r"/\S+\.(?:h|cc|cu):\d+ .*?\) ")


def open_session(path: Path, device: Device, threads: int | None) -> tuple[Session, UsedDevice]:
    """A session of an ONNX file, and the device it runs on.

    Args:
        path: The file.
        device: `cpu`; `cuda`, an NVIDIA GPU or an error; `auto`, CUDA where it really loads, else the CPU.
        threads: Threads that one operator may use on the CPU; ONNX Runtime's choice where None.

    Raises:
        FileError: The file is missing or ONNX Runtime cannot load it.
        DeviceError: `device` or `threads` is not a choice, CUDA does not load, or ONNX Runtime is missing.
    """
    if device not in get_args(Device):
        raise DeviceError(f"device: expected {', '.join(get_args(Device))}, found {device!r}")
    if threads is not None and threads < 1:
        raise DeviceError(f"threads: expected at least 1, found {threads}")
    if path.is_dir():
        raise FileError(f"{path}: expected an .onnx file, found a folder")
    if not path.is_file():
        raise FileError(f"{path}: no such file")
    if device != "cpu":
        try:
            return _on_cuda(path, threads), "cuda"
        except DeviceError:
            if device == "cuda":
                raise
    return _create(path, [_CPU], threads), "cpu"


def open_bytes(model: bytes, source: Path, threads: int | None) -> Session:
    """A session on the CPU of a model in memory, made from the file `source`.

    Raises:
        FileError: ONNX Runtime cannot load it.
        DeviceError: ONNX Runtime is missing.
    """
    return _create(source, [_CPU], threads, model)


def first_line(error: Exception) -> str:
    """What ONNX Runtime says went wrong, without its codes, source lines and stack."""
    line = str(error).strip().partition("\n")[0]
    return _SOURCE_LINE.sub("", _PREFIX.sub("", line))


def _on_cuda(path: Path, threads: int | None) -> Session:
    """A session that really runs on CUDA."""
    ort = import_onnxruntime()
    if _CUDA not in ort.get_available_providers():
        raise DeviceError(
            "device 'cuda': this ONNX Runtime is built without CUDA: "
            "uninstall onnxruntime and install 'gen-export[gpu]'"
        )
    complaint = _preload(ort)
    try:
        session = _create(path, [_CUDA, _CPU], threads)
    except FileError as error:
        _create(path, [_CPU], threads)  # a file that is broken everywhere says so, and not that CUDA is
        raise DeviceError(f"device 'cuda': CUDA does not start: {error}") from error
    if session.get_providers()[0] != _CUDA:
        raise DeviceError(
            f"device 'cuda': ONNX Runtime cannot load CUDA{complaint}: check the NVIDIA driver with "
            "nvidia-smi, and the CUDA and cuDNN libraries that come with 'gen-export[gpu]'"
        )
    return session


def _preload(ort: Any) -> str:
    """Loads the CUDA libraries of the Python packages, and returns the first complaint in brackets, if any.

    ONNX Runtime prints its complaints to standard output, which belongs to the caller.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        getattr(ort, "preload_dlls", lambda: None)()
    line = printed.getvalue().partition("\n")[0]
    return f" ({line})" if line else ""


def _create(path: Path, providers: list[str], threads: int | None, model: bytes | None = None) -> Session:
    """A session that keeps to its providers when one fails; of the file, or of a model made from it."""
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads or 0
    try:
        return ort.InferenceSession(path if model is None else model, options, providers=providers, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions share no class of their own
        raise FileError(f"{path}: ONNX Runtime cannot load it: {first_line(error)}") from error
