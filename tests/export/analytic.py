"""Networks whose answers are known, as ONNX text, and how the tests build and run small graphs.

For data N(mean, variance I) the best denoiser is a closed form.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnx_ir.passes.common import NameFixPass

from gen_export.export.graph_arrays import GraphArray, graph_input, recording
from gen_export.models.recipes import Denoising
from gen_export.spec.noise import sample_normals
from gen_export.spec.pixels import to_bytes
from gen_export.spec.samplers import solve
from tests.mixture import Mixture

OPSETS = {18: 8, 23: 11}  # opset -> a version of the file format that knows it


@dataclass(frozen=True, slots=True)
class GaussianData:
    """Images N(mean, variance I), and the schedule that noises them."""

    mean: np.ndarray
    variance: float
    abars: np.ndarray

    def denoise(self, x: np.ndarray, t: int) -> np.ndarray:
        """E[eps | x_t = x], float64."""
        gain, shift = self.tables()
        return gain[t] * (x - shift[t] * self.mean)

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """`gain` and `shift` of eps_hat = gain[t] (x - shift[t] mean), float64."""
        a = self.abars.astype(np.float64)
        return np.sqrt(1.0 - a) / (a * self.variance + 1.0 - a), np.sqrt(a)

    def network(self, opset: int = 18) -> ir.Model:
        """The denoiser as an ONNX model: x (batch, C, H, W) and t -> eps_hat."""
        text = f"""
            <ir_version: {OPSETS[opset]}, opset_import: ["" : {opset}]>
            denoise (float[batch, channels, height, width] x, int64[levels] t)
                => (float[batch, channels, height, width] eps_hat)
            {{
                gain_t = Gather(gain, t)
                shift_t = Gather(shift, t)
                center = Mul(shift_t, mean)
                apart = Sub(x, center)
                eps_hat = Mul(gain_t, apart)
            }}
        """
        gain, shift = self.tables()
        return parse(text, gain=gain, shift=shift, mean=self.mean)

    def images(
        self, noise: Callable[[int], np.ndarray], steps: int, eta: float = 0.0, solver: str = "ddim", spacing="trailing"
    ) -> np.ndarray:
        """What the sampler should give for this noise, in float64 up to the bytes, (count, H, W, C)."""
        abars = self.abars.astype(np.float64)
        x = solve(self.denoise, noise(0), noise, abars, steps, solver, eta, spacing)
        return to_bytes(x).transpose(0, 2, 3, 1)

    def recipe(self, steps: int = 8, **options: str) -> Denoising:
        """How the files sample it."""
        return Denoising(self.mean.shape, self.abars.astype(np.float32), steps, **options)


@dataclass(frozen=True, slots=True)
class ClassedData:
    """Images N(mean of their class, variance I); of any class, N(the last mean, variance I).

    Guided denoising of such data is denoising of data whose mean is moved along the difference of the two.
    """

    classes: tuple[str, ...]
    means: np.ndarray
    variance: float
    abars: np.ndarray

    def guided(self, label: int, scale: float) -> GaussianData:
        """The data that a class looks like with guidance."""
        anything = self.means[-1]
        return GaussianData(anything + scale * (self.means[label] - anything), self.variance, self.abars)

    def images(self, seed: int, indices: Sequence[int], label: int, scale: float, steps: int, **how: Any) -> np.ndarray:
        """What the sampler should give, one after another: of classes in turn where the label is one more than any."""
        drawn = []
        for index in indices:
            own = index % len(self.classes) if label > len(self.classes) else label
            noise = seeded_noise(seed, [index], self.means.shape[1:])
            drawn.append(self.guided(own, scale).images(noise, steps, **how))
        return np.concatenate(drawn)

    def network(self) -> ir.Model:
        """The denoiser as an ONNX model: x (batch, C, H, W), t and labels -> eps_hat."""
        text = """
            <ir_version: 8, opset_import: ["" : 18]>
            denoise (float[batch, channels, height, width] x, int64[levels] t, int64[rows] label)
                => (float[batch, channels, height, width] eps_hat)
            {
                gain_t = Gather(gain, t)
                shift_t = Gather(shift, t)
                mean = Gather(means, label)
                center = Mul(shift_t, mean)
                apart = Sub(x, center)
                eps_hat = Mul(gain_t, apart)
            }
        """
        gain, shift = (table.reshape(-1, 1, 1, 1) for table in self.guided(0, 1.0).tables())
        return parse(text, gain=gain, shift=shift, means=self.means)

    def recipe(self, steps: int = 8) -> Denoising:
        """How the files sample it."""
        return Denoising(self.means.shape[1:], self.abars.astype(np.float32), steps, classes=self.classes)


def mixture_network(data: Mixture) -> ir.Model:
    """The exact denoiser of a mixture in the plane as an ONNX model: x (batch, 1, 1, 2) and t -> eps_hat."""
    centers, precisions, levels = (np.stack(rows) for rows in zip(*map(data.law, range(len(data.abars))), strict=True))
    text = """
        <ir_version: 8, opset_import: ["" : 18]>
        denoise (float[batch, 1, 1, 2] x, int64[1] t) => (float[batch, 1, 1, 2] eps_hat)
        {
            center = Gather(centers, t)
            precision = Gather(precisions, t)
            level = Gather(levels, t)
            noise_rate = Gather(noise_rates, t)
            apart = Sub(x, center)
            pulls = MatMul(apart, precision)
            products = Mul(apart, pulls)
            exponents = MatMul(products, minus_halves)
            logits = Add(exponents, level)
            row = Transpose <perm = [0, 3, 2, 1]> (logits)
            shares = Softmax <axis = -1> (row)
            columns = Transpose <perm = [0, 2, 1, 3]> (pulls)
            pull = MatMul(shares, columns)
            eps_hat = Mul(noise_rate, pull)
        }
    """
    tables = {"centers": centers[:, :, None], "precisions": precisions, "levels": levels[:, :, None, None]}
    rates = np.sqrt(1.0 - data.abars)[:, None, None, None]
    model = parse(text, **tables, noise_rates=rates, minus_halves=np.full((2, 1), -0.5))
    return ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(model)))  # types, as a traced network has


def parse(text: str, **weights: np.ndarray) -> ir.Model:
    """A model from ONNX text with float32 weights."""
    proto = onnx.parser.parse_model(text)
    tensors = [onnx.numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()]
    proto.graph.initializer.extend(tensors)
    return ir.from_proto(proto)


def seeded_noise(seed: int, indices: Sequence[int], shape: tuple[int, ...]) -> Callable[[int], np.ndarray]:
    """Draw j of the samples, float64 (N, *shape)."""
    numbers = np.array([i % 2**64 for i in indices], np.uint64)
    return lambda j: sample_normals(seed, numbers, j, shape).astype(np.float64)


def graph_of(
    compute: Callable[..., GraphArray | Sequence[GraphArray]],
    inputs: Mapping[str, np.ndarray],
    opset: int = 18,
    shape: Sequence[int | str] | None = None,
) -> ir.Model:
    """The model that `compute` records when it is called with inputs like these; outputs y0, y1, ...

    The outputs' shapes are inferred, or `shape` where they cannot be, as behind a Loop.
    """
    with recording("small", opset) as graph:
        arrays = [graph_input(name, value.dtype, value.shape) for name, value in inputs.items()]
        results = compute(*arrays)
        for i, result in enumerate(results if isinstance(results, list | tuple) else [results]):
            result.value.name, result.value.shape = f"y{i}", shape and ir.Shape(shape)
            graph.outputs.append(result.value)
    model = ir.Model(graph, ir_version=OPSETS[opset])
    NameFixPass()(model)
    return ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(model), strict_mode=True))


def session(model: ir.Model | bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """The model in ONNX Runtime on the CPU, after the checker has passed it."""
    data = model if isinstance(model, bytes) else serialized(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # it warns of every optional input
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def serialized(model: ir.Model) -> bytes:
    """The bytes of a model that the checker finds valid."""
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString()


def evaluate(model: ir.Model, inputs: Mapping[str, Any], by: str = "onnxruntime") -> list[np.ndarray]:
    """Outputs of a model by ONNX Runtime or by ONNX's own reference evaluator."""
    if by == "onnxruntime":
        return session(model).run(None, dict(inputs))
    return ReferenceEvaluator(ir.to_proto(model)).run(None, dict(inputs))
