import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from gen_export.export import sampler_graph
from gen_export.export.denoising import STEP
from gen_export.export.sampler_graph import Built
from gen_export.export.samplers import FROM_NOISE, SAMPLE, build_samplers
from gen_export.models.recipes import OneShot, Recipe
from gen_export.spec import diffusion, noise, pixels, schedules, solvers
from gen_export.spec.noise import sample_normals
from gen_export.spec.pixels import to_bytes
from gen_export.spec.schedules import SPACINGS
from gen_export.spec.solvers import SOLVERS
from tests.export.analytic import OPSETS, GaussianData, evaluate, parse, seeded_noise, serialized, session

Session = onnxruntime.InferenceSession
SHAPE = (3, 4, 5)
# The share of values that float32 may put on the other side of a rounding: measured 0.7 % after one step from x_T,
# whose clean image divides by sqrt(abar_T) = 0.001, and 0.05 % after more.
ROUNDED_APART = 0.01


def built(data: GaussianData, opset: int = 18, unroll: int | None = None, **options: str) -> dict[str, Built]:
    samplers = build_samplers(data.recipe(**options), {"denoise": data.network(opset)}, SHAPE, unroll)
    return {sampler.name: sampler for sampler in samplers}


def run(session: Session, **inputs: Any) -> np.ndarray:
    """The one output; whole numbers as int64 and other numbers as float32."""
    arrays = {k: np.asarray(v, np.float32 if isinstance(v, float) else None) for k, v in inputs.items()}
    return session.run(None, arrays)[0]


def levels_apart(found: np.ndarray, expected: np.ndarray) -> tuple[int, float]:
    """Most grey levels two sets of images differ by, and the share of values that differ."""
    assert found.dtype == expected.dtype == np.uint8
    apart = abs(found.astype(int) - expected.astype(int))
    return int(apart.max()), float((apart > 0).mean())


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    """Within one grey level everywhere, and equal nearly everywhere."""
    most, share = levels_apart(found, expected)
    return most <= 1 and share <= ROUNDED_APART


@pytest.fixture(scope="module")
def files(gaussian: GaussianData) -> dict[str, Session]:
    return {name: session(sampler.model) for name, sampler in built(gaussian).items()}


@pytest.fixture(scope="module")
def sample(files: dict[str, Session]) -> Session:
    return files[SAMPLE]


@pytest.mark.parametrize(("steps", "eta"), [(1, 0.0), (7, 0.0), (7, 0.6), (8, 1.0), (40, 0.0), (40, 1.0)])
def test_images_are_those_of_the_equations_in_float64(
    sample: Session, gaussian: GaussianData, steps: int, eta: float
) -> None:
    """Steps 40 = T included."""
    expected = gaussian.images(seeded_noise(3, range(6), SHAPE), steps, float(np.float32(eta)))
    found = run(sample, seed=3, count=6, steps=steps, eta=eta)

    assert found.shape == (6, 4, 5, 3)
    assert close(found, expected)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_every_solver_gives_the_images_of_its_equations_in_float64(
    sample: Session, gaussian: GaussianData, solver: str, steps: int
) -> None:
    expected = gaussian.images(seeded_noise(3, range(6), SHAPE), steps, 0.0, solver)

    assert close(run(sample, seed=3, count=6, steps=steps, solver=list(SOLVERS).index(solver)), expected)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("solver", ["ddim", "heun", "dpmpp_2m"])
def test_every_spacing_is_visited_as_the_equations_say(gaussian: GaussianData, spacing: str, solver: str) -> None:
    file = session(built(gaussian, spacing=spacing)[SAMPLE].model)
    expected = gaussian.images(seeded_noise(3, range(6), SHAPE), 7, 0.0, solver, spacing)

    most, _ = levels_apart(run(file, seed=3, count=6, steps=7, solver=list(SOLVERS).index(solver)), expected)
    assert most <= 1


@pytest.mark.parametrize("solver", SOLVERS)
def test_unrolled_every_solver_gives_the_bytes_of_its_loop(
    sample: Session, gaussian: GaussianData, solver: str
) -> None:
    row = built(gaussian, unroll=3, solver=solver)
    assert not [node for node in row[SAMPLE].model.graph.all_nodes() if node.op_type in ("Loop", "If")]

    found = run(session(row[SAMPLE].model), seed=3, count=4)
    assert close(found, run(sample, seed=3, count=4, steps=3, solver=list(SOLVERS).index(solver)))


