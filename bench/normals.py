"""Error and cost of the normals inside a graph, in float64 and in float32 (docs/adr/0003-normals-in-float64.md).

python bench/normals.py
"""

import math
import time
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import onnxruntime

from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, graph_input, recording
from gen_export.spec.noise import normals, sample_keys, seed_bits, squares_word

SAMPLES, SIZE, SEED = 4096, 784, 5


def in_float64(keys: GraphArray) -> GraphArray:
    """What ships."""
    return xp.astype(normals(keys, constant([0], np.uint64), SIZE), np.float32)


def in_float32(keys: GraphArray) -> GraphArray:
    """The same equations with every real number in float32."""
    counter, key = xp.arange(SIZE // 2, dtype=np.uint64) * 2, xp.reshape(keys, (-1, 1))
    u1, u2 = ((xp.astype(squares_word(counter + offset, key) // 256, np.float32) + 0.5) * 2.0**-24 for offset in (0, 1))
    radius = xp.sqrt(-2.0 * xp.log(u1))
    return xp.concat([radius * xp.sin(2.0 * math.pi * turn) for turn in (u2 + 0.25, u2)], axis=1)


def session(numbers: Callable[[GraphArray], GraphArray]) -> onnxruntime.InferenceSession:
    """A graph of keys (N,) to normals (N, 784), on one thread."""
    with recording("normals", 18) as graph:
        z = numbers(graph_input("keys", np.uint64, ("n",))).value
        z.name, z.shape = "z", ir.Shape(("n", SIZE))
        graph.outputs.append(z)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString(), options)


def main() -> None:
    """Print a line for each arithmetic."""
    keys = sample_keys(seed_bits(SEED), np.arange(SAMPLES, dtype=np.uint64))
    exact = normals(keys, np.zeros(1, np.uint64), SIZE)
    for numbers in (in_float32, in_float64):
        run = session(numbers)
        start = time.process_time()
        z = np.asarray(run.run(None, {"keys": keys})[0])
        cost = (time.process_time() - start) / z.size * 1e9
        error = np.abs(z - exact)
        print(
            f"{numbers.__name__}: worst {error.max():.1e}, above 1e-6 {(error > 1e-6).mean():.2%}, {cost:.0f} ns each"
        )


if __name__ == "__main__":
    main()
