"""A certificate as a picture: each solver's steps, what is certified of them and what they reach."""

from collections.abc import Sequence
from pathlib import Path

from gen_export.errors import ConfigError
from gen_export.verify.confrontation import Confrontation

FORMATS = (".png", ".svg")
NEAR = (0.95, 1.05)
"""What the lower panels show."""


def require(path: Path) -> None:
    """Refuses a picture that could not be drawn, before any work is done.

    Raises:
        ConfigError: Another kind of file, no such folder, or matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--plot: expected a file that ends in {' or '.join(FORMATS)}, found {path}")
    if not path.parent.is_dir():
        raise ConfigError(f"--plot: expected a folder {path.parent}, found none")
    try:
        import matplotlib as mpl  # noqa: F401 - only asked for
    except ImportError as error:
        raise ConfigError("--plot: expected matplotlib, found none: pip install 'gen-export[plot]'") from error


def draw(found: Confrontation, solvers: Sequence[str], path: Path) -> None:
    """Write the picture of these solvers, whole or not at all: all constants above, those near 1 below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(solvers), 5.6), layout="constrained")
    whole, near = figure.subplots(2, len(solvers), sharex=True, sharey="row", squeeze=False)
    for axes, solver in zip((*whole, *near), (*solvers, *solvers), strict=True):
        _panel(axes, found, solver)
    for axes, solver in zip(whole, solvers, strict=True):
        axes.set(title=solver, yscale="log")
    for axes in near:
        axes.set(ylim=NEAR, xlabel="state t")
    figure.axes[0].invert_xaxis()
    figure.axes[0].legend(fontsize="small")
    figure.supylabel("|step(x) - step(y)| / |x - y|")
    draft = path.with_name(f"{path.name}.draft")
    figure.savefig(draft, format=path.suffix.lower()[1:], dpi=150, metadata={"Date": None} if _is_svg(path) else None)
    draft.replace(path)


def _panel(axes, found: Confrontation, solver: str) -> None:  # noqa: ANN001 - named in a heavy module
    """One solver: the run goes from left to right, from noise to the image."""
    steps = found.certificate.steps
    t = [step.t for step in steps]
    axes.plot(t, [step.constants[solver] for step in steps], label="certified constant")
    axes.plot(t, [step.ratios[solver] for step in found.steps], ".", label=f"worst ratio of {found.pairs} pairs")
    if solver in found.steps[0].slopes:
        axes.plot(t, [step.slopes[solver] for step in found.steps], "x", label="slope by power iteration")
    axes.axhline(1.0, color="black", linewidth=0.5)


def _is_svg(path: Path) -> bool:
    return path.suffix.lower() == ".svg"
