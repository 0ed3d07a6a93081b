"""Where a run computes, and in which arithmetic."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from gen_export.errors import TrainingError


def pick_device(name: str) -> torch.device:
    """The device `cpu`, `cuda` or `auto`: CUDA where there is one.

    Raises:
        TrainingError: CUDA was asked for and this torch or machine has none.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        reason = "this torch was built without CUDA" if torch.version.cuda is None else "no usable GPU was found"
        raise TrainingError(f"--cuda: expected an NVIDIA GPU, but {reason}; leave --cuda out to train on the CPU")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and found) else "cpu")


def pick_precision(name: str | None, device: torch.device) -> torch.dtype:
    """The dtype of the networks' arithmetic; by default bfloat16 on CUDA and float32 on the CPU."""
    if name is None:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return getattr(torch, name)


def memory_layout(device: torch.device) -> torch.memory_format:
    """Channels last on CUDA, whose half-precision convolutions want them; first on the CPU, 1 to 4 % faster."""
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


def compiled(losses: Callable[..., dict[str, Tensor]], device: torch.device) -> Callable[..., dict[str, Tensor]]:
    """The losses through torch.compile.

    Raises:
        TrainingError: The device is not CUDA, where alone it is known to pay.
    """
    if device.type != "cuda":
        raise TrainingError(f"--compile: expected an NVIDIA GPU to compile for, found {device.type}; leave it out")
    # The cached function is array_api_compat's look-up of a namespace, which has no side effects.
    warnings.filterwarnings("ignore", message="Dynamo detected a call to a `functools.lru_cache`")
    return torch.compile(losses)
