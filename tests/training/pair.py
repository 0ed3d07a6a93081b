"""Runs in two processes, for the tests: this file is what each of them does, told by the variables of torchrun."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

from gen_export.data import ArraySet
from gen_export.errors import DataError
from gen_export.training import run
from gen_export.training.processes import joined
from gen_export.training.settings import TrainSettings

CPU = torch.device("cpu")


def start_pair(action: str, *arguments: object) -> list[subprocess.CompletedProcess[str]]:
    """Both processes of an action below, ended."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "tests.training.pair", action, *map(str, arguments)]
    children = [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, "RANK": index, "LOCAL_RANK": index, "TORCH_CPP_LOG_LEVEL": "FATAL"},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in "01"
    ]
    ended = [child.communicate(timeout=120) for child in children]
    return [
        subprocess.CompletedProcess(command, child.returncode, *text)
        for child, text in zip(children, ended, strict=True)
    ]


def train(folder: str, cases: str) -> None:
    """Start each case, a family with its options, settings and data, in a folder of its name, or resume it there."""
    with joined(CPU) as (processes, device):
        for name, (family, config, settings, source) in json.loads(cases).items():
            place = Path(folder) / name
            if place.exists():
                run.resume(family, place, device, processes=processes)
            else:
                options = TrainSettings(**settings)
                run.start(family, config, options, run.Source(source), place, device, processes=processes)


def fail(folder: str, source: str) -> None:
    """Train until the second process can no longer read its images."""
    with joined(CPU) as (processes, device):
        if not processes.first:
            ArraySet._read = gone
        options = TrainSettings(steps=100, batch_size=4, save_every=1)
        run.start("vae", {"size": "tiny"}, options, run.Source(source), Path(folder), device, processes=processes)


def gone(self: ArraySet, indices: object) -> None:
    """What reads no image."""
    raise DataError("image 7: gone")


if __name__ == "__main__":
    {"train": train, "fail": fail}[sys.argv[1]](*sys.argv[2:])
