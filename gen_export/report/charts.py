"""Charts as the geometry of small SVG pictures, which the template draws in the page's own colours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

WIDTH, HEIGHT = 400, 200
LEFT, RIGHT, TOP, BOTTOM = 46, 392, 8, 178
"""The frame inside it, in the same units."""
MOST_POINTS = 600
LOGARITHMIC = 8.0
"""Positive values that span more than this factor are shown on a logarithmic scale."""

Points = Sequence[tuple[float, float]]
Style = Literal["line", "area", "dots", "thin"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line to draw.

    Attributes:
        name: For the legend.
        points: x and y, by x.
        style: How it looks; each of the dots tells its value.
    """

    name: str
    points: Points
    style: Style = "line"


class Tick(NamedTuple):
    """A mark on an axis: where, and its text."""

    at: float
    text: str


class Dot(NamedTuple):
    """A dot: where, and what it tells."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line in the chart's units: the path's `d`, and its dots."""

    style: Style
    path: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, ready to draw."""

    title: str
    label: str
    lines: tuple[Drawn, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from low to high onto start to end, straight or by their logarithms."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Where a value lies, to a tenth of a unit."""
        low, high, at = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return round(self.start + (at - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self) -> tuple[Tick, ...]:
        """Round values between low and high."""
        values = _decades(self.low, self.high) if self.logarithmic else _multiples(self.low, self.high)
        return tuple(Tick(self(value), short(value)) for value in values)


def chart(title: str, lines: Sequence[Line], x_name: str = "step", from_zero: bool = False) -> Chart | None:
    """The chart of some lines; None where they have no points.

    Args:
        title: What y is.
        lines: Each drawn over those before it.
        x_name: What x is, for those who cannot see it.
        from_zero: Whether y begins at 0.
    """
    lines = [Line(line.name, thinned(line.points), line.style) for line in lines if line.points]
    if not lines:
        return None
    xs, ys = ([point[axis] for line in lines for point in line.points] for axis in (0, 1))
    x, y = Scale(*_span(xs), LEFT, RIGHT), _upwards(ys, from_zero)
    first, last = lines[-1].points[0], lines[-1].points[-1]
    label = f"{title}: {short(first[1])} at {x_name} {short(first[0])}, {short(last[1])} at {x_name} {short(last[0])}"
    return Chart(title, label, tuple(_drawn(line, x, y, x_name) for line in lines), x.ticks(), y.ticks())


def thinned(points: Points) -> Points:
    """At most `MOST_POINTS` points: means over runs of equally many where there are more."""
    size = math.ceil(len(points) / MOST_POINTS)
    if size <= 1:
        return points
    runs = (points[at : at + size] for at in range(0, len(points), size))
    return [(sum(x for x, _ in run) / len(run), sum(y for _, y in run) / len(run)) for run in runs]


def short(value: float) -> str:
    """A number in few characters: 25000 as 25k, 0.00012 as 1.2e-4."""
    if abs(value) >= 10_000 and value % 100 == 0 and abs(value) < 1e6:
        return f"{value / 1000:g}k"
    text = f"{value:.4g}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}{e}{int(exponent)}" if e else text


def _upwards(ys: list[float], from_zero: bool) -> Scale:
    """The scale of y, with some air above and below."""
    low, high = _span([0.0, *ys] if from_zero else ys)
    if low > 0.0 and high / low > LOGARITHMIC:
        return Scale(low / 1.1, high * 1.1, BOTTOM, TOP, logarithmic=True)
    air = 0.05 * (high - low)
    return Scale(low if from_zero else low - air, high + air, BOTTOM, TOP)


def _span(values: list[float]) -> tuple[float, float]:
    """The least and the largest value, or a little around them where they are one."""
    low, high = min(values), max(values)
    around = max(abs(low), 1.0) * 1e-3
    return (low - around, high + around) if high - low <= 1e-9 * abs(high) else (low, high)


def _drawn(line: Line, x: Scale, y: Scale, x_name: str) -> Drawn:
    places = [(x(a), y(b)) for a, b in line.points]
    told = [f"{line.name} {short(b)} at {x_name} {short(a)}" for a, b in line.points]
    dots = tuple(Dot(a, b, text) for (a, b), text in zip(places, told, strict=True)) if line.style == "dots" else ()
    path = "M" + " ".join(f"{a:g},{b:g}" for a, b in places)
    return Drawn(line.style, f"{path}V{BOTTOM}H{LEFT}Z" if line.style == "area" else path, dots)


def _multiples(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, about four of them."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((m * power for m in (1, 2, 5) if m * power >= rough), 10 * power)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten, every other one or fewer where there are many, and 2 and 5 times those where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, (last - first) // 5)
    mantissas = (1, 2, 5) if high <= 100 * low else (1,)
    values = [m * 10.0**power for power in range(first, last + 1, every) for m in mantissas]
    return [value for value in values if low <= value <= high]
