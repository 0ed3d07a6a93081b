"""Wrong files of the family diffusion."""

import math
from collections.abc import Callable

import numpy as np
import onnx
from onnx import numpy_helper

from gen_export.spec.schedules import named_alpha_bars
from tests.mutants.tool import (
    Change,
    Mutant,
    bypass,
    card,
    constants,
    edit,
    find,
    graphs,
    put,
    retype,
    rewire,
    scale,
    swap,
)
from tests.tiny import OPTIONS

STATES = OPTIONS["diffusion"]["states"]
FLOOR = 1e-12


def exchange(op_type: str, one: int, other: int) -> Change:
    """The outputs of two nodes exchanged."""

    def change(model: onnx.ModelProto) -> None:
        first, second = find(model, op_type, one), find(model, op_type, other)
        first.output[0], second.output[0] = second.output[0], first.output[0]

    return change


def levels(function: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Every table of alpha_bar changed by a function of it."""

    def change(model: onnx.ModelProto) -> None:
        tables = [tensor for tensor in constants(model) if list(tensor.dims) == [STATES + 1]]
        assert tables, "no table of alpha_bar"
        for tensor in tables:
            table = function(numpy_helper.to_array(tensor)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(table, tensor.name))

    return change


def one_state_on(abars: np.ndarray) -> np.ndarray:
    """The levels with the clean one lost: the image convention's table where that of the states belongs."""
    return np.append(abars[1:], abars[-1])


def first_level_for_all(model: onnx.ModelProto) -> None:
    """The level of the first image for the whole batch."""
    gather = find(model, "Gather", -1)
    zero = numpy_helper.from_array(np.zeros(1, np.int64), "first_image")
    node = onnx.helper.make_node("Gather", [gather.input[1], zero.name], ["first_level"], axis=0)
    model.graph.initializer.append(zero)
    model.graph.node.insert(list(model.graph.node).index(gather), node)
    gather.input[1] = "first_level"


def clipped(model: onnx.ModelProto) -> None:
    """The noised image held in [-1, 1], as clean ones are."""
    find(model, "Add", output="x").output[0] = "unclipped"
    limits = [
        numpy_helper.from_array(np.array(limit, np.float32), name) for limit, name in ((-1, "least"), (1, "most"))
    ]
    model.graph.initializer.extend(limits)
    model.graph.node.append(onnx.helper.make_node("Clip", ["unclipped", "least", "most"], ["x"]))


def ignore(op_type: str, name: str) -> Change:
    """A value left out: the nodes of this type that read it pass on their other operand."""

    def change(model: onnx.ModelProto) -> None:
        found = [n for g in graphs(model.graph) for n in g.node if n.op_type == op_type and name in n.input]
        assert found, f"no {op_type} of {name}"
        for node in found:
            kept = [operand for operand in node.input if operand != name]
            node.op_type = "Identity"
            del node.input[:]
            node.input.extend(kept)

    return change


def instead(name: str, other: str) -> Change:
    """A value wherever the nodes of the graph read another."""

    def change(model: onnx.ModelProto) -> None:
        readers = [node for node in model.graph.node if name in node.input]
        assert readers, f"nothing reads {name}"
        for node in readers:
            node.input[:] = [other if read == name else read for read in node.input]

    return change


def network_at_s(model: onnx.ModelProto) -> None:
    """The state that a step goes to where the network should see the one that it comes from."""
    t, s = (find(model, "Reshape", at).output[0] for at in (0, 1))
    readers = [n for n in model.graph.node if n.output[0].startswith("denoise") and t in n.input]
    assert readers, "the network reads no state"
    for node in readers:
        node.input[list(node.input).index(t)] = s


def rounded_down(model: onnx.ModelProto) -> None:
    """The state before a step without the half that rounds it to the nearest."""
    run = next(node for node in model.graph.node if node.op_type == "Where" and "steps" in node.input)
    ignore("Add", run.output[0])(model)


def unclipped(model: onnx.ModelProto) -> None:
    """The first solver's clean image as it is: the Clip at both ends that comes first after that of the bytes."""
    clips = [node for inside in graphs(model.graph) for node in inside.node if node.op_type == "Clip"]
    clip = [node for node in clips if len(node.input) == 3 and all(node.input)][1]
    clip.op_type = "Identity"
    del clip.input[1:]


def other_schedule(document: dict) -> None:
    """The name of another schedule."""
    document["schedule"]["kind"] = "linear"


def blame_another(document: dict) -> None:
    """Another node in the reason why there is no certificate."""
    document["certificate"]["refused"] = document["certificate"]["refused"].replace("InstanceNormalization", "Softmax")


def claim_a_constant(document: dict) -> None:
    """A Lipschitz constant where none can be proven."""
    document["certificate"] = {"lipschitz": 1.0, "steps": [], "slopes": [], "log10": {}, "run_log10": {}}


def wrong(name: str, graph: str, change: Change) -> Mutant:
    """A mutant of the family."""
    return Mutant(name, "diffusion", graph, change)


_NOISING = [
    wrong("the levels lack the clean state", "noising", levels(one_state_on)),
    wrong("the levels are those of another schedule", "noising", levels(lambda _: named_alpha_bars("linear", STATES))),
    wrong("one level is a per cent off", "noising", levels(lambda a: np.where(np.arange(len(a)) == 30, 1.01 * a, a))),
    wrong("the noise is subtracted", "noising", retype("Add", "Sub", output="x")),
    wrong("the noise has no root over its level", "noising", bypass("Sqrt", 1)),
    wrong("the rates of image and noise are exchanged", "noising", exchange("Sqrt", 0, 1)),
    wrong("the noise's level is one for all images", "noising", first_level_for_all),
    wrong("the noise goes in squared", "noising", rewire("Mul", 0, "eps", 1)),
    wrong("the noised image is clipped", "noising", clipped),
    wrong("the noise is divided by its variance", "noising", retype("Sqrt", "Reciprocal", 1)),
]
_OBJECTIVE = [
    wrong("the loss is a sum", "objective", retype("ReduceMean", "ReduceSum", -1)),
    wrong("the noise's loss is a sum", "objective", retype("ReduceMean", "ReduceSum", -2)),
    wrong("the velocity's terms are exchanged", "objective", swap("Sub", -2)),
    wrong("the loss is not squared", "objective", bypass("Mul", -1)),
    wrong("the network is asked for the image", "objective", rewire("Sub", 1, "x0", -1)),
    wrong("the objective's levels lack the clean state", "objective", levels(one_state_on)),
    wrong("time is t / (T + 1)", "objective", scale(STATES, (STATES + 1) / STATES)),
    wrong("the last layer is a per cent off", "objective", edit("net.head.conv.weight", lambda w: 1.01 * w)),
    wrong("the network sees the clean image", "objective", rewire("Conv", 0, "x0", 2)),
]
_DENOISE = [
    wrong("time is that of the image convention", "denoise", scale(STATES, (STATES - 1) / STATES)),
    wrong("the velocity is taken for the noise", "denoise", bypass("Add", output="eps")),
    wrong("the velocity has the wrong sign", "denoise", retype("Add", "Sub", output="eps")),
    wrong("the network's level is one for all images", "denoise", first_level_for_all),
    wrong("one weight is lost", "denoise", edit("net.gain.weight", np.zeros_like)),
]
_STEP = [
    wrong("the clean image is not clipped", "step", bypass("Clip", -1)),
    wrong("the levels of t and s are exchanged", "step", exchange("Gather", 1, 2)),
    wrong("eta is ignored", "step", ignore("Mul", "eta")),
    wrong("the direction does not know of the fresh noise", "step", bypass("Sub", -3)),
    wrong("the predicted noise is added to the image", "step", retype("Sub", "Add", -1)),
    wrong("the fresh noise is subtracted", "step", retype("Add", "Sub", -1)),
    wrong("the divisor is at least a tenth", "step", scale(FLOOR, 1e11)),
    wrong("the network sees the level that it goes to", "step", network_at_s),
    wrong("the step's levels lack the clean state", "step", levels(one_state_on)),
    wrong("the default eta is 1", "step", edit("eta", np.ones_like)),
]
_SAMPLE = [
    wrong("states are rounded down", "sample_from_noise", rounded_down),
    wrong("steps go nowhere", "sample_from_noise", edit("constant_4_step", np.zeros_like)),
    wrong("the sampler does not clip", "sample_from_noise", unclipped),
    wrong("the seeded run rounds its states down", "sample", rounded_down),
    wrong("the default number of steps is 40", "sample", edit("steps", lambda steps: steps - 10)),
    wrong("all steps share the initial noise", "sample", edit("constant_0_then", np.zeros_like)),
    wrong("heun never corrects", "sample_from_noise", edit("constant_0_step", lambda none: none + 9)),
    wrong("heun's default for ddim's", "sample", edit("solver", lambda first: first + 3)),
    wrong(
        "the card names another spacing",
        "sample",
        card(lambda document: document["schedule"].update(spacing="leading")),
    ),
    wrong("the card names another schedule", "sample", card(other_schedule)),
    wrong("the range of states is one short", "step", card(lambda document: document["inputs"][1].update(maximum=59))),
    wrong("the card blames another node for having no certificate", "sample", card(blame_another)),
    wrong("the card claims a certificate that cannot be proven", "sample", card(claim_a_constant)),
]
_FLOW = [
    wrong("the derivative is along the image", "slope", instead("direction", "x")),
    wrong("an activation's derivative is its square", "slope", bypass("Sub", -1, operand=1)),
    wrong("a norm's derivative has a maximum for a mean", "slope", retype("GlobalAveragePool", "GlobalMaxPool", -1)),
    wrong("the slope of what passes around the network is subtracted", "slope", retype("Add", "Sub", output="slope")),
    wrong("the noise beside the slope is the velocity", "slope", bypass("Add", output="eps")),
    wrong("the inversion's levels lack the clean state", "invert", levels(one_state_on)),
    wrong("the residual is subtracted", "invert", retype("Add", "Sub", -2)),
    wrong("the secant is left out", "invert", bypass("Sub", -1)),
    wrong("the residual does not know of the turn", "invert", bypass("Div", -2)),
    wrong("the inversion always clips", "invert", edit("constant_6_invert", np.ones_like)),
    wrong("the inversion never clips", "invert", edit("constant_5_invert", lambda bound: bound * np.inf)),
    wrong("the inversion rounds its states down", "invert", ignore("Add", "steps")),
    wrong("the default is one iteration", "invert", edit("iterations", np.ones_like)),
    wrong("the divergence is subtracted", "log_likelihood", retype("Add", "Sub", output="nats")),
    wrong("the likelihood's heun corrects where it should predict", "log_likelihood", retype("Greater", "Equal", 0)),
    wrong("the normal law has no constant", "log_likelihood", put(math.log(2.0 * math.pi), 0.0)),
    wrong("the angles are a per cent off", "log_likelihood", edit("constant_4_log_likelihood", lambda phi: 1.01 * phi)),
    wrong("evaluations share directions", "log_likelihood", ignore("Mul", "probes")),
    wrong("the divergence is a sum over the directions", "log_likelihood", bypass("Div", 0)),
    wrong("bits are of 256 levels to 2", "log_likelihood", put(math.log(127.5), math.log(128.0))),
]
MUTANTS = [*_NOISING, *_OBJECTIVE, *_DENOISE, *_STEP, *_SAMPLE, *_FLOW]
