"""The sections of a report, from top to bottom."""

from collections.abc import Callable, Iterator

from gen_export.report import drawn, evidence
from gen_export.report.blocks import Block, Commands, Pictures, Section, fields, mapping, shown
from gen_export.report.curves import loss_charts, training_charts
from gen_export.report.run import Run
from gen_runtime import GenRuntimeError, Model
from gen_runtime.images import Image

NO_IMAGES = "gen-export report RUN --data SOURCE, with the images that it was trained on, shows it"
_OPTIONS = {"Model": "config", "Training": "training", "Schedule": "schedule", "Images": "data"}
_IN_COMMANDS = ("step", "date", "command", "versions")
_BROKEN_OFF = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError)
"""What drawing raises where a card says what no model's does: text for a number, another name of a port."""


def sections(run: Run, images: Image | None) -> Iterator[Section]:
    """All of them.

    Args:
        run: The run.
        images: Held-out images, uint8 (n, H, W, C), for what is shown of such; None leaves it out.
    """
    yield _origin(run)
    yield _curves(run)
    yield from _previews(run)
    if run.model is None:
        yield Section("From the exported files", (), (run.refused,))
        return
    yield from _drawn(run.model, images)
    yield evidence.agreement(run.model.card)
    yield evidence.facts(run.model)
    yield from evidence.certificate(run.model.card)
    yield evidence.evaluation(run.model)


def _origin(run: Run) -> Section:
    """What made it: the commands, the machine, the options and the images."""
    commands = [
        (shown(session.get("command")), f"{shown(session.get('date'))}, from step {shown(session['step'])} on")
        for session in run.sessions
    ]
    last = run.sessions[-1] if run.sessions else {}
    blocks = [
        Commands("Commands", commands) if commands else None,
        fields("Environment", {**last, **mapping(last.get("versions"))}, skipped=_IN_COMMANDS),
        *(fields(title, run.section(name)) for title, name in _OPTIONS.items()),
    ]
    missing = () if commands else ("No command and environment: the run was started by a version that kept none.",)
    return Section("How it was made", [block for block in blocks if block is not None], missing)


def _curves(run: Run) -> Section:
    """Its losses, and how training went."""
    blocks = [block for block in (loss_charts(run.entries), training_charts(run.entries)) if block is not None]
    return Section("Curves", blocks, () if blocks else ("No curves: gen-export train writes log.jsonl, found none.",))


def _previews(run: Run) -> Iterator[Section]:
    """What it drew and rebuilt as it trained, if its family does either."""
    titles = {"samples": "Samples", "rebuilt": "Held-out images, and below them what it makes of them"}
    found = {title: run.folder.previews(kind) for kind, title in titles.items()}
    blocks = [Pictures(title, pictures) for title, pictures in found.items() if pictures]
    if blocks:
        yield Section("While it trained", blocks)


def _drawn(model: Model, images: Image | None) -> Iterator[Section]:
    """What the files draw now, and one line about each thing that they cannot."""
    blocks, missing = [], []
    for title, draw in _drawings(model, images):
        try:
            blocks.append(draw())
        except (GenRuntimeError, *_BROKEN_OFF) as error:
            missing.append(f"No {title}: {' '.join(str(error).split()):.300}")
    if images is None and _wants_images(model):
        missing.append(f"No {_wants_images(model)}: {NO_IMAGES}.")
    if blocks or missing:
        yield Section("From the exported files", blocks, missing)


def _drawings(model: Model, images: Image | None) -> Iterator[tuple[str, Callable[[], Block]]]:
    """What can be drawn of a model, each under its name."""
    if "sample" in model.graphs:
        yield "samples", lambda: drawn.fresh_samples(model)
    if "sample_from_noise" in model.graphs and drawn.has_normal_noise(model.card):
        yield "ways between samples", lambda: drawn.between_samples(model)
    if images is not None and (title := _wants_images(model)):
        draw = drawn.code_use if title == _CODEBOOK else drawn.between_codes
        yield title, lambda: draw(model, images)


_CODEBOOK, _CODES = "use of the codebook", "ways between codes"


def _wants_images(model: Model) -> str:
    """What of a model is shown on held-out images; empty where nothing is."""
    return {"vqvae": _CODEBOOK, "autoencoder": _CODES}.get(model.card.family, "")
