"""Facts of a diffusion file's certificate: Lipschitz constants of its denoiser and of its sampler's steps."""

from typing import Any

import numpy as np

from gen_export.errors import NoCertificateError
from gen_export.spec.solver_constants import STEP_CONSTANTS
from gen_export.verify.certificate import RunCertificate, certify, file_alpha_bars
from gen_export.verify.confrontation import STEP_ROUNDING, worst_ratios
from gen_export.verify.fact import Finding, fact, worst
from gen_export.verify.files import Files
from gen_export.verify.process import DIFFUSION

STEPS, PAIRS = 10, 10_000
"""At most so many steps, spread over the run, and pairs tried at each: `certify` tries all."""
CHOICES = 2.0**-20
"""How far two computers' proofs may be apart: a norm's square is proven 2^-30 above the eigenvalue that is found, or as
many times twice that as it takes."""
_OURS = "gen_export.diffusion.{}".format


def _certified(files: Files) -> tuple[RunCertificate | None, str]:
    """The certificate of the file's own run, or why there is none."""
    try:
        return certify(files, None), ""
    except NoCertificateError as error:
        return None, str(error.__cause__)


def _solvers(section: Any) -> list[list[str]]:
    """The solvers of its steps and of its runs."""
    return [sorted(section.get(name) or {}) for name in ("log10", "run_log10")]


def _numbers(section: Any) -> np.ndarray:
    """The numbers of a card's certificate in a row, constants as logarithms."""
    rows = [np.ravel(section["slopes"]), *(section["log10"][solver] for solver in STEP_CONSTANTS)]
    runs = section["run_log10"]
    return np.concatenate([*rows, [section["lipschitz"]], [runs[solver] for solver in sorted(runs)]]).astype(np.float64)


@fact(
    _OURS("certificate_follows_from_the_weights"),
    "certified",
    families=DIFFUSION,
    graphs=("sample", "denoise"),
    hypotheses="over the real numbers, for the weights in the file",
)
def certificates_are_recomputed(files: Files) -> Finding:
    """The constants in the card are those proven anew from the weights; or it says which node has none, and why."""
    said: Any = files.card.certificate or {}
    certificate, reason = _certified(files)
    if certificate is None:
        return Finding(float(said.get("refused") != reason), 0.0, 1, f"no certificate: {reason}")
    found = certificate.section()
    if (said.get("steps"), _solvers(said)) != (found["steps"], _solvers(found)):
        return Finding(float("inf"), CHOICES, 1, "the card has no certificate of the file's own run")
    stored, expected = _numbers(said), _numbers(found)
    return worst(np.abs(stored - expected) / np.maximum(1.0, np.abs(expected)), CHOICES, expected.size, "relative")


@fact(
    _OURS("steps_keep_their_constants"),
    "sampled",
    families=DIFFUSION,
    graphs=("sample", "denoise", "step"),
    hypotheses="the certificate's, and float32 rounding of at most 1e-5 of the network's output",
)
def steps_keep_their_constants(files: Files) -> Finding:
    """At ten steps of the run, no solver takes any two of 10,000 pairs of images further apart than its constant.

    Where that is below 1, the step contracts: for ddim_spec it discharges the hypothesis of
    ddimStepSystem_contracts_of_step_contracts, for euler that of pfOdeEulerSystem_contracts_of_step_contracts.
    """
    certificate, reason = _certified(files)
    if certificate is None:
        return Finding(0.0, 0.0, 1, f"no certificate: {reason}")
    abars, over, tried = file_alpha_bars(files), [], 0
    for step in certificate.steps[:: -(-len(certificate.steps) // STEPS)]:
        ratios, pairs = worst_ratios(files, step, abars, PAIRS)
        over += [(ratio - step.constants[solver]) / step.sizes[solver] for solver, ratio in ratios.items()]
        tried += pairs * len(ratios)
    below = ", ".join(f"{solver} {certificate.contracting(solver)}" for solver in ("ddim_spec", "euler"))
    return worst(
        over,
        STEP_ROUNDING,
        tried,
        f"shares of a step's size; of {len(certificate.steps)} steps certified below 1: {below}",
    )