def test_images_have_the_law_of_the_data(sample: Session, gaussian: GaussianData) -> None:
    """Mean and spread of 4000 images in bytes, where the law is far from the clipped ends.

    The mean has a standard error of 0.6 levels, so 5 of them; the sampler at T steps leaves 4 to 8 % of the spread out.
    """
    inside = abs(gaussian.mean.transpose(1, 2, 0)) < 0.15
    images = run(sample, seed=1, count=4000, steps=40)[:, inside].astype(float)
    mean = (gaussian.mean.transpose(1, 2, 0)[inside] + 1) * 127.5

    np.testing.assert_allclose(images.mean(0), mean, atol=5 * 127.5 * 0.3 / np.sqrt(4000))
    np.testing.assert_allclose(images.std(0), 127.5 * 0.3, rtol=0.15)


def test_defaults_are_the_recipes(sample: Session, gaussian: GaussianData) -> None:
    left_out = run(sample, seed=3, count=2)

    np.testing.assert_array_equal(left_out, run(sample, seed=3, count=2, first=0, steps=8, eta=0.0))


@pytest.mark.parametrize("first", [0, 5, 2**53 - 3, 2**62 - 1, 2**63 - 9])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_batch_is_its_samples_one_by_one_bit_for_bit(sample: Session, first: int, eta: float) -> None:
    together = run(sample, seed=9, count=8, first=first, steps=5, eta=eta)
    alone = [run(sample, seed=9, count=1, first=first + i, steps=5, eta=eta) for i in range(8)]

    np.testing.assert_array_equal(together, np.concatenate(alone))
    assert len(np.unique(together.reshape(8, -1), axis=0)) == 8


@pytest.mark.parametrize("first", [2**53 + 1, 2**62 + 3])
def test_samples_of_huge_indices_are_their_own(sample: Session, gaussian: GaussianData, first: int) -> None:
    expected = gaussian.images(seeded_noise(4, range(first, first + 3), SHAPE), 6, 0.0)

    assert close(run(sample, seed=4, count=3, first=first, steps=6), expected)


@pytest.mark.parametrize("seed", [0, -1, -42, 2**63 - 1, -(2**63)])
def test_any_64_bits_are_a_seed(sample: Session, gaussian: GaussianData, seed: int) -> None:
    found = run(sample, seed=seed, count=4, steps=6, eta=0.5)

    assert close(found, gaussian.images(seeded_noise(seed, range(4), SHAPE), 6, 0.5))


def test_seeds_give_different_images(sample: Session) -> None:
    images = [run(sample, seed=seed, count=1).tobytes() for seed in range(-20, 20)]

    assert len(set(images)) == 40


def test_no_steps_give_the_noise_as_bytes(sample: Session) -> None:
    """`ddimSample_zero_steps`."""
    expected = to_bytes(sample_normals(2, np.arange(3), 0, SHAPE)).transpose(0, 2, 3, 1)

    np.testing.assert_array_equal(run(sample, seed=2, count=3, steps=0, eta=1.0), expected)


@pytest.mark.parametrize(("steps", "eta"), [(6, 0.0), (6, 0.7)])
def test_given_the_noise_of_a_seed_the_sibling_gives_the_images_of_the_seed(
    files: dict[str, Session], steps: int, eta: float
) -> None:
    initial, *fresh = [sample_normals(8, np.arange(5), j, SHAPE) for j in range(steps + 1)]
    found = run(files[FROM_NOISE], noise=initial, step_noise=np.stack(fresh), steps=steps, eta=eta)

    np.testing.assert_array_equal(found, run(files[SAMPLE], seed=8, count=5, steps=steps, eta=eta))


def test_without_eta_the_noise_of_the_steps_is_not_looked_at(files: dict[str, Session]) -> None:
    initial = sample_normals(8, np.arange(2), 0, SHAPE)
    expected = run(files[SAMPLE], seed=8, count=2, steps=4)

    np.testing.assert_array_equal(run(files[FROM_NOISE], noise=initial, steps=4), expected)
    odd = np.full((4, 2, *SHAPE), np.nan, np.float32)
    np.testing.assert_array_equal(run(files[FROM_NOISE], noise=initial, step_noise=odd, steps=4), expected)


def test_fresh_noise_changes_the_images(sample: Session) -> None:
    images = [run(sample, seed=8, count=2, steps=4, eta=eta) for eta in (0.0, 0.5, 1.0)]

    assert levels_apart(images[0], images[1])[0] > 5
    assert levels_apart(images[1], images[2])[0] > 5


