"""The page of a report: one HTML file that needs nothing else, not even a script."""

from typing import TYPE_CHECKING

import numpy as np

import gen_export
from gen_export.data.image_set import ImageSet
from gen_export.errors import ConfigError
from gen_export.report import charts
from gen_export.report.blocks import mapping, number, shown
from gen_export.report.curves import points
from gen_export.report.run import Run
from gen_export.report.sections import sections
from gen_runtime.images import Image

if TYPE_CHECKING:
    from jinja2 import Environment

HELD_OUT = 512
"""Held-out images that are read, at most."""


def page(run: Run, held_out: ImageSet | None, date: str) -> str:
    """The report of a run as HTML.

    Args:
        run: The run.
        held_out: Images for what is shown of such; None leaves it out.
        date: Of the report.

    Raises:
        ConfigError: The images are of another size than the model's.
    """
    images = None if held_out is None else _images(run, held_out)
    return (
        _templates()
        .get_template("page.html")
        .render(
            title=f"{run.family} on {shown(run.section('data').get('name', 'unknown images'))}",
            folder=run.folder.path.resolve().name,
            summary=run.model.card.summary if run.model else "",
            numbers=headline(run),
            sections=list(sections(run, images)),
            chart=charts,
            written=f"gen-export {gen_export.__version__}, {date}",
        )
    )


def headline(run: Run) -> list[tuple[str, str]]:
    """The few numbers that stand on top, by name."""
    step, seconds = number(run.total("steps")), number(run.total("seconds"))
    batch = number(run.section("training").get("batch_size"))
    held_out = [{"step": entry["step"], **mapping(entry.get("held_out"))} for entry in run.entries]
    losses = points(held_out, "loss")
    verified = mapping(run.model.card.verified if run.model else None)
    found = {
        "steps": f"{step:,.0f}" if step else "",
        "images seen": f"{step * batch:,.0f}" if step and batch else "",
        "of training": duration(seconds) if seconds else "",
        "held-out loss": charts.short(losses[-1][1]) if losses else "",
        "in one file": megabytes(run.model.path.stat().st_size) if run.model else "",
        "facts passed": shown(verified["passed"]) if "passed" in verified else "",
    }
    return [(name, text) for name, text in found.items() if text]


def duration(seconds: float) -> str:
    """A time in its two largest units: 1 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def megabytes(count: int) -> str:
    """Bytes in the unit that suits them."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _images(run: Run, held_out: ImageSet) -> Image:
    """The first held-out images, of the model's size."""
    if run.model is not None:
        size = run.model.card.image
        expected = (size.height, size.width, size.channels)
        if held_out.image_shape != expected:
            raise ConfigError(f"--data: expected images of {expected}, found {held_out.image_shape}")
    return held_out.images(np.arange(min(HELD_OUT, len(held_out))))


def _templates() -> "Environment":
    """The templates of this package; what they show is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("gen_export.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
