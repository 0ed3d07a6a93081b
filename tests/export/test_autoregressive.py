"""The sampler that draws codes one by one: against a law known in closed form, and against torch."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from scipy import stats

from gen_export.export import autoregressive, guided
from gen_export.export.graph_arrays import GraphArray
from gen_export.export.samplers import FROM_NOISE, SAMPLE, Built, build_samplers
from gen_export.export.subgraphs import inline
from gen_export.models.recipes import Autoregressive
from gen_export.spec.categorical import categorical, keep_top, next_code, temper
from gen_export.spec.noise import sample_keys, seed_bits, uniforms
from gen_export.training.preview import picture
from tests.export.analytic import OPSETS, evaluate, parse, serialized, session

Session = onnxruntime.InferenceSession
CODES, GRID, IMAGE, LENGTH = 4, (2, 3), (1, 2, 3), 6
LEVEL = 85  # code k is the byte 85 k: 2 k / 3 - 1 in [-1, 1]
RECIPE = Autoregressive(CODES, GRID, (LENGTH,))
# The law of code i: row `code before` of a chain, or `start`, tilted by a weighted sum of all codes before. The network
# knows the code before it as its input, and all of them from its cache, where each is written at its own place.
_rng = np.random.default_rng(5)
WEIGHTS = {
    "start": _rng.standard_normal((1, CODES)),
    "chain": _rng.standard_normal((CODES, CODES)),
    "hearing": np.array([[0.9, -0.7, 0.5, -0.4, 0.8, 0.0]]).T,
    "slope": np.array([[0.8, -0.5, 0.3, -0.9]]),
}
START, CHAIN, HEARING, SLOPE = (value.astype(np.float32).astype(float) for value in WEIGHTS.values())
PREDICT = """
    <ir_version: %d, opset_import: ["" : %d]>
    predict (int64[batch] code, int64[1] position, float[batch, 6] cache)
        => (float[batch, 4] logits, float[batch, 6] cache_out)
    <int64[1] zero = {0}, int64[1] one = {1}, int64[2] column = {-1, 1}, int64[6] places = {0, 1, 2, 3, 4, 5}>
    {
        before = Sub(position, one)
        here = Equal(places, before)
        number = Cast <to = 1> (code)
        numbers = Reshape(number, column)
        cache_out = Where(here, numbers, cache)
        heard = MatMul(cache_out, hearing)
        tilt = Mul(heard, slope)
        row = Gather(chain, code)
        first = Equal(position, zero)
        base = Where(first, start, row)
        logits = Add(base, tilt)
    }
"""
DECODE = """
    <ir_version: %d, opset_import: ["" : %d]>
    decode (int64[batch, 2, 3] indices) => (float[batch, 1, 2, 3] image)
    <int64[1] axis = {1}>
    {
        number = Cast <to = 1> (indices)
        level = Mul(number, scale)
        pixels = Sub(level, one)
        image = Unsqueeze(pixels, axis)
    }
"""


def networks(opset: int = 18) -> dict[str, ir.Model]:
    kind = OPSETS[opset], opset
    decoder = parse(DECODE % kind, scale=np.array(2 / 3), one=np.array(1.0))
    return {"predict": parse(PREDICT % kind, **WEIGHTS), "decode": decoder}


def built(opset: int = 18) -> dict[str, Built]:
    return {sampler.name: sampler for sampler in build_samplers(RECIPE, networks(opset), IMAGE)}


def run(session: Session, **inputs: Any) -> np.ndarray:
    """The one output; whole numbers as int64 and other numbers as float32."""
    arrays = {k: np.asarray(v, np.float32 if isinstance(v, float) else None) for k, v in inputs.items()}
    return session.run(None, arrays)[0]


def codes_of(images: np.ndarray) -> np.ndarray:
    """The codes (count, L) that the decoder turned into bytes."""
    assert images.shape[1:] == (2, 3, 1)
    return images.reshape(len(images), LENGTH) // LEVEL


def law(before: Sequence[int], temperature: float = 1.0, top_k: int = CODES) -> np.ndarray:
    """Probabilities (K,) of the code after these, float64, written without the functions under test."""
    base = CHAIN[before[-1]] if before else START[0]
    heard = sum(HEARING[i, 0] * code for i, code in enumerate(before))
    likelihoods = np.exp((base + heard * SLOPE[0]) / temperature)
    likelihoods[np.argsort(likelihoods)[: CODES - top_k]] = 0.0
    return likelihoods / likelihoods.sum()


def expected_codes(seed: int, indices: Sequence[int], **options: Any) -> np.ndarray:
    """Each code where the cumulative law passes the sample's uniform number of that position."""
    keys = sample_keys(seed_bits(seed), np.array(indices, np.uint64))
    rows = []
    for u in uniforms(keys, np.array([0], np.uint64), LENGTH):
        codes: list[int] = []
        for number in u:
            codes.append(int(np.searchsorted(law(codes, **options).cumsum(), number)))
        rows.append(codes)
    return np.array(rows)


