"""Draws many images into a folder of shards: shard by shard, leaving alone those that are whole."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gen_export.shards.manifest import manifest_of, settle
from gen_export.shards.shard import Shard
from gen_export.spec.guidance import ANY, sample_labels
from gen_runtime import Model, PortError
from gen_runtime.images import Image
from gen_runtime.model import Progress


def sample_shards(
    model: Model,
    folder: Path,
    seed: int,
    first: int,
    count: int,
    size: int = 1000,
    batch: int = 64,
    progress: Progress | None = None,
    **inputs: Any,
) -> int:
    """Draws the images `first` to `first + count - 1` of a seed into whole shards; returns how many were missing.

    Image `i` depends on `seed` and `i` alone, and each shard holds the images from one multiple of `size` to the
    next. So calls that share a folder, at once or one after another, on one machine or many, make the same files.

    Args:
        model: The file that draws them.
        folder: Where the shards go, with `samples.json`, which says what drew them.
        seed: Any int64.
        first: The index of the first image, a multiple of `size`.
        count: How many images, a multiple of `size`.
        size: Images a shard.
        batch: Images drawn at a time: it bounds the memory.
        progress: Called with the images done and the images in all.
        inputs: The file's further inputs: `steps`, `eta`.

    Raises:
        PortError: The range is not one of whole shards, or an input is not what its port says.
        GraphError: The file draws no images.
        FileError: The folder holds what another file, other inputs or another size drew, or cannot be written.
    """
    starts = shard_starts(first, count, size)
    model.stream(count, seed, first, batch, **inputs)  # checks the arguments, and draws nothing yet
    settle(folder, manifest_of(model, size, inputs))
    windows = (range(at, at + size) for at in starts)
    shards = (Shard(folder, seed, window, model.card.image, _labels(model, window, inputs)) for window in windows)
    written = 0
    for done, shard in enumerate(shards):
        if not shard.is_whole():
            batches = model.stream(size, seed, shard.indices[0], batch, **inputs)
            shard.write(_told(batches, done * size, count, progress))
            written += 1
        if progress is not None:
            progress((done + 1) * size, count)
    return written


def shard_starts(first: int, count: int, size: int) -> range:
    """The index of the first image of each shard in a range of images.

    Raises:
        PortError: It begins or ends within a shard, which must hold the same images whoever writes it.
    """
    if size < 1:
        raise PortError(f"sample: shard size: expected at least 1, found {size}")
    for name, value in (("first", first), ("count", count)):
        if value % size:
            raise PortError(f"sample: {name}: expected a multiple of the shard size {size}, found {value}")
    return range(first, first + count, size)


def _labels(model: Model, indices: range, inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """The classes of images; empty where the file has none, or they are of any."""
    sampler = model.graph("sample")
    port = next((port for port in sampler.card.inputs if port.name == "label"), None)
    if port is None:
        return ()
    given = sampler.check({"seed": 0, "count": 1, **inputs}).get(port.name, port.default)
    classes = port.choices.index(ANY) if ANY in port.choices else len(port.choices)
    index = np.arange(indices.start, indices.stop, dtype=np.int64)
    labels = sample_labels(index, np.asarray(given, np.int64), classes)
    return tuple(labels.tolist()) if (labels < classes).all() else ()


def _told(batches: Iterator[Image], done: int, total: int, progress: Progress | None) -> Iterator[Image]:
    """The batches, with a word after each."""
    for images in batches:
        yield images
        done += len(images)
        if progress is not None:
            progress(done, total)
