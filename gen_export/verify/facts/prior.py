"""Facts of ours about the learned prior of a VQ-VAE and its sampler: the files agree with one step at a time.

The prior is stepped through with the file `predict`, one code at a time and the cache in hand, as the sampler does
inside its graph and as a host without it would.
"""

from collections.abc import Callable, Iterator

import numpy as np

from gen_export.errors import NothingToCheckError
from gen_export.spec.categorical import categorical, keep_top, next_code, temper
from gen_export.spec.guidance import guide
from gen_export.verify.fact import Finding, fact, same_bits, worst_of
from gen_export.verify.facts import codes
from gen_export.verify.facts.agreement import APART, close, close_bytes
from gen_export.verify.files import Files, random
from gen_export.verify.labels import told
from gen_runtime.inputs import Array

BATCH = 4
SETTINGS = ((1.0, None), (0.7, 3), (0.0, None), (1.5, 2))
"""Temperature, and among how many codes; None for all."""
SCALE = 0.5
"""Of the guidance where there are classes: between the two rows of logits, so that it does not enlarge their errors."""
_VQVAE = ("vqvae",)
_OURS = "gen_export.vqvae.{}".format
Choose = Callable[[Array, int], Array]


def steps(files: Files, batch: int, choose: Choose, guided: bool = False) -> Iterator[tuple[Array, Array]]:
    """The logits (B, K) of every position, and the codes (B,) that `choose` takes of them.

    Args:
        files: The model.
        batch: B.
        choose: Of logits and their position.
        guided: Whether they are guided to the first class, where there are any.
    """
    known = {} if not guided else told(files, "predict", 0)
    ways = [known, told(files, "predict")] if known else [known]
    code, empty = np.zeros(batch, np.int64), np.zeros_like(files.inputs("predict", batch, "steps")["cache"])
    caches = [empty] * len(ways)
    for position in range(int(np.prod(codes.grid(files)))):
        at = {"code": code, "position": np.array([position])}
        runs = [files.run("predict", {**at, "cache": cache, **way}) for cache, way in zip(caches, ways, strict=True)]
        caches, found = [run["cache_out"] for run in runs], [run["logits"] for run in runs]
        logits = guide(*found, np.float32(SCALE)) if known else found[0]
        code = choose(logits, position)
        yield logits, code


@fact(_OURS("nll_is_the_sum_over_steps"), "tolerance", families=_VQVAE, graphs=("nll", "predict", "lookup"))
def likelihood_is_that_of_the_steps(files: Files) -> Finding:
    """nll = sum over positions of -log softmax(logits) at the code: the cached steps are the whole transformer."""
    indices = files.inputs("nll", BATCH, "nll")["indices"]
    rows = indices.reshape(BATCH, -1)
    nats = [_nats(logits, code) for logits, code in steps(files, BATCH, lambda _, position: rows[:, position])]
    return close(files.run("nll", {"indices": indices})["nats"], np.sum(nats, axis=0), BATCH)