def likeliest() -> list[int]:
    codes: list[int] = []
    for _ in range(LENGTH):
        codes.append(int(law(codes).argmax()))
    return codes


@pytest.fixture(scope="module")
def files() -> dict[str, Session]:
    return {name: session(sampler.model) for name, sampler in built().items()}


@pytest.fixture(scope="module")
def sample(files: dict[str, Session]) -> Session:
    return files[SAMPLE]


OPTIONS = [{}, {"temperature": 0.5}, {"temperature": 2.0}, {"top_k": 2}, {"temperature": 3.0, "top_k": 3}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("seed", [3, -1])
def test_codes_are_those_of_the_law_in_float64(sample: Session, seed: int, options: dict[str, Any]) -> None:
    """All of them: none of these uniform numbers lies within a logit's float32 rounding of a boundary."""
    found = codes_of(run(sample, seed=seed, count=200, **options))

    np.testing.assert_array_equal(found, expected_codes(seed, range(200), **options))


def test_drawn_codes_have_the_known_law(sample: Session) -> None:
    """Chi-square of 30,000 samples for the first three codes together and for the last; a right one fails 1 in 10^6."""
    codes = codes_of(run(sample, seed=8, count=30_000))
    joint = np.zeros((CODES,) * 3)
    last = np.zeros(CODES)
    for row in itertools.product(range(CODES), repeat=LENGTH - 1):
        likelihood = np.prod([law(row[:i])[code] for i, code in enumerate(row)])
        joint[row[:3]] += likelihood
        last += likelihood * law(row)
    first = np.bincount(np.ravel_multi_index(tuple(codes[:, :3].T), joint.shape), minlength=joint.size)

    for counts, expected in ((first, joint.ravel()), (np.bincount(codes[:, -1], minlength=CODES), last)):
        likely = expected * len(codes) >= 5  # fewer are no sample of a normal law: they count as one cell
        cells = [np.append(each[likely], each[~likely].sum()) for each in (counts, expected * len(codes))]
        cells = [each[cells[1] > 0] for each in cells]
        assert stats.chisquare(*cells).pvalue > 1e-6


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"top_k": 1}, {"temperature": 0.0, "top_k": 2}], ids=str)
def test_temperature_zero_and_top_one_draw_the_likeliest_codes(sample: Session, options: dict[str, Any]) -> None:
    codes = codes_of(run(sample, seed=4, count=50, **options))

    np.testing.assert_array_equal(codes, np.tile(likeliest(), (50, 1)))


def test_defaults_are_the_recipes(sample: Session) -> None:
    left_out = run(sample, seed=3, count=9)

    np.testing.assert_array_equal(left_out, run(sample, seed=3, count=9, first=0, temperature=1.0, top_k=CODES))
    assert RECIPE.options == {"temperature": 1.0, "top_k": CODES}


