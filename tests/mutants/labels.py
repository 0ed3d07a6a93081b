"""Wrong samplers of families that learn classes."""

from typing import Any

import onnx

from tests.mutants.samplers import always
from tests.mutants.tool import Change, Mutant, card, graphs, swap


def guided_away(model: onnx.ModelProto) -> None:
    """The difference that the class makes with the other sign."""
    for inside in graphs(model.graph):
        if [node.op_type for node in inside.node][:3] == ["Slice", "Slice", "Sub"]:
            difference = inside.node[2]
            difference.input[0], difference.input[1] = difference.input[1], difference.input[0]
            return
    raise AssertionError("no branch that guides")


def another_order(document: dict[str, Any]) -> None:
    """The names of the first two classes exchanged."""
    (port,) = [port for port in document["inputs"] if port["name"] == "label"]
    port["choices"][:2] = port["choices"][1::-1]


def _everywhere(name: str, change: Change, *families: str, graph: str = "sample") -> list[Mutant]:
    return [Mutant(name, f"labelled_{family}", graph, change) for family in families]


MUTANTS = [
    *_everywhere("the class is the remainder of the other number", swap("Mod"), "vae", "vqvae", "diffusion"),
    *_everywhere("the class is always the first", always("label", 0), "vae", "vqvae", "diffusion"),
    *_everywhere("guidance is always 1", always("guidance", 1.0), "vqvae", "diffusion"),
    *_everywhere("guidance leads away from the class", guided_away, "vqvae", "diffusion", graph="sample_from_noise"),
    *_everywhere("steps are not guided", always("guidance", 1.0), "diffusion", graph="step"),
    *_everywhere("steps are of any class", always("label", 4), "diffusion", graph="step"),
    *_everywhere("the decoder is not told the class", always("label", 4), "vae", graph="decode"),
    *_everywhere("the prior is not told the class", always("label", 4), "vqvae", graph="predict"),
    *_everywhere("names of classes are exchanged", card(another_order), "vae", "diffusion"),
]