@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize("steps", [1, 6])
def test_unrolled_the_sampler_gives_the_same_bytes_without_a_loop(
    files: dict[str, Session], gaussian: GaussianData, steps: int, eta: float
) -> None:
    row = built(gaussian, unroll=steps)
    ops = {node.op_type for node in row[SAMPLE].model.graph.all_nodes()}
    found = run(session(row[SAMPLE].model), seed=8, count=5, first=2, eta=eta)

    assert not ops & {"Loop", "If", "Scan"}
    assert "steps" not in [port.name for port in row[SAMPLE].inputs]
    np.testing.assert_array_equal(found, run(files[SAMPLE], seed=8, count=5, first=2, steps=steps, eta=eta))


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_unrolled_the_sibling_gives_the_same_bytes(
    files: dict[str, Session], gaussian: GaussianData, eta: float
) -> None:
    row = session(built(gaussian, unroll=3)[FROM_NOISE].model)
    initial, *fresh = [sample_normals(8, np.arange(5), j, SHAPE) for j in range(4)]
    found = run(row, noise=initial, step_noise=np.stack(fresh), eta=eta)

    np.testing.assert_array_equal(found, run(files[SAMPLE], seed=8, count=5, steps=3, eta=eta))


def test_unrolled_the_sibling_needs_the_noise_of_every_step(gaussian: GaussianData) -> None:
    """Without an If it reads it whatever eta is, so its port must not be optional."""
    ports = {port.name: port for port in built(gaussian, unroll=3)[FROM_NOISE].inputs}

    assert (ports["step_noise"].optional, ports["step_noise"].shape[0]) == (False, 3)


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_steps_one_after_the_other_are_the_sampler(
    files: dict[str, Session], gaussian: GaussianData, eta: float
) -> None:
    x, *fresh = [sample_normals(8, np.arange(5), j, SHAPE) for j in range(7)]
    for j in range(6):
        t, s = (int(schedules.trailing_state(k, 6, 40)) for k in (j, j + 1))
        x = run(files[STEP], x=x, t=t, s=s, eta=eta, **({"z": fresh[j]} if eta else {}))

    found = to_bytes(x).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(found, run(files[SAMPLE], seed=8, count=5, steps=6, eta=eta))


def test_threads_do_not_change_the_images_by_more_than_a_level(gaussian: GaussianData) -> None:
    model = serialized(built(gaussian)[SAMPLE].model)
    images = [run(session(model, threads), seed=5, count=64, steps=10, eta=1.0) for threads in (1, 2, 4)]

    assert all(close(other, images[0]) for other in images[1:])


def test_a_fresh_process_gives_the_same_images(sample: Session, gaussian: GaussianData, tmp_path: Path) -> None:
    (tmp_path / "sample.onnx").write_bytes(serialized(built(gaussian)[SAMPLE].model))
    script = """if True:
        import numpy, onnxruntime
        onnxruntime.set_default_logger_severity(3)
        session = onnxruntime.InferenceSession("sample.onnx", providers=["CPUExecutionProvider"])
        (images,) = session.run(None, {"seed": numpy.array(5), "count": numpy.array(8)})
        numpy.save("images.npy", images)
    """
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)

    assert close(np.load(tmp_path / "images.npy"), run(sample, seed=5, count=8))


def test_the_reference_evaluator_gives_the_same_images(sample: Session, gaussian: GaussianData) -> None:
    inputs = {"seed": np.array(-3), "count": np.array(2), "steps": np.array(3), "eta": np.array(0.5, np.float32)}
    (found,) = evaluate(built(gaussian)[SAMPLE].model, {**inputs, "first": np.array(1)}, "reference")

    assert close(found, run(sample, seed=-3, count=2, first=1, steps=3, eta=0.5))


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("unroll", [None, 2])
def test_every_file_is_valid_at_its_opset_and_old_enough_for_the_runtime(
    gaussian: GaussianData, opset: int, unroll: int | None
) -> None:
    for sampler in built(gaussian, opset, unroll).values():
        proto = onnx.load_from_string(serialized(sampler.model))  # the full check
        assert [(o.domain, o.version) for o in proto.opset_import] == [("", opset)]
        assert proto.ir_version <= 11
        assert [i.name for i in proto.graph.input] == [port.name for port in sampler.inputs]
        assert [o.name for o in proto.graph.output] == [port.name for port in sampler.outputs]