@pytest.mark.parametrize("first", [0, 5, 2**53 - 3, 2**62 - 1, 2**63 - 9])
def test_a_batch_is_its_samples_one_by_one_bit_for_bit(sample: Session, first: int) -> None:
    together = run(sample, seed=9, count=8, first=first)
    alone = [run(sample, seed=9, count=1, first=first + i) for i in range(8)]

    np.testing.assert_array_equal(together, np.concatenate(alone))
    np.testing.assert_array_equal(codes_of(together), expected_codes(9, range(first, first + 8)))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_given_the_noise_of_a_seed_the_sibling_gives_the_images_of_the_seed(
    files: dict[str, Session], options: dict[str, Any]
) -> None:
    u = RECIPE.seeded(6, np.arange(20), 0)
    found = run(files[FROM_NOISE], noise=u, **options)

    assert (u.dtype, u.shape) == (np.float64, (20, LENGTH))
    np.testing.assert_array_equal(found, run(files[SAMPLE], seed=6, count=20, **options))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_recipe_draws_the_same_codes_with_arrays(sample: Session, options: dict[str, Any]) -> None:
    predict, decode = (session(model) for model in networks().values())
    images = RECIPE.sample(
        [
            lambda code, position, cache: predict.run(
                None, {"code": code, "position": np.array([position]), "cache": cache}
            ),
            lambda indices: decode.run(None, {"indices": indices})[0],
        ],
        lambda draw: RECIPE.seeded(2, np.arange(30), draw),
        None,
        **{**RECIPE.options, **options},
    )

    np.testing.assert_array_equal(
        np.round((images + 1) * 127.5).reshape(30, LENGTH) // LEVEL, codes_of(run(sample, seed=2, count=30, **options))
    )


def test_the_reference_evaluator_gives_the_same_images(sample: Session) -> None:
    inputs = {"seed": np.array(-3), "count": np.array(4), "first": np.array(1)}
    options = {"temperature": np.array(0.7, np.float32), "top_k": np.array(3)}
    (found,) = evaluate(built()[SAMPLE].model, {**inputs, **options}, "reference")

    np.testing.assert_array_equal(found, sample.run(None, {**inputs, **options})[0])


@pytest.mark.parametrize("opset", OPSETS)
def test_every_file_is_valid_at_its_opset_and_has_its_ports(sample: Session, opset: int) -> None:
    samplers = built(opset)
    for sampler in samplers.values():
        proto = onnx.load_from_string(serialized(sampler.model))  # the full check
        file = session(sampler.model)
        assert [(o.domain, o.version) for o in proto.opset_import] == [("", opset)]
        assert {i.name for i in file.get_overridable_initializers()} == {p.name for p in sampler.inputs if p.optional}
        assert {i.name for i in file.get_inputs()} == {p.name for p in sampler.inputs if not p.optional}
    np.testing.assert_array_equal(run(session(samplers[SAMPLE].model), seed=5, count=9), run(sample, seed=5, count=9))


def test_weights_of_the_step_are_in_the_body_of_the_loop_and_those_of_the_decoder_outside() -> None:
    """From the outer graph ONNX Runtime would not pre-pack them."""
    graph = built()[SAMPLE].model.graph
    (loop,) = [node for node in graph if node.op_type == "Loop"]
    inside = {name.split("/")[-1] for name in loop.attributes["body"].value.initializers}

    assert set(WEIGHTS) <= inside
    assert not set(WEIGHTS) & {name.split("/")[-1] for name in graph.initializers}
    assert "decode/scale" in graph.initializers


def test_the_body_of_the_loop_holds_no_noise() -> None:
    """One word a code is little: all are drawn once, before it."""
    (loop,) = [node for node in built()[SAMPLE].model.graph if node.op_type == "Loop"]

    assert not [v for node in loop.attributes["body"].value for v in node.outputs if v.dtype == ir.DataType.UINT64]


# Wrong samplers, each by one change of a function that the graph takes, and the check that sees it.

UNIFORMS = uniforms


