"""How the distance between a file and its model is measured."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gen_export.errors import ExportError
from gen_export.export import parity
from gen_export.models.family import Graph
from gen_export.verify.inputs import random_inputs
from gen_runtime.ports import Port

X = Port("x", "float32", ("batch", 3), minimum=-1, maximum=1)
GRAPH = Graph("double", "Twice.", lambda x: 2 * x, (X,), (Port("y", "float32", ("batch", 3)),))


def answering(function):
    """A file that answers with a function of the inputs' arrays."""
    return SimpleNamespace(execute=lambda inputs: function(**inputs))


def test_a_file_that_agrees_is_at_distance_zero_at_every_batch():
    rows = parity.call_parity(GRAPH, answering(lambda x: {"y": 2 * x}))

    assert rows == [{"graph": "double", "batch": batch, "max_abs": 0.0, "rel_l2": 0.0} for batch in (1, 3, 8)]


def test_a_relative_error_is_measured_exactly():
    rows = parity.call_parity(GRAPH, answering(lambda x: {"y": 2 * x.astype(np.float64) * (1 + 2**-20)}))

    assert all(row["rel_l2"] == pytest.approx(2**-20, rel=1e-6) for row in rows)
    assert all(0 < row["max_abs"] <= 2 * 2**-20 for row in rows)


@pytest.mark.parametrize("factor", [1 + 2e-5, 1 - 2e-5, np.nan, np.inf])
def test_a_file_that_is_too_far_or_not_a_number_is_refused_with_graph_batch_and_error(factor):
    with pytest.raises(ExportError, match=r"^double: y: expected torch's output within 1e-05 .* batch 1, .*not kept$"):
        parity.call_parity(GRAPH, answering(lambda x: {"y": 2 * x.astype(np.float64) * factor}))


@pytest.mark.parametrize(("error", "kept"), [(5e-7, True), (-5e-7, True), (5e-6, False)])
def test_a_number_near_zero_may_be_off_by_the_rounding_of_numbers_near_one(error, kept):
    """A loss is the difference of numbers near one, squared: where it is 1e-6, no runtime has it to five digits."""
    graph = Graph("loss", "A loss.", lambda x: 1e-6 + 0 * x.sum(), (X,), (Port("loss", "float32", ()),))
    file = answering(lambda x: {"loss": np.array(1e-6 + error)})

    if kept:
        assert parity.call_parity(graph, file)[0]["max_abs"] == pytest.approx(5e-7, rel=1e-3)
    else:
        with pytest.raises(ExportError, match="loss: "):
            parity.call_parity(graph, file)


def test_an_error_in_one_small_output_of_several_is_seen():
    """Each output is compared with its own size."""
    outputs = tuple(Port(name, "float32", X.shape) for name in ("a", "b"))
    graph = Graph("two", "Two.", lambda x: (x, 0.01 * x), (X,), outputs)

    with pytest.raises(ExportError, match="two: "):
        parity.call_parity(graph, answering(lambda x: {"a": x, "b": -0.01 * x}))


def test_inputs_are_within_their_ports_and_depend_on_the_seed_alone():
    ports = (
        X,
        Port("t", "int64", ("batch",), minimum=2, maximum=5),
        Port("beta", "float32", (), default=0.25, optional=True),
        Port("z", "float32", ("batch", 2)),
    )
    first, again, other = (random_inputs(ports, 200, np.random.default_rng(seed)) for seed in (0, 0, 1))

    assert first["x"].shape == (200, 3)
    assert first["x"].dtype == np.float32
    assert np.abs(first["x"]).max() == 1.0  # a normal number in three is clipped
    assert set(first["t"].tolist()) == {2, 3, 4, 5}
    assert first["beta"] == np.float32(0.25)
    assert np.abs(first["z"]).max() > 2
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["z"], other["z"])


def test_bytes_are_compared_without_wrapping_around():
    found, expected = np.array([[0, 255, 7, 7]], np.uint8), np.array([[255, 0, 7, 8]], np.uint8)

    assert parity.bytes_apart(found, expected) == {"max_levels": 255, "pixels_apart": 0.75}


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        ({"max_levels": 0, "pixels_apart": 0.0}, True),
        ({"max_levels": 2, "pixels_apart": 0.03}, True),
        ({"max_levels": 3, "pixels_apart": 0.0001}, False),
        ({"max_levels": 1, "pixels_apart": 0.031}, False),
    ],
)
def test_images_may_differ_by_two_levels_on_three_values_in_a_hundred(row, kept):
    row = {"graph": "sample", "against": "loop", **row}
    if kept:
        assert parity.require_same_images(row) == [row]
    else:
        with pytest.raises(ExportError, match="sample: expected the images of loop within 2 levels, found"):
            parity.require_same_images(row)


def test_the_loop_is_asked_for_the_steps_that_were_unrolled():
    asked = {}
    images = {"images": np.zeros((4, 2, 2, 1), np.uint8)}
    loop = answering(lambda **inputs: asked.update(inputs) or images)
    row = parity.loop_parity(answering(lambda **_: images), loop, 13)

    assert (int(asked["steps"]), int(asked["seed"]), int(asked["count"])) == (13, 7, 4)
    assert (row["max_levels"], row["against"]) == (0, "loop")


@pytest.mark.parametrize(("worst", "kept"), [(1e-3, True), (1.1e-3, False), (float("nan"), False)])
def test_a_step_may_be_off_by_an_eighth_of_a_grey_level(worst, kept):
    trajectory = {"teacher_forced_max_abs": [worst, 1e-9], "free_running_max_abs": [1.0, 1.0]}
    if kept:
        assert parity.require_small_steps(trajectory) is trajectory
    else:
        with pytest.raises(ExportError, match=r"step: expected torch's states within 0\.001, found one"):
            parity.require_small_steps(trajectory)


def test_a_trajectory_shows_the_error_of_each_step_and_what_becomes_of_it(build_family):
    """A file whose step adds 1e-3 to torch's: forced, each step is off by that; free, the errors add up at first."""
    family = build_family("diffusion", net="residual")
    recipe = family.recipe()
    table = torch.from_numpy(recipe.alpha_bars)

    def step(x, t, s):
        from gen_export.spec.diffusion import ddim_sigma, image_ddim_mean

        x, t, s = torch.from_numpy(x), int(t), int(s)
        with torch.no_grad():
            eps = family.denoise(x, torch.tensor([t]))
        mean = image_ddim_mean(x, eps, table[t], table[s], ddim_sigma(table[t], table[s], 0.0))
        return {"x_s": (mean + 1e-3).numpy()}

    found = parity.trajectory_parity(family, recipe, answering(step))

    assert found["steps"] == 50
    assert found["teacher_forced_max_abs"] == pytest.approx([1e-3] * 50, rel=1e-2)
    assert found["free_running_max_abs"][0] == found["teacher_forced_max_abs"][0]
    assert found["free_running_max_abs"][5] > 1.5e-3
