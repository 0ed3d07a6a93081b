"""What started a run: the command, and the machine and versions it ran with; `sessions.jsonl` beside the log.

A session is one start or resumption of the run. It is of this machine, so nothing of it goes into an exported file.
"""

import json
import os
import platform
import shlex
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

import gen_export
from gen_export.training.log import SESSIONS
from gen_runtime.packages import installed_runtimes

CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Session:
    """One start or resumption.

    Attributes:
        step: Finished steps before it.
        date: When it began, UTC, ISO 8601.
        command: The command line, quoted for a shell.
        device: What computes.
        cpu: The processor.
        cores: Its logical cores.
        threads: Threads that an operator of torch takes.
        system: The operating system.
        versions: Of Python and the packages that decide the result.
    """

    step: int
    date: str
    command: str
    device: str
    cpu: str
    cores: int
    threads: int
    system: str
    versions: dict[str, str]


def note_session(folder: Path, step: int, device: torch.device) -> None:
    """Write the session that begins after so many steps; a run that starts anew forgets those before it."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found = session(step, now, [Path(sys.argv[0]).name, *sys.argv[1:]], device)
    with (folder / SESSIONS).open("a" if step else "w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(found)) + "\n")


def session(step: int, date: str, words: list[str], device: torch.device) -> Session:
    """A session of this process on this machine, begun by the words of a command line."""
    return Session(
        step=step,
        date=date,
        command=shlex.join(words),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        cpu=processor(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        system=f"{platform.system()} {platform.machine()}",
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """The versions of Python, torch, ONNX Runtime and this package."""
    runtimes = {name: version(name) for name in installed_runtimes()}
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        **runtimes,
        "gen-export": gen_export.__version__,
    }


def processor() -> str:
    """The processor's name: as Linux knows it, else as Python does, else its architecture."""
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