def predicted(change: Callable[..., tuple[Any, ...]]) -> tuple[Any, str, Any]:
    """The network with other inputs."""

    def wrong(model: ir.Model, *inputs: GraphArray, shaped: bool) -> list[GraphArray]:
        return inline(model, *(change(*inputs) if len(inputs) == 3 else inputs))

    return guided, "inline", wrong


def drawn(change: Callable[..., Any]) -> tuple[Any, str, Any]:
    return autoregressive, "next_code", change


MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "the code before not heard": predicted(lambda code, position, cache: (code * 0, position, cache)),
    "cache forgotten": predicted(lambda code, position, cache: (code, position, cache * 0.0)),
    "position one late": predicted(lambda code, position, cache: (code, (position - 1).clip(0, None), cache)),
    "no temperature": drawn(lambda logits, u, t, k: categorical(keep_top(logits, k), u)),
    "inverse temperature": drawn(lambda logits, u, t, k: next_code(logits, u, 1.0 / t, k)),
    "no top_k": drawn(lambda logits, u, t, k: categorical(temper(logits, t), u)),
    "one code fewer": drawn(lambda logits, u, t, k: next_code(logits, u, t, k - 1)),
    "u from the other end": drawn(lambda logits, u, t, k: next_code(logits, 1.0 - u, t, k)),
    "likeliest": drawn(lambda logits, u, t, k: next_code(logits, u, t * 0.0, k)),
    "u of one position for all": drawn(lambda logits, u, t, k: next_code(logits, u * 0.0 + 0.5, t, k)),
    "noise of another draw": (
        Autoregressive,
        "law",
        staticmethod(lambda keys, draw, size: UNIFORMS(keys, draw + 1, size)),
    ),
}


def agrees(model: ir.Model) -> bool:
    """The check that the mutants must not pass."""
    options = {"temperature": 1.5, "top_k": 3}
    images = run(session(model), seed=3, count=50, **options)
    return np.array_equal(codes_of(images), expected_codes(3, range(50), **options))


def test_the_sampler_passes_the_check_of_its_mutants() -> None:
    assert agrees(built()[SAMPLE].model)


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_wrong_sampler_is_rejected(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr(*MUTANTS[fault])

    assert not agrees(built()[SAMPLE].model)


# A whole family, traced from torch.


@pytest.fixture(scope="module")
def family(tiny_family: Callable[[str], Any]) -> Any:
    return tiny_family("vqvae")


@pytest.fixture(scope="module")
def traced_files(family: Any, traced: Callable[..., Any]) -> dict[str, Session]:
    recipe = family.recipe()
    models = {name: traced(family, family.graph(name), 18) for name in recipe.graphs}
    return {b.name: session(b.model) for b in build_samplers(recipe, models, family.image.chw)}


@pytest.mark.parametrize("options", [*OPTIONS[:4], {"temperature": 0.0}, {"top_k": 1}], ids=str)
def test_images_are_torchs_for_the_same_seed(
    traced_files: dict[str, Session], family: Any, options: dict[str, Any]
) -> None:
    """The same codes, so that only the decoder's rounding is left: one level."""
    expected = picture(family, family.recipe(), 3, 8, **options)
    found = run(traced_files[SAMPLE], seed=3, count=8, **options)

    assert found.shape == expected.shape
    assert abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_a_traced_batch_is_its_samples_one_by_one(traced_files: dict[str, Session]) -> None:
    """The same codes; the decoder's convolutions may sum a larger batch in another order: one level."""
    together = run(traced_files[SAMPLE], seed=1, count=6, first=10).astype(int)
    alone = [run(traced_files[SAMPLE], seed=1, count=1, first=10 + i) for i in range(6)]

    assert abs(together - np.concatenate(alone)).max() <= 1
    assert len(np.unique(together.reshape(6, -1), axis=0)) == 6


def test_the_traced_sibling_gives_the_images_of_the_seed(traced_files: dict[str, Session], family: Any) -> None:
    u = family.recipe().seeded(5, np.arange(4), 0)

    np.testing.assert_array_equal(run(traced_files[FROM_NOISE], noise=u), run(traced_files[SAMPLE], seed=5, count=4))
