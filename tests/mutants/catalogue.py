"""All mutants, and what `verify` says of one."""

import shutil
from pathlib import Path

import onnx

from gen_export.verify.report import of_files, open_files
from gen_runtime.errors import GenRuntimeError
from tests.mutants import autoencoder, classifier, diffusion, gan, labels, mae, samplers, vae, vqvae
from tests.mutants.tool import Mutant

_MODULES = (autoencoder, mae, vae, vqvae, gan, diffusion, classifier, samplers, labels)
MUTANTS: list[Mutant] = [mutant for module in _MODULES for mutant in module.MUTANTS]


def make(mutant: Mutant, right: Path, folder: Path) -> Path:
    """The wrong model: the files of the right one, one of them changed; the path of its main file."""
    for file in right.parent.glob("*.onnx"):
        shutil.copy(file, folder)
    part = folder / f"{right.stem}.{mutant.graph}.onnx"
    wrong = part if part.is_file() else folder / right.name
    model = onnx.load(wrong)
    mutant.change(model)
    onnx.save(model, wrong)
    return folder / right.name


def caught_by(path: Path) -> str | None:
    """The name of the first fact that fails on these files, or why they cannot be opened; None where all hold."""
    try:
        outcomes = of_files(open_files(path))
    except GenRuntimeError as error:
        return _refused(error)
    return next((outcome.fact.name for outcome in outcomes if outcome.verdict == "failed"), None)


def rejects(fact: str, path: Path) -> bool:
    """Whether these files fail this fact, or are refused as it says."""
    try:
        (outcome,) = of_files(open_files(path), lambda known: known.name == fact)
    except GenRuntimeError as error:
        return fact == _refused(error)
    return outcome.verdict == "failed"


def _refused(error: GenRuntimeError) -> str:
    return f"refused: {type(error).__name__}"