def test_images_do_not_depend_on_the_opset(sample: Session, gaussian: GaussianData) -> None:
    newer = session(built(gaussian, opset=23)[SAMPLE].model)

    np.testing.assert_array_equal(
        run(newer, seed=5, count=4, steps=6, eta=0.5), run(sample, seed=5, count=4, steps=6, eta=0.5)
    )


def test_ports_are_those_of_the_file(gaussian: GaussianData) -> None:
    for sampler in built(gaussian).values():
        file = session(sampler.model)
        optional = {i.name for i in file.get_overridable_initializers()}
        required = {i.name for i in file.get_inputs()}
        assert optional == {port.name for port in sampler.inputs if port.optional}
        assert required == {port.name for port in sampler.inputs if not port.optional}


def test_the_weights_are_in_the_body_of_the_loop(gaussian: GaussianData) -> None:
    """From the outer graph ONNX Runtime would not pre-pack them."""
    graph = built(gaussian)[SAMPLE].model.graph
    (loop,) = [node for node in graph if node.op_type == "Loop"]
    inside = {name.split("/")[-1].split("_")[0] for name in loop.attributes["body"].value.initializers}

    assert {"gain", "shift", "mean"} <= inside
    assert max(v.const_value.size for v in graph.initializers.values()) <= len(SOLVERS)


def test_the_noise_of_a_step_is_drawn_only_where_eta_asks(gaussian: GaussianData) -> None:
    """It costs as much as a layer: in the body its words are within the branch of an If."""
    graph = built(gaussian)[SAMPLE].model.graph
    (loop,) = [node for node in graph if node.op_type == "Loop"]

    assert not [node for node in loop.attributes["body"].value if node.op_type in ("Log", "Cos", "Sin")]
    assert [node for node in loop.attributes["body"].value.all_nodes() if node.op_type == "Log"]


# Wrong samplers, each by one change of a function that the builders take from the spec, and the check that sees it.

MEAN, SIGMA, NORMALS = diffusion.image_ddim_mean, diffusion.ddim_sigma, noise.normals


def unclipped(x: Any, eps_hat: Any, abar_t: Any, abar_s: Any, sigma: Any) -> Any:
    x_0 = diffusion.image_x0(x, eps_hat, abar_t, postprocess=lambda x: x)
    return diffusion.sqrt_nonneg(abar_s) * x_0 + diffusion.sqrt_nonneg(1.0 - abar_s - sigma * sigma) * eps_hat


def law(mean: Callable[..., Any] = MEAN, sigma: Callable[..., Any] = SIGMA) -> tuple[str, Callable[..., Any]]:
    """The law of a step with another mean or another scale of its noise."""

    def wrong(x: Any, eps_hat: Any, abar_t: Any, abar_s: Any, eta: Any) -> Any:
        scale = sigma(abar_t, abar_s, eta)
        return mean(x, eps_hat, abar_t, abar_s, scale), scale

    return "image_ddim_law", wrong


def rotated(by: Callable[[Any], Any]) -> Callable[..., Any]:
    """Normals whose words swap their halves by another rule."""

    def wrong(keys: Any, draw: Any, size: int) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(noise, "_swap_halves", by)
            return NORMALS(keys, draw, size)

    return wrong


MUTANTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "levels swapped": law(mean=lambda x, e, t, s, sigma: MEAN(x, e, s, t, sigma)),
    "not clipped": law(mean=unclipped),
    "direction without sigma": law(mean=lambda x, e, t, s, sigma: MEAN(x, e, t, s, sigma * 0.0)),
    "sigma of swapped levels": law(sigma=lambda t, s, eta: SIGMA(s, t, eta)),
    "sigma without eta": law(sigma=lambda t, s, eta: SIGMA(t, s, eta * 0.0 + 1.0)),
    "no rotation": ("law", rotated(lambda x: x)),
    "rotation by 16": ("law", rotated(lambda x: x // 2**16 + x * 2**48)),
    "rotation without its low half": ("law", rotated(lambda x: x // 2**32)),
    "draw off by one": ("law", lambda keys, draw, size: NORMALS(keys, draw + 1, size)),
    "draw not counted": ("law", lambda keys, draw, size: NORMALS(keys, draw * 0, size)),
    "leading states": ("trailing", lambda j, n, states: schedules.trailing_state(j, n, states) - 1),
    "states rounded down": ("trailing", lambda j, n, states: states * (n - j) // n),
    "one step ahead": ("trailing", lambda j, n, states: schedules.trailing_state(j + 1, n, states)),
    "bytes cut, not rounded": ("to_bytes", lambda x: to_bytes(x - 0.5 / 127.5)),
    "bytes of [0, 1]": ("to_bytes", lambda x: to_bytes(2.0 * x - 1.0)),
    "sample not in its key": ("sample_keys", lambda seed, index: noise.sample_keys(seed, index * 0)),
    "seed not in its key": ("sample_keys", lambda seed, index: noise.sample_keys(seed * 0, index)),
}


WHERE = {
    "image_ddim_law": solvers,
    "law": Recipe,
    "to_bytes": pixels,
    "sample_keys": sampler_graph,
}


def agrees(model: ir.Model, data: GaussianData) -> bool:
    """The check that the mutants must not pass: bytes of 7 steps of 40 at eta = 0.7 against float64."""
    expected = data.images(seeded_noise(3, range(6), SHAPE), 7, float(np.float32(0.7)))
    with np.errstate(invalid="ignore"):
        return close(run(session(model), seed=3, count=6, steps=7, eta=0.7), expected)


def test_the_sampler_passes_the_check_of_its_mutants(gaussian: GaussianData) -> None:
    assert agrees(built(gaussian)[SAMPLE].model, gaussian)


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_wrong_sampler_is_rejected(gaussian: GaussianData, fault: str) -> None:
    name, wrong = MUTANTS[fault]
    with pytest.MonkeyPatch.context() as patch:
        if name in WHERE:
            patch.setattr(WHERE[name], name, staticmethod(wrong) if name == "law" else wrong)
        else:
            patch.setitem(SPACINGS, name, wrong)
        model = built(gaussian)[SAMPLE].model

    assert not agrees(model, gaussian)


# One call of a decoder.

DECODER = """
    <ir_version: 8, opset_import: ["" : 18]>
    decode (float[batch, latent] z) => (float[batch, channels, height, width] x)
    <int64[4] image = {-1, 3, 4, 5}>
    {
        linear = Gemm(z, weight, bias)
        flat = Tanh(linear)
        x = Reshape(flat, image)
    }
"""


@pytest.fixture(scope="module")
def decoder() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"weight": rng.standard_normal((7, 60)), "bias": rng.standard_normal(60)}


@pytest.fixture(scope="module")
def one_shot(decoder: dict[str, np.ndarray]) -> dict[str, Built]:
    return {b.name: b for b in build_samplers(OneShot((7,)), {"decode": parse(DECODER, **decoder)}, SHAPE)}


def test_one_call_decodes_the_noise_of_the_seed(one_shot: dict[str, Built], decoder: dict[str, np.ndarray]) -> None:
    z = sample_normals(-6, np.arange(3, 13), 0, (7,)).astype(np.float64)
    weight, bias = (decoder[name].astype(np.float32).astype(np.float64) for name in ("weight", "bias"))
    expected = to_bytes(np.tanh(z @ weight + bias).reshape(-1, *SHAPE)).transpose(0, 2, 3, 1)

    assert close(run(session(one_shot[SAMPLE].model), seed=-6, count=10, first=3), expected)


@pytest.mark.parametrize("first", [0, 2**53 + 1, 2**62])
def test_one_call_of_a_batch_is_its_samples_one_by_one(one_shot: dict[str, Built], first: int) -> None:
    file = session(one_shot[SAMPLE].model)
    alone = [run(file, seed=1, count=1, first=first + i) for i in range(8)]

    np.testing.assert_array_equal(run(file, seed=1, count=8, first=first), np.concatenate(alone))


def test_one_call_has_a_sibling_and_no_step_options_or_loop(one_shot: dict[str, Built]) -> None:
    z = sample_normals(2, np.arange(4), 0, (7,))

    assert list(one_shot) == [SAMPLE, FROM_NOISE]
    assert [port.name for port in one_shot[SAMPLE].inputs] == ["seed", "count", "first"]
    assert [port.name for port in one_shot[FROM_NOISE].inputs] == ["noise"]
    assert not {node.op_type for node in one_shot[SAMPLE].model.graph} & {"Loop", "If"}
    np.testing.assert_array_equal(
        run(session(one_shot[FROM_NOISE].model), noise=z), run(session(one_shot[SAMPLE].model), seed=2, count=4)
    )
