"""Draw a range of images with every worker of a Ray cluster, into one folder of shards.

    pip install 'gen-export[cpu,ray]'
    python examples/ray_sample.py diffusion.onnx --seed 7 --count 100000 --shards /shared/clothes --set steps=20

Without --address it starts Ray on this machine. Each shard is one task: image i depends on the seed and i alone, so
the files are those of `gen-export sample --shards`, whoever writes them. A task whose worker dies is run again, on
another; a run that is stopped and started again draws what is missing.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import ray

from gen_export.cli.run import sampler_inputs
from gen_export.shards.sample import sample_shards, shard_starts
from gen_runtime import GenRuntimeError, load

RETRIES = 10
"""How often a task may lose its worker."""


def sample_with_ray(
    file: Path, folder: Path, count: int, size: int, seed: int = 0, first: int = 0, **inputs: Any
) -> int:
    """Draws images into a folder that every worker can reach; returns how many shards were missing.

    Args:
        file: The exported file, at this path on every machine.
        folder: Where the shards go.
        count: How many images, a multiple of `size`.
        size: Images a shard, which is one task.
        seed: The seed of the images.
        first: The index of the first, a multiple of `size`.
        inputs: The file's further inputs.

    Raises:
        GenRuntimeError: What `sample_shards` raises, here or in a task.
    """
    starts = shard_starts(first, count, size)
    tasks = [_shard.remote(file, folder, size, seed=seed, first=at, **inputs) for at in starts]
    return sum(ray.get(tasks))


@ray.remote(max_retries=RETRIES)
def _shard(file: Path, folder: Path, size: int, **arguments: Any) -> int:
    """Draws one shard; 1 if it was missing."""
    model = load(file, device="cpu", threads=1)  # Ray gives a task one processor
    return sample_shards(model, folder, count=size, size=size, **arguments)


def main() -> None:
    """Reads the command line and draws; an error that a user can mend is one line."""
    given = arguments().parse_args()
    file, folder, size = given.file.resolve(), given.shards.resolve(), given.shard_size
    try:
        inputs = sampler_inputs(load(file, device="cpu"), {}, given.set)
        shard_starts(given.first, given.count, size)  # refuses a wrong range before a cluster is started for it
        os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # the first task's error is told, not each one's
        ray.init(address=given.address, num_cpus=given.workers, include_dashboard=False)
        written = sample_with_ray(file, folder, given.count, size, given.seed, given.first, **inputs)
    except GenRuntimeError as error:
        sys.exit(f"ray_sample: {getattr(error, 'cause', error)}")  # Ray's error of a task has the task's as its cause
    print(f"{given.count // size} shards, {written} of them new: {folder}")


def arguments() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="an exported .onnx file")
    parser.add_argument("--shards", type=Path, required=True, help="the folder, shared by all machines")
    parser.add_argument("--count", type=int, required=True, help="how many images, a multiple of the shard size")
    parser.add_argument("--shard-size", type=int, default=1000, help="images a tar file")
    parser.add_argument("--seed", type=int, default=0, help="of the images")
    parser.add_argument("--first", type=int, default=0, help="index of the first image, a multiple of the shard size")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an input of the file")
    parser.add_argument("--address", help="of a running cluster: auto; by default Ray starts on this machine")
    parser.add_argument("--workers", type=int, help="processors to use where Ray is started here")
    return parser


if __name__ == "__main__":
    main()
