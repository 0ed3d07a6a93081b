"""Training steps as graphs: beside torch's own, for every family, and what a step must do whatever the network."""

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch

from gen_export.errors import ExportError
from gen_export.export.train_parity import TorchTraining
from gen_export.export.train_step import NEW, TrainStep
from gen_export.export.train_turns import turns_of
from gen_export.training.settings import TrainSettings
from gen_export.verify.inputs import random_inputs
from tests.export.analytic import serialized

SETTINGS = TrainSettings(weight_decay=0.01)
FAMILIES = ("autoencoder", "mae", "labelled_vae", "labelled_vqvae", "gan", "labelled_diffusion")
LEVELS = onnxruntime.GraphOptimizationLevel


class Files:
    """A step and its start in ONNX Runtime."""

    def __init__(self, step):
        self.step, (self.train, self.start) = step, (step.train(), step.start())
        self.session = self.open(LEVELS.ORT_ENABLE_ALL)

    def open(self, level):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level, options.graph_optimization_level = 1, 3, level
        return onnxruntime.InferenceSession(serialized(self.train.model), options)

    def state(self):
        session = onnxruntime.InferenceSession(serialized(self.start.model))
        return dict(zip([port.name for port in self.start.outputs], session.run(None, {}), strict=True))

    def inputs(self, batch, state, lr=1e-3, purpose=0, **more):
        free = [port for port in self.train.inputs if port.name not in state]
        drawn = random_inputs(free, batch, np.random.default_rng([batch, purpose]))
        return {**drawn, "lr": np.array(lr, np.float32), **state, **more}

    def run(self, inputs, session=None):
        names = [port.name for port in self.train.outputs]
        return dict(zip(names, (session or self.session).run(names, inputs), strict=True))

    def after(self, found):
        return {port.name: found[NEW + port.name] for port in self.start.outputs}


@pytest.fixture(scope="module")
def files(build_family):
    """The files of a family's step, made once a module."""
    known = {}

    def made(name):
        if name not in known:
            known[name] = Files(TrainStep(build_family(name), SETTINGS, 18))
        return known[name]

    return made


def relative(found, expected):
    return np.linalg.norm((found - expected).astype(np.float64)) / (np.linalg.norm(expected) or 1.0)


@pytest.mark.parametrize("name", FAMILIES)
def test_three_steps_are_as_near_to_those_of_torch_in_float64_as_torch_in_float32_is(files, name):
    """Losses, moments, codebooks, and the way that the weights go: four times as far at most, each step by itself.

    AdamW makes steps of full length of gradients that are rounding alone, so no fixed tolerance would do.
    """
    model = files(name)
    beside, exact = (TorchTraining(model.step, dtype) for dtype in (torch.float32, torch.float64))
    state = model.state()
    for number in range(3):
        origins = {"new_weights": state["weights"], "new_averages": state["averages"]}
        inputs = model.inputs(3, state, purpose=number)
        found, rounded, expected = model.run(inputs), beside.take(inputs), exact.take(inputs)
        state = model.after(found)
        for output, value in expected.items():
            way = value - origins.get(output, 0.0)
            errors = [relative(each[output] - origins.get(output, 0.0), way) for each in (found, rounded)]
            assert errors[0] <= 4 * errors[1] + 1e-6, output


@pytest.mark.parametrize("name", FAMILIES)
def test_without_a_learning_rate_the_weights_stay(files, name):
    model = files(name)
    state = model.state()
    found = model.run(model.inputs(2, state, lr=0.0))

    assert np.array_equal(found["new_weights"], state["weights"])
    assert np.array_equal(found["new_averages"], state["weights"])
    assert found["new_first_moments"].any()
    assert found["new_step"] == 1


@pytest.mark.parametrize("batch", [1, 2, 7, 32])
def test_one_file_takes_any_batch_and_all_levels_of_optimisation_agree(files, batch):
    model = files("labelled_vae")
    inputs = model.inputs(batch, model.state())
    beside = TorchTraining(model.step).take(inputs)
    levels = [LEVELS.ORT_DISABLE_ALL, LEVELS.ORT_ENABLE_BASIC, LEVELS.ORT_ENABLE_ALL]
    for found in (model.run(inputs, model.open(level)) for level in levels):
        assert relative(found["new_first_moments"], beside["new_first_moments"]) < 1e-4
        assert found["loss"] == pytest.approx(float(beside["loss"]), rel=1e-5)


def test_a_step_is_the_same_again_and_another_seed_or_step_draws_other_noise(files):
    model = files("labelled_vae")
    state = model.state()
    inputs = model.inputs(4, state, seed=np.array(5))
    once, again = model.run(inputs), model.run(inputs)
    others = [{**inputs, "seed": np.array(6)}, {**inputs, "step": np.array(1)}]

    assert all(np.array_equal(once[name], again[name]) for name in once)
    assert all(model.run(other)["loss"] != once["loss"] for other in others)


def test_the_weight_of_a_term_is_an_input_with_the_trained_value_as_its_default(files):
    model = files("labelled_vae")
    inputs = model.inputs(4, model.state())
    del inputs["beta"]
    default = model.run(inputs)
    doubled = model.run({**inputs, "beta": np.array(2 * model.step.family.config.beta, np.float32)})

    assert default["loss"] == pytest.approx(default["reconstruction"] + 0.005 * default["kl"], rel=1e-6)
    assert doubled["loss"] == pytest.approx(default["reconstruction"] + 0.01 * default["kl"], rel=1e-6)


def test_frozen_parts_stand_still_and_are_no_part_of_the_state(build_family):
    family = build_family("vae")
    step = TrainStep(family, SETTINGS, 18, ["encoder", "flow"])
    model = Files(step)
    state = model.state()
    found = model.run(model.inputs(3, state))

    assert {name.split(".")[0] for name in step.weights.shapes} == {"decoder"}
    assert [turn.player.name for turn in step.turns] == ["autoencoder"]
    assert not np.array_equal(found["new_weights"], state["weights"])


@pytest.mark.parametrize(
    ("freeze", "message"),
    [(["encode"], "--freeze: expected some of encoder, decoder"), (["encoder", "decoder"], "something left to train")],
)
def test_parts_that_are_none_and_too_many_are_refused(build_family, freeze, message):
    with pytest.raises(ExportError, match=message):
        turns_of(build_family("autoencoder"), freeze)


@pytest.mark.parametrize(("name", "option"), [("gan", {"spectral": True}), ("diffusion", {"net": "monotone"})])
def test_a_network_whose_weights_are_computed_is_refused(build_family, name, option):
    with pytest.raises(ExportError, match="--train-step: expected a network whose weights are what it computes with"):
        TrainStep(build_family(name, **option), SETTINGS, 18)


def test_trying_the_losses_leaves_the_family_as_it_was(build_family):
    family = build_family("vqvae")
    before = {name: value.clone() for name, value in family.state_dict().items()}
    turns_of(family, [])

    assert all(torch.equal(value, before[name]) for name, value in family.state_dict().items())
    assert not family.training


def test_the_graph_has_no_operator_but_those_of_onnx(files):
    for name in FAMILIES:
        nodes = ir.traversal.RecursiveGraphIterator(files(name).train.model.graph)
        assert {node.domain for node in nodes} == {""}
