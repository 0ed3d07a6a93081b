"""Wrong files of the family classifier."""

import numpy as np

from tests.mutants.tool import Change, Mutant, attribute, edit, retype

_PARTS: dict[str, dict[str, Change]] = {
    "objective": {
        "the loss is a sum": attribute("SoftmaxCrossEntropyLoss", "reduction", b"sum"),
        "the accuracy counts the least likely class": retype("ArgMax", "ArgMin"),
        "the accuracy is a count": retype("ReduceMean", "ReduceSum", at=-1),
        "the head is 1 % larger": edit("head.weight", lambda array: array * np.float32(1.01)),
    },
    "classify": {
        "a layer is 1 % larger": edit("layers.0.weight", lambda array: array * np.float32(1.01)),
    },
}
MUTANTS: list[Mutant] = [
    Mutant(name, "classifier", graph, change) for graph, changes in _PARTS.items() for name, change in changes.items()
]
