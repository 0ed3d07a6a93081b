"""The processes of a run: one alone, or several on one machine or many, each with its part of every batch."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

import torch
from torch import Tensor

from gen_export.errors import GenExportError, TrainingError

PATIENCE = timedelta(hours=1)
"""How long a process waits for the others: the first one draws pictures and writes files meanwhile."""
ANSWER = timedelta(seconds=10)
TOLD = "gen_export/told"
"""The key under which the processes agree who tells of an error."""


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of a run.

    Attributes:
        index: Which one it is, from 0.
        count: How many there are.
    """

    index: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that writes and shows."""
        return self.index == 0

    def total(self, x: Tensor) -> Tensor:
        """The sum of a tensor over the processes.

        Raises:
            TrainingError: One of them has ended.
        """
        if self.count == 1:
            return x
        from accelerate.utils import reduce

        with _others_there():
            return reduce(x, "sum")  # pyright: ignore[reportReturnType]

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over the processes in the place of each tensor, all in one message.

        Raises:
            TrainingError: A process has ended.
        """
        if self.count > 1:
            means = self.total(torch.cat([x.reshape(-1) for x in tensors])) / self.count
            for x, mean in zip(tensors, means.split([x.numel() for x in tensors]), strict=True):
                x.copy_(mean.view_as(x))

    def any(self, flag: bool) -> bool:
        """Whether a flag is up in any process.

        Raises:
            TrainingError: One of them has ended.
        """
        return bool(self.total(torch.tensor(int(flag))))

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """What the first process does here, it does before the others: so that one of them downloads, not all."""
        if not self.first:
            self.any(False)
        yield
        if self.first:
            self.any(False)


ALONE = Processes()


def launched() -> int:
    """The number of processes that a launcher has started, by the variables of torchrun; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Processes, torch.device]]:
    """This process among those that a launcher has started, and the device that is its own.

    Of an error that several of them meet, one tells; the others end silently.

    Args:
        device: The kind of device to compute on.

    Raises:
        ModuleNotFoundError: There are several, and Accelerate is not installed.
    """
    if launched() == 1:
        yield ALONE, device
        return
    from accelerate import PartialState

    cpu = device.type == "cpu"
    # Flags are on the CPU even where gradients are not, so that no step waits for the device.
    state = PartialState(cpu=cpu, backend="gloo" if cpu else "cuda:nccl,cpu:gloo", timeout=PATIENCE)
    told = _teller()
    try:
        yield Processes(state.process_index, state.num_processes), state.device or device
    except Exception as error:
        if told():
            _end_silently(error)
        raise
    state.destroy_process_group()


def _teller() -> Callable[[], bool]:
    """A function that says whether another process has told of an error; if not, this one has to."""
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage] - it is documented there

    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=ANSWER)

    def told() -> bool:
        try:
            return store.add(TOLD, 1) > 1
        except RuntimeError:  # whoever kept the store is gone, and may have said nothing
            return False

    return told


def _end_silently(error: Exception) -> NoReturn:
    raise SystemExit(getattr(error, "exit_code", GenExportError.exit_code)) from error


@contextmanager
def _others_there() -> Iterator[None]:
    """Turns what torch raises about a process that is gone into one line.

    Raises:
        TrainingError: A process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise TrainingError(
            f"expected all processes of the run, lost one ({detail}); go on with --resume from the last checkpoint"
        ) from error
