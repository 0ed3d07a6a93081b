"""The curves of a run: its losses while it trained and on held-out images, and how the training itself went."""

from collections.abc import Sequence

from gen_export.report.blocks import Charts, mapping, number, spaced
from gen_export.report.charts import Chart, Line, Points, chart
from gen_export.report.folder import Entry

MOST_CHARTS = 24
TRAINING = {"lr": "learning rate", "grad_norm": "norm of the gradient", "images_per_second": "images a second"}
_NO_CURVES = ("step", "seconds", "held_out", *TRAINING)
_NOTE = "The line is the mean over the steps between two reports, the dots are held-out images."


def loss_charts(entries: Sequence[Entry]) -> Charts | None:
    """A chart for each loss; None where none is logged."""
    held_out = [{"step": entry["step"], **mapping(entry.get("held_out"))} for entry in entries]
    names = dict.fromkeys(name for row in (*entries, *held_out) for name in row if name not in _NO_CURVES)
    charts = [_loss(name, points(entries, name), points(held_out, name)) for name in list(names)[:MOST_CHARTS]]
    return _found("Losses", charts, _NOTE)


def training_charts(entries: Sequence[Entry]) -> Charts | None:
    """Learning rate, gradient and speed; None where none is logged."""
    charts = [chart(title, [Line(title, points(entries, name))], from_zero=True) for name, title in TRAINING.items()]
    return _found("Training", charts)


def points(entries: Sequence[Entry], name: str) -> Points:
    """A value by step, where there is one."""
    pairs = ((number(entry["step"]), number(entry.get(name))) for entry in entries)
    return sorted((step, value) for step, value in pairs if step is not None and value is not None)


def _loss(name: str, trained: Points, held_out: Points) -> Chart | None:
    return chart(spaced(name), [Line("training", trained), Line("held out", held_out, "dots")])


def _found(title: str, charts: Sequence[Chart | None], note: str = "") -> Charts | None:
    kept = [each for each in charts if each is not None]
    return Charts(title, kept, note) if kept else None
