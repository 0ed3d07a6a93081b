"""CPU time of the loop inside the file against a Python loop around the exported denoiser.

    python bench/sampling_loop.py runs/fashion/diffusion.onnx

Both run in one process, in turns, on one thread, the denoiser in a bare ONNX Runtime session; the figure is the median
ratio of CPU seconds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import gen_runtime
from gen_export.models.diffusion import DiffusionConfig
from gen_export.models.family import config_from
from gen_export.spec.noise import sample_normals
from gen_export.spec.pixels import pictures
from gen_export.spec.samplers import ddim_sample


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU seconds of one call, over all threads."""
    start = time.process_time()
    run()
    return time.process_time() - start


def _one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # it warns of every default that an input has
    return options


def main() -> None:
    """Print the ratio at batch 1 and 8."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    model = gen_runtime.load(arguments.file, threads=1)
    denoiser = onnxruntime.InferenceSession(model.part_path("denoise"), _one_thread())
    abars, image = config_from(DiffusionConfig, model.card.config or {}).alpha_bars(), model.card.image
    known: dict[str, Any] = {"label": "any"} if model.card.config and model.card.config.get("classes") else {}
    for batch in (1, 8):

        def python_loop(batch: int = batch) -> np.ndarray:
            x = sample_normals(0, np.arange(batch), 0, (image.channels, image.height, image.width))
            x = ddim_sample(
                lambda x, t: denoiser.run(None, {"x": x, "t": np.full(len(x), t)})[0],
                x,
                lambda j: x,
                abars,
                arguments.steps,
                0.0,
            )
            return pictures(x)

        def in_graph(batch: int = batch) -> np.ndarray:
            return model.sample(count=batch, seed=0, steps=arguments.steps, **known)

        apart = np.abs(in_graph().astype(int) - python_loop()).max()
        pairs = [(cpu_seconds(in_graph), cpu_seconds(python_loop)) for _ in range(arguments.rounds)]
        ratio = statistics.median(inside / outside for inside, outside in pairs)
        inside, outside = (statistics.median(column) for column in zip(*pairs, strict=True))
        times = f"in the file {inside:.3f} s, Python loop {outside:.3f} s, ratio {ratio:.3f}"
        print(f"batch {batch}: {times}; images at most {apart} levels apart")


if __name__ == "__main__":
    main()