def _nats(logits: Array, code: Array) -> Array:
    """The negative logarithms of the probabilities (B,) of codes (B,)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(code)), code]


def _caches(files: Files, purpose: str) -> tuple[Array, Array, int]:
    """Two caches that differ from a middle position on, and that position."""
    first, second = (files.inputs("predict", BATCH, f"{purpose} {which}")["cache"] for which in "ab")
    middle = first.shape[-2] // 2
    second[..., :middle, :] = first[..., :middle, :]
    return first, second, middle


@fact(_OURS("predict_ignores_the_code_at_the_start"), "exact", families=_VQVAE, graphs=("predict", "lookup"))
def first_code_has_none_before_it(files: Files) -> Finding:
    """At position 0 the logits do not depend on the code."""
    cache = _caches(files, "first code")[0]
    last = np.int64(codes.count(files) - 1)
    given = [np.zeros(BATCH, np.int64), np.full(BATCH, last)]
    at = {"position": np.array([0]), "cache": cache}
    found, expected = (files.run("predict", {**at, "code": code})["logits"] for code in given)
    return same_bits(found, expected, BATCH)


@fact(_OURS("predict_reads_the_past_alone"), "exact", families=_VQVAE, graphs=("predict",))
def logits_do_not_depend_on_what_follows(files: Files) -> Finding:
    """The logits of a position do not depend on the cache at it and after it."""
    first, second, middle = _caches(files, "past")
    given = files.inputs("predict", BATCH, "past")["code"]
    at = {"code": given, "position": np.array([middle])}
    found, expected = (files.run("predict", {**at, "cache": cache})["logits"] for cache in (first, second))
    return same_bits(found, expected, BATCH)


@fact(_OURS("predict_keeps_the_past"), "exact", families=_VQVAE, graphs=("predict",))
def cache_changes_at_one_position(files: Files) -> Finding:
    """Every step gives back the cache as it was but for its own position."""
    cache, _, middle = _caches(files, "kept")
    given = files.inputs("predict", BATCH, "kept")["code"]
    found = files.run("predict", {"code": given, "position": np.array([middle]), "cache": cache})["cache_out"]
    return same_bits(np.delete(found, middle, axis=-2), np.delete(cache, middle, axis=-2), BATCH)


@fact(
    _OURS("sampler_is_its_parts"),
    "tolerance",
    hypotheses="no choice of a code so near another that rounding decides",
    families=_VQVAE,
    graphs=("sample_from_noise", "predict", "decode", "lookup"),
)
def sampler_steps_draws_and_decodes(files: Files) -> Finding:
    """Images of noise u are decode of the codes that next_code(logits, u, temperature, top_k) takes step by step.

    With classes they are images of the first, guided.
    """
    tried = [_sampled(files, temperature, top_k or codes.count(files)) for temperature, top_k in SETTINGS]
    findings = [finding for finding in tried if finding]
    if not findings:
        raise NothingToCheckError("expected a row of codes that rounding does not decide, found none")
    return worst_of(findings)


def _sampled(files: Files, temperature: float, top_k: int) -> Finding | None:
    """The sampler beside its parts, None where rounding may decide in every row.

    Each u lies amid the numbers that draw its code, which is one of those whose share is too large for rounding.
    """
    rng, warmth = random(f"sampler {temperature} {top_k}"), np.float64(np.float32(temperature))
    top_k, noise, sure = min(top_k, codes.count(files)), [], np.ones(BATCH, bool)

    def choose(logits: Array, _: int) -> Array:
        law = _law(logits, warmth, top_k)
        large = law > 4.0 * APART
        possible = np.where(large.any(axis=1, keepdims=True), large, law > 0.0)
        drawn = categorical(np.log(law, where=possible, out=np.full(law.shape, -np.inf)), rng.random(BATCH))
        share = np.take_along_axis(law, drawn[:, None], axis=1)[:, 0]
        noise.append(np.take_along_axis(np.cumsum(law, axis=1), drawn[:, None], axis=1)[:, 0] - share / 2.0)
        sure[:] &= large.any(axis=1) & _told_apart(logits, 1 if temperature == 0.0 else top_k)
        return next_code(logits, noise[-1], warmth, top_k)

    drawn = np.stack([code for _, code in steps(files, BATCH, choose, guided=True)], axis=1)
    if not sure.any():
        return None
    options = {"temperature": np.float32(temperature), "top_k": np.int64(top_k)}
    given = {name: np.asarray(value) for name, value in options.items()}
    if label := told(files, "sample_from_noise", 0):
        given |= {**label, "guidance": np.array(SCALE, np.float32)}
    images = files.run("sample_from_noise", {"noise": np.stack(noise, axis=1)[sure], **given})["images"]
    return close_bytes(images, files.run("decode", {"indices": drawn[sure].reshape(-1, *codes.grid(files))})["image"])


def _law(logits: Array, temperature: np.float64, top_k: int) -> Array:
    """The probabilities (B, K) that a code is drawn with."""
    weights = np.exp(keep_top(temper(logits, temperature), top_k))
    return weights / weights.sum(axis=1, keepdims=True)


def _told_apart(logits: Array, top_k: int) -> Array:
    """Whether the k-th largest logit is further above the next than two files may be apart, (B,)."""
    ranked = np.sort(logits.astype(np.float64), axis=1)[:, ::-1]
    if top_k == ranked.shape[1]:
        return np.ones(len(ranked), bool)
    return ranked[:, top_k - 1] - ranked[:, top_k] > APART * np.maximum(1.0, np.abs(ranked).max(axis=1))
