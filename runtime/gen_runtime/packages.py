"""ONNX Runtime itself: which of its packages is installed, and a plain word when that is none or two."""

import importlib
import importlib.metadata
import warnings
from types import ModuleType

from gen_runtime.errors import DeviceError, RuntimeConflictWarning

PACKAGES = ("onnxruntime", "onnxruntime-gpu")


def installed_runtimes() -> tuple[str, ...]:
    """The installed packages among `PACKAGES`; both own the folder `onnxruntime`, so one is right."""
    return tuple(name for name in PACKAGES if _is_installed(name))


def import_onnxruntime() -> ModuleType:
    """The module `onnxruntime`, imported when first needed because it takes a fifth of a second.

    Raises:
        DeviceError: No package of it is installed, or the one installed is broken.
    """
    installed = installed_runtimes()
    if len(installed) > 1:
        warnings.warn(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: run 'pip uninstall "
            "onnxruntime onnxruntime-gpu', then install 'gen-export[cpu]' or 'gen-export[gpu]'",
            RuntimeConflictWarning,
            stacklevel=2,
        )
    try:
        module = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise DeviceError(_advice(installed)) from error
    if not hasattr(module, "InferenceSession"):  # an empty folder, left when one of two packages went
        raise DeviceError(_advice(installed))
    return module


def _is_installed(name: str) -> bool:
    """Whether a distribution of this name is installed."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _advice(installed: tuple[str, ...]) -> str:
    """What to do when the import fails."""
    if not installed:
        return "ONNX Runtime is not installed: install 'gen-export[cpu]' or 'gen-export[gpu]'"
    return f"{installed[-1]} is installed but broken: run 'pip install --force-reinstall {installed[-1]}'"
