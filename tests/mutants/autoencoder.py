"""Wrong files of the family autoencoder."""

import numpy as np

from tests.mutants.tool import Change, Mutant, attribute, bypass, edit, retype, rewire

_PARTS: dict[str, dict[str, Change]] = {
    "objective": {
        "the loss is a sum": retype("ReduceMean", "ReduceSum"),
        "the loss is of the image's negative": retype("Sub", "Add", at=-1),
        "the loss is a mean of products with the image": rewire("Mul", 1, "image", at=-1),
        "the loss is a mean of differences": bypass("Mul", at=-1),
        "an encoder's layer is 1 % larger": edit("encoder.0.weight", lambda array: array * np.float32(1.01)),
        "the decoder's norms divide by another epsilon": attribute("InstanceNormalization", "epsilon", 1e-3, at=-1),
    },
    "encode": {
        "the bias of the code is left out": edit("encoder.7.bias", np.zeros_like),
        "the last activation is a square": bypass("Sigmoid", at=-1),
    },
    "decode": {
        "the images are not bounded": bypass("Tanh"),
        "the pixels are repeated to the left": attribute("Resize", "nearest_mode", "ceil"),
    },
    "reconstruct": {
        "the images are not bounded": bypass("Tanh"),
        "a residual branch is left out": bypass("Add", output="add_172"),
        "the rows of a layer are in another order": edit("decoder.features.weight", lambda array: array[::-1]),
    },
}
MUTANTS: list[Mutant] = [
    Mutant(name, "autoencoder", graph, change) for graph, changes in _PARTS.items() for name, change in changes.items()
]
