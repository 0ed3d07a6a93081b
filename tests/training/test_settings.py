"""The options of the loop, and the learning rate in closed form."""

import math

import pytest

from gen_export.errors import ConfigError
from gen_export.training.settings import TrainSettings


def test_the_learning_rate_warms_up_in_a_straight_line():
    settings = TrainSettings(steps=1000, warmup=100, lr=0.2)

    assert settings.lr_at(0) == pytest.approx(0.2 / 100)
    assert settings.lr_at(49) == pytest.approx(0.1)
    assert settings.lr_at(99) == pytest.approx(0.2)


def test_the_learning_rate_then_falls_along_half_a_cosine():
    settings = TrainSettings(steps=1100, warmup=100, lr=0.2)

    assert settings.lr_at(100) == pytest.approx(0.2)
    assert settings.lr_at(350) == pytest.approx(0.2 * 0.5 * (1 + math.sqrt(0.5)))
    assert settings.lr_at(600) == pytest.approx(0.1)
    assert 0 < settings.lr_at(1099) < 1e-6


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 200), (10, 0), (10, 10), (10, 50)])
def test_the_learning_rate_is_positive_and_at_most_its_peak_however_short_the_run(steps, warmup):
    settings = TrainSettings(steps=steps, warmup=warmup, lr=0.5)

    assert all(0 < settings.lr_at(step) <= 0.5 for step in range(steps))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("save_every", 0),
        ("preview_every", -1),
        ("lr", 0.0),
        ("lr", math.nan),
        ("clip", math.inf),
        ("warmup", -1),
        ("weight_decay", -1e-3),
        ("weight_decay", math.nan),
        ("ema", 1.0),
        ("ema", -0.1),
        ("seed", 2**64),
        ("seed", -(2**63) - 1),
        ("precision", "float8"),
    ],
)
def test_a_value_outside_its_range_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=f"^{name}: expected .*found "):
        TrainSettings(**{name: value})
