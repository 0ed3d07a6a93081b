"""Starting the processes of a run on this machine; for several machines there is `accelerate launch`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from gen_export.errors import MissingToolError, TrainingError
from gen_export.training.processes import TOLD

HOST = "127.0.0.1"
GRACE = 10.0
"""Seconds that processes have to end by themselves once one of them has failed."""
PAUSE = 0.05

Child = subprocess.Popen[bytes]


def launch(count: int, words: Sequence[str], device: torch.device) -> int:
    """Run the command line with these words in several processes at once; its exit code.

    A request to stop is passed on to them. When one fails, the others end as well.

    Args:
        count: How many.
        words: Of the command line, without the program's name.
        device: The kind of device that they compute on.

    Raises:
        MissingToolError: Accelerate is not installed.
        TrainingError: There are fewer GPUs than processes, or a process was killed.
    """
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage] - it is documented there

    _require(count, device)
    store = TCPStore(HOST, 0, is_master=True, wait_for_workers=False)
    children = [
        # In a group of their own, so that Ctrl-C reaches each of them once: through us.
        subprocess.Popen(
            [sys.executable, "-m", "gen_export", *words], env=_environment(index, count, store.port), process_group=0
        )
        for index in range(count)
    ]
    with _requests_passed_on(children):
        _wait(children)
    for index, child in enumerate(children):
        if child.returncode < 0 and store.add(TOLD, 1) == 1:
            name = signal.Signals(-child.returncode).name
            raise TrainingError(f"process {index + 1} of {count}: expected its end in peace, found it killed by {name}")
    return max(abs(child.returncode) for child in children)


def _require(count: int, device: torch.device) -> None:
    """Refuses processes that could not work together."""
    try:
        import accelerate  # noqa: F401 - only whether it is there
    except ModuleNotFoundError as error:
        raise MissingToolError("--processes: expected accelerate: pip install 'gen-export[distributed]'") from error
    if device.type == "cuda" and count > torch.cuda.device_count():
        raise TrainingError(f"--processes: expected at most {torch.cuda.device_count()}, one a GPU, found {count}")


def _environment(index: int, count: int, port: int) -> dict[str, str]:
    """What torchrun would tell a process: who it is, and where the others meet."""
    told = {
        "RANK": index,
        "LOCAL_RANK": index,
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
        "MASTER_ADDR": HOST,
        "MASTER_PORT": port,
        "TORCHELASTIC_USE_AGENT_STORE": True,  # the meeting place is ours: it outlives each of them
    }
    shared = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)), "TORCH_CPP_LOG_LEVEL": "FATAL"}
    return {**shared, **os.environ, **{name: str(value) for name, value in told.items()}}


@contextmanager
def _requests_passed_on(children: Sequence[Child]) -> Iterator[None]:
    """While it lasts, Ctrl-C and SIGTERM go to the children."""

    def pass_on(number: int, _: object) -> None:
        for child in children:
            child.send_signal(number)

    previous = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _wait(children: Sequence[Child]) -> None:
    """Until all have ended; once one has failed, the others have a little time before they are killed."""
    deadline = float("inf")
    while any(child.poll() is None for child in children):
        if any(child.returncode for child in children):
            deadline = min(deadline, time.monotonic() + GRACE)
        if time.monotonic() > deadline:
            for child in children:
                child.kill()
        time.sleep(PAUSE)
