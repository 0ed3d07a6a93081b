"""Wrong files of the family vae."""

from typing import Any

import numpy as np
import onnx

from tests.mutants.tool import (
    Change,
    Mutant,
    attribute,
    bypass,
    card,
    edit,
    find,
    retype,
    rewire,
    scale,
    swap,
)


def more(factor: float) -> Any:
    """A function that multiplies an array."""
    return lambda array: array * np.float32(factor)


def swap_outputs(first: str, second: str) -> Change:
    """Two outputs of a graph take each other's values."""

    def change(model: onnx.ModelProto) -> None:
        names = {first: second, second: first}
        nodes = [node for node in model.graph.node if set(node.output) & set(names)]
        assert len(nodes) == 2, f"{first} and {second} are not the outputs of two nodes"
        for node in nodes:
            node.output[0] = names[node.output[0]]

    return change


def default(port: str, value: float) -> Change:
    """Another default value of an input, in its port alone."""

    def set_default(document: dict[str, Any]) -> None:
        (found,) = [entry for entry in document["inputs"] if entry["name"] == port]
        found["default"] = value

    return card(set_default)


def stamped(document: dict[str, Any]) -> None:
    """A stamp of other weights."""
    document["verified"] = {"weights": {"sample": "0" * 64}, "facts": {}, "passed": 0, "failed": 0, "tool": "0"}


def other_scale(model: onnx.ModelProto) -> None:
    """The KL takes the standard deviation, which the latent's exponential computes, for the variance."""
    rewire("Exp", 0, find(model, "Exp").input[0], at=1)(model)


def other_half(model: onnx.ModelProto) -> None:
    """The encoder's second half, the log-variance, is taken for the first."""
    whole, half = find(model, "Slice"), find(model, "Slice", at=-1)
    half.input[1], half.input[2] = half.input[2], whole.input[2]


_OBJECTIVE: dict[str, Change] = {
    "the reconstruction is a sum of squares": retype("ReduceMean", "ReduceSum"),
    "the reconstruction is a mean of products with the image": rewire("Mul", 1, "image", at=-4),
    "the KL is a sum": retype("ReduceMean", "ReduceSum", at=1),
    "the KL is not halved": bypass("Mul", output="kl"),
    "the KL lacks the squared mean": bypass("Add", at=-2),
    "the KL lacks its constant": bypass("Sub", at=-2),
    "the KL adds the log-variance": retype("Sub", "Add", at=-1),
    "the KL has the standard deviation for the variance": other_scale,
    "the KL is that of the latent": rewire("Mul", 0, "z", at=-3),
    "beta is not used": rewire("Add", 1, "kl", output="loss"),
    "beta times KL is subtracted": retype("Add", "Sub", output="loss"),
    "beta weighs the reconstruction": rewire("Mul", 1, "reconstruction", at=-1),
    "the default beta of the file is 1 % more": edit("beta", more(1.01)),
    "the default beta of the port is 1 % more": default("beta", 0.00505),
    "the scale of the latent is the variance": rewire("Exp", 0, "logvar"),
    "the latent is the mean": bypass("Add", output="z"),
    "the noise is not scaled": rewire("Add", 1, "eps", output="z"),
    "the noise is subtracted": retype("Add", "Sub", output="z"),
    "an encoder's layer is 1 % larger": edit("encoder.0.weight", more(1.01)),
    "the decoder's norms divide by another epsilon": attribute("InstanceNormalization", "epsilon", 1e-3, at=-1),
}
_PARTS: dict[str, dict[str, Change]] = {
    "objective": _OBJECTIVE,
    "encode": {
        "mean and log-variance are exchanged": swap_outputs("mu", "logvar"),
        "the last activation is a square": bypass("Sigmoid", at=-1),
    },
    "decode": {
        "the images are not bounded": bypass("Tanh"),
        "the pixels are repeated to the left": attribute("Resize", "nearest_mode", "ceil"),
        "the rows of a layer are in another order": edit("decoder.features.weight", lambda array: array[::-1]),
        "a bias is left out": edit("decoder.features.bias", more(0)),
        "the card is of another beta": card(lambda document: document["config"].update(beta=0.5)),
    },
    "reconstruct": {
        "the log-variance is decoded": other_half,
        "the mean is decoded at half its size": edit("decoder.features.weight", more(0.5)),
    },
    "bound": {
        "the weights are summed": retype("ReduceMean", "ReduceSum", at=-1),
        "the log weights are summed": retype("ReduceMean", "ReduceSum"),
        "the bound is the largest log weight": bypass("Add", output="bound", operand=1),
        "the largest log weight is not added back": bypass("Add", output="bound"),
        "the two bounds are exchanged": swap_outputs("elbo", "bound"),
        "the prior is left out": bypass("Add", at=-2),
        "the posterior is added": retype("Sub", "Add", at=-2),
        "the logarithm of 2 pi is 1 % more": scale(1.837877, 1.01),
        "the default variance of the file is 1 % more": edit("variance", more(1.01)),
        "the default variance of the port is 1": default("variance", 1.0),
    },
    "latent": {
        "the scale is not inverted": bypass("Neg"),
        "the shift is added": retype("Sub", "Add"),
        "the halves are exchanged": swap("Concat", output="z"),
        "a movement is of other weights": edit("flow.movements.3.first.weight", more(1.1)),
    },
    "normalize": {
        "the determinant is left out": bypass("Add", output="log_density"),
        "the determinant is subtracted": retype("Add", "Sub", output="log_density"),
        "a log-scale is positive": retype("Tanh", "Sigmoid"),
        "the density is a mean over latents": retype("ReduceSum", "ReduceMean", at=-1),
        "the determinant is a mean over couplings": retype("ReduceSum", "ReduceMean", at=-2),
    },
    "sample_from_noise": {
        "the last movement of the prior does not shift": edit("flow.movements.7.last.bias", more(0)),
        "the bytes are rounded down": retype("Round", "Floor"),
        "a level is 1 / 256 of the range": scale(127.5, 128 / 127.5),
        "height and width are exchanged": attribute("Transpose", "perm", [0, 3, 2, 1]),
        "black is a level too bright": scale(1.0, 1.008),
    },
    "sample": {
        "the bytes are rounded down": retype("Round", "Floor"),
        "the angles of the normals are 1 % larger": scale(2 * np.pi, 1.01),
        "the radii of the normals are too small by a root of 2": scale(-2.0, 0.5),
        "a layer of the decoder is 1 % larger": edit("decoder.features.weight", more(1.01)),
        "the stamp is of other weights": card(stamped),
    },
}
MUTANTS: list[Mutant] = [
    Mutant(name, "vae", graph, change) for graph, changes in _PARTS.items() for name, change in changes.items()
]
