"""Time of a call of the Python host against a bare call of ONNX Runtime, at batch 1 on one thread.

    python bench/host_overhead.py models_onnx/golden/diffusion.onnx models_onnx/golden/gan.onnx

Both run in turns on sessions of their own, the bare one on arrays that are made once; the figures are medians.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

import gen_runtime

WARM_UP = 20


def microseconds(run: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    run()
    return 1e6 * (time.perf_counter() - start)


def _bare_call(path: Path) -> Callable[[], object]:
    """One image of seed 0 from a session, and nothing around it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(path, options)
    inputs = {"seed": np.array(0, np.int64), "count": np.array(1, np.int64)}
    return lambda: session.run(None, inputs)


def main() -> None:
    """Print both medians and their ratio for each sampler."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=1000)
    arguments = parser.parse_args()
    for path in arguments.files:
        model, bare = gen_runtime.load(path, "cpu", 1), _bare_call(path)
        rounds = [(microseconds(model.sample), microseconds(bare)) for _ in range(WARM_UP + arguments.rounds)]
        ours, floor = (statistics.median(times) for times in zip(*rounds[WARM_UP:], strict=True))
        print(f"{path.name}: {ours:.0f} us, bare {floor:.0f} us: {ours - floor:.0f} us or {ours / floor - 1:.1%} more")


if __name__ == "__main__":
    main()
