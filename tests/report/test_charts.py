"""Charts: where values lie, which values are named, and what is told of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_export.report import charts
from gen_export.report.charts import BOTTOM, LEFT, MOST_POINTS, RIGHT, TOP, Line, Scale, chart, short, thinned
from gen_export.report.curves import loss_charts, training_charts

NUMBERS = st.floats(-1e50, 1e50)


def test_a_line_runs_through_its_points_upwards_and_to_the_right():
    drawn = chart("loss", [Line("training", [(0, 0.0), (50, 1.0), (100, 2.0)])])
    places = [tuple(map(float, place.split(","))) for place in drawn.lines[0].path.removeprefix("M").split()]
    (x0, y0), (x1, y1), (x2, y2) = places

    assert (x0, x1, x2) == (LEFT, (LEFT + RIGHT) / 2, RIGHT)
    assert BOTTOM > y0 > y1 > y2 > TOP
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)  # places are rounded to tenths


def test_values_over_a_wide_range_lie_by_their_logarithms():
    drawn = chart("loss", [Line("training", [(0, 1.0), (1, 0.1), (2, 0.01)])])
    heights = [float(place.split(",")[1]) for place in drawn.lines[0].path.removeprefix("M").split()]

    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.11)
    assert [tick.text for tick in drawn.y_ticks] == ["0.01", "0.1", "1"]


@pytest.mark.parametrize(
    ("scale", "texts"),
    [
        (Scale(0, 2400, 0, 1), ["0", "1000", "2000"]),
        (Scale(0.1, 0.35, 0, 1), ["0.1", "0.2", "0.3"]),
        (Scale(-3, 5, 0, 1), ["-2", "0", "2", "4"]),
        (Scale(0, 100_000, 0, 1), ["0", "50k", "100k"]),
        (Scale(0.015, 0.5, 0, 1, logarithmic=True), ["0.02", "0.05", "0.1", "0.2", "0.5"]),
        (Scale(2, 60, 0, 1, logarithmic=True), ["2", "5", "10", "20", "50"]),
        (Scale(1e-3, 0.5, 0, 1, logarithmic=True), ["0.001", "0.01", "0.1"]),
        (Scale(1e-20, 1.0, 0, 1, logarithmic=True), ["1e-20", "1e-16", "1e-12", "1e-8", "0.0001", "1"]),
    ],
)
def test_round_values_are_named(scale, texts):
    assert [tick.text for tick in scale.ticks()] == texts


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=20), st.booleans())
def test_every_chart_lies_in_its_frame(points, from_zero):
    drawn = chart("loss", [Line("training", sorted(points), "dots")], from_zero=from_zero)

    assert all(LEFT <= dot.x <= RIGHT and TOP <= dot.y <= BOTTOM for dot in drawn.lines[0].dots)
    assert all(TOP - 0.1 <= tick.at <= BOTTOM + 0.1 for tick in drawn.y_ticks)
    assert all(LEFT - 0.1 <= tick.at <= RIGHT + 0.1 for tick in drawn.x_ticks)
    assert len(drawn.y_ticks) <= 20


@given(st.integers(1, 5 * MOST_POINTS))
def test_a_long_line_becomes_means_of_runs(count):
    points = [(float(i), float(i % 7)) for i in range(count)]
    kept = thinned(points)

    assert len(kept) <= MOST_POINTS
    assert kept == points or math.ceil(count / len(kept)) >= 2
    assert min(x for x, _ in kept) >= 0
    assert max(y for _, y in kept) <= 6


def test_an_area_is_closed_along_the_ground():
    drawn = chart("uses", [Line("uses", [(0, 1.0), (1, 0.5)], "area")], from_zero=True)

    assert drawn.lines[0].path.endswith(f"V{BOTTOM}H{LEFT}Z")


def test_a_chart_tells_its_ends_to_those_who_cannot_see_it():
    drawn = chart("loss", [Line("training", [(20, 0.5), (2000, 0.0125)])])

    assert drawn.label == "loss: 0.5 at step 20, 0.0125 at step 2000"


def test_nothing_to_draw_is_no_chart():
    assert chart("loss", [Line("training", [])]) is None
    assert loss_charts([]) is None
    assert training_charts([{"step": 1, "loss": 1.0}]) is None


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (12345.0, "1.234e4"), (25_000.0, "25k"), (1.5e-7, "1.5e-7"), (192.57, "192.6")]
)
def test_numbers_are_short(value, text):
    assert short(value) == text


def test_each_loss_has_its_chart_with_the_held_out_one():
    entries = [
        {"step": 0, "held_out": {"loss": 2.0}},
        {"step": 20, "loss": 1.5, "kl": 0.1, "grad_norm": 3.0, "lr": 0.001, "images_per_second": 10, "seconds": 1},
        {"step": 20, "held_out": {"loss": 1.75, "perplexity": 9.0}, "note": "text", "flag": True},
    ]
    found = {each.title: each for each in loss_charts(entries).charts}

    assert list(found) == ["loss", "kl", "perplexity"]
    assert [dot.text for dot in found["loss"].lines[1].dots] == ["held out 2 at step 0", "held out 1.75 at step 20"]
    assert [each.title for each in training_charts(entries).charts] == [
        "learning rate", "norm of the gradient", "images a second",
    ]  # fmt: skip


def test_a_log_of_countless_names_gives_so_many_charts_and_no_more(monkeypatch):
    monkeypatch.setattr("gen_export.report.curves.MOST_CHARTS", 3)

    assert len(loss_charts([{"step": 1, **{f"loss{i}": 1.0 for i in range(99)}}]).charts) == 3


def test_the_frame_lies_in_the_picture():
    assert 0 < charts.LEFT < charts.RIGHT < charts.WIDTH
    assert 0 < charts.TOP < charts.BOTTOM < charts.HEIGHT
