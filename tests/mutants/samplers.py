"""Wrong samplers of several families: their noise, seeds, samples and bytes."""

from typing import Any

import numpy as np
import onnx

from tests.mutants.diffusion import ignore
from tests.mutants.tool import Change, Mutant, bypass, card, edit, find, graphs, retype, rewire, scale, swap

GOLDEN = float(0x9E3779B97F4A7C15)
MIXER = float(0xBF58476D1CE4E5B9)
HALF_WORD = 2.0**32


def rows_and_columns_exchanged(model: onnx.ModelProto) -> None:
    """Height and width exchanged on the way to bytes."""
    find(model, "Transpose", output="images").attribute[0].ints[:] = [0, 3, 2, 1]


def always(option: str, value: float) -> Change:
    """An option that the sampler takes and does not heed."""

    def change(model: onnx.ModelProto) -> None:
        (port,) = [port for port in model.graph.input if port.name == option]
        held = onnx.helper.make_tensor(f"{option}_held", port.type.tensor_type.elem_type, (), [value])
        model.graph.initializer.append(held)
        readers = [node for inside in graphs(model.graph) for node in inside.node if option in node.input]
        assert readers, f"nothing reads {option}"
        for node in readers:
            node.input[list(node.input).index(option)] = held.name

    return change


def noise_scaled(model: onnx.ModelProto) -> None:
    """The initial noise a little too large."""
    node = next(node for node in model.graph.node if "noise" in node.output)
    node.output[0] = "unscaled"
    factor = onnx.helper.make_tensor("factor", onnx.TensorProto.FLOAT, (), [1.0005])
    model.graph.initializer.append(factor)
    scaled = onnx.helper.make_node("Mul", ["unscaled", "factor"], ["noise"])
    model.graph.node.insert(list(model.graph.node).index(node) + 1, scaled)


def another_scheme(document: dict[str, Any]) -> None:
    """The name of another generator."""
    document["noise"]["scheme"] = "philox4x32"


def _everywhere(name: str, change: Change, *families: str, graph: str = "sample") -> list[Mutant]:
    return [Mutant(name, family, graph, change) for family in families]


MUTANTS = [
    *_everywhere("words are rotated by 31 bits one way", scale(HALF_WORD, 0.5, 1), "vae", "vqvae", "gan", "diffusion"),
    *_everywhere("a key constant went through float64", scale(GOLDEN, 1.0), "vae", "diffusion"),
    *_everywhere("a key constant is another", scale(MIXER, 0.5), "gan", "vqvae"),
    *_everywhere("keys may be even", bypass("BitwiseOr"), "vae", "vqvae", "gan", "diffusion"),
    *_everywhere("the seed is not used", rewire("Reshape", 0, "first"), "vae", "vqvae", "gan", "diffusion"),
    *_everywhere("the first sample is always 0", ignore("Add", "first"), "vae", "vqvae", "gan", "diffusion"),
    *_everywhere("bytes are cut, not rounded", retype("Round", "Floor"), "vae", "vqvae", "gan", "diffusion"),
    *_everywhere("pixels are scaled by 128", scale(127.5, 128 / 127.5), "vae", "diffusion"),
    *_everywhere("rows and columns are exchanged", rows_and_columns_exchanged, "vae", "vqvae", "gan", "diffusion"),
    *_everywhere("sines come before cosines", swap("Concat"), "vae", "gan"),
    *_everywhere("angles are half a turn", scale(2.0 * np.pi, 0.5), "vae", "diffusion"),
    *_everywhere("the radius has no factor of two", scale(-2.0, 0.5), "gan"),
    *_everywhere("uniforms are of the low half of a word", scale(256.0, 0.5), "vae", "diffusion"),
    *_everywhere("the first sample is 1 by default", edit("first", lambda first: first + 1), "gan", "vqvae"),
    *_everywhere("the initial noise is 1.0005 times too large", noise_scaled, "vae", "gan", "diffusion"),
    *_everywhere("the temperature is always 1", always("temperature", 1.0), "vqvae"),
    *_everywhere("codes are always chosen among two", always("top_k", 2), "vqvae"),
    *_everywhere("there are always seven steps", always("steps", 7), "diffusion"),
    *_everywhere("eta is always a half", always("eta", 0.5), "diffusion"),
    *_everywhere("pixels are scaled by 126", scale(127.5, 126 / 127.5), "vae", "diffusion", graph="sample_from_noise"),
    *_everywhere("the card names another generator", card(another_scheme), "vqvae", "diffusion"),
]
