"""Facts of a training step: right files pass them all, and each of these wrong ones fails the fact that it should."""

import math
import shutil

import onnx
import pytest

from gen_export.verify.report import of_files, open_files
from tests.mutants.tool import card, put

FACT = "gen_export.training.{}".format


def negate_slopes(model):
    """The gradients of every other tensor have the other sign."""
    join = max((node for node in model.graph.node if node.op_type == "Concat"), key=lambda node: len(node.input))
    at = list(model.graph.node).index(join)
    for number in range(0, len(join.input), 2):
        model.graph.node.insert(at, onnx.helper.make_node("Neg", [join.input[number]], [f"negated_{number}"]))
        join.input[number] = f"negated_{number}"


def reuse_the_noise(model):
    """What is drawn does not depend on the number of the step."""
    for node in [node for node in model.graph.node if node.op_type == "Mul" and "step" in node.input]:
        node.op_type = "Sub"
        node.input[:] = ["step", "step"]


MUTANTS = {
    "the gradients of half of the tensors have the other sign": (negate_slopes, "gradient_is_the_slope"),
    "noise is the same in every step": (reuse_the_noise, "noise_is_fresh"),
    "the first moment is not corrected": (put(math.log(0.9), -99.0), "weights_move_by_adamw"),
    "the second moment is not corrected": (put(math.log(0.999), -99.0), "weights_move_by_adamw"),
    "epsilon is a thousand times as large": (put(1e-8, 1e-5), "weights_move_by_adamw"),
    "epsilon is left out": (put(1e-8, 0.0), "weights_move_by_adamw"),
    "weights do not decay": (put(0.001, 0.0), "weights_move_by_adamw"),
    "averages forget twice as fast": (put(0.999, 0.5, at=-1), "averages_follow"),
}


def outcomes(path, fact=""):
    return {o.fact.name: o.verdict for o in of_files(open_files(path), lambda known: known.name.startswith(FACT(fact)))}


@pytest.fixture
def files(trainable, tmp_path):
    """A copy of a family's files."""

    def copied(name):
        return shutil.copytree(trainable(name).parent, tmp_path / name) / f"{name}.onnx"

    return copied


@pytest.mark.parametrize("name", ["vae", "vqvae"])
def test_right_files_pass_every_fact(files, name):
    found = outcomes(files(name))

    assert len(found) == {"vae": 5, "vqvae": 3}[name]
    assert set(found.values()) == {"passed"}


def test_files_without_a_step_of_training_say_nothing_of_it(exported):
    assert outcomes(exported("vae")) == {}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_step_is_rejected(files, name):
    path = files("vae").with_name("vae.train.onnx")
    model = onnx.load(path)
    change, fact = MUTANTS[name]
    change(model)
    onnx.save(model, path)

    assert outcomes(path.with_name("vae.onnx"), fact) == {FACT(fact): "failed"}


@pytest.mark.parametrize("players", [3, [{"first": 0}], None])
def test_a_card_that_says_nothing_of_the_optimiser_fails(files, players):
    path = files("vae").with_name("vae.train.onnx")
    model = onnx.load(path)
    card(lambda document: document["state"].update(players=players))(model)
    onnx.save(model, path)

    assert outcomes(path.with_name("vae.onnx"), "weights_move_by_adamw") == {FACT("weights_move_by_adamw"): "failed"}
