"""Wrong files of the family vqvae."""

import numpy as np
import onnx

from tests.mutants.tool import Mutant, bypass, edit, find, put, retype, rewire, scale

FAMILY = "vqvae"


def swap_rows(codes: np.ndarray) -> np.ndarray:
    """The first two codes exchanged."""
    return codes[[1, 0, *range(2, len(codes))]]


def in_float32(model: onnx.ModelProto) -> None:
    """The search for the nearest code casts to float32 where it should to float64."""
    casts = [n for n in model.graph.node if n.op_type == "Cast" and n.attribute[0].i == onnx.TensorProto.DOUBLE]
    assert casts, "no Cast to float64"
    del model.graph.value_info[:]
    for cast in casts:
        cast.attribute[0].i = onnx.TensorProto.FLOAT


def swap_keys_and_values(model: onnx.ModelProto) -> None:
    """The step gives back its values as keys and its keys as values."""
    node = next(n for n in model.graph.node if n.op_type == "Concat" and n.output[0].startswith("stack"))
    node.input[0], node.input[1] = node.input[1], node.input[0]


def straight_through_twice(model: onnx.ModelProto) -> None:
    """The decoder sees z_q + (z_e + z_e)."""
    node = next(n for n in model.graph.node if n.op_type == "Sub" and list(n.input) == ["encoded", "encoded"])
    node.op_type = "Add"


def without_codebook_term(model: onnx.ModelProto) -> None:
    """Loss = reconstruction + beta * commitment."""
    node = find(model, "Add", output="loss")
    bypass("Add", output=node.input[0])(model)


def exclusive_sum(model: onnx.ModelProto) -> None:
    """The cumulative law of the codes before, without a code's own share."""
    find(model, "CumSum").attribute.append(onnx.helper.make_attribute("exclusive", 1))


def transposed_grid(model: onnx.ModelProto) -> None:
    """Codes laid out column by column."""
    drawn = find(model, "Loop").output
    grid = next(node for node in model.graph.node if node.op_type == "Reshape" and node.input[0] in drawn)
    index, laid = list(model.graph.node).index(grid), grid.output[0]
    grid.output[0] = "rows"
    model.graph.node.insert(index + 1, onnx.helper.make_node("Transpose", ["rows"], [laid], perm=[0, 2, 1]))


def without_the_half(model: onnx.ModelProto) -> None:
    """A bisector twice as far: gap / between."""
    bypass("Mul", output=find(model, "Div").input[1])(model)


def with_rounding_added(model: onnx.ModelProto) -> None:
    """The allowance for rounding added to the gap that it should be taken from."""
    gaps = find(model, "Where", output=find(model, "Div").input[0]).input[1]
    retype("Sub", "Add", output=gaps)(model)


MUTANTS = [
    Mutant("the farthest code for the nearest", FAMILY, "encode", retype("ArgMin", "ArgMax")),
    Mutant("the nearest code sought in float32", FAMILY, "encode", in_float32),
    Mutant("the nearest code sought by |c|^2 - 1.98 z.c", FAMILY, "encode", scale(2.0, 0.99)),
    Mutant("a permuted codebook, sought in the right one", FAMILY, "lookup", edit("codebook.codes", swap_rows)),
    Mutant("two rows of the codebook exchanged", FAMILY, "decode", edit("codebook.codes", swap_rows)),
    Mutant("a codebook 1 % too large", FAMILY, "reconstruct", edit("codebook.codes", lambda codes: codes * 1.01)),
    Mutant("another default of beta than the card's", FAMILY, "objective", edit("beta", lambda beta: beta * 1.01)),
    Mutant("the reconstruction is a sum", FAMILY, "objective", retype("ReduceMean", "ReduceSum", at=0)),
    Mutant("the commitment is a sum", FAMILY, "objective", retype("ReduceMean", "ReduceSum", at=2)),
    Mutant("the loss lacks the codebook term", FAMILY, "objective", without_codebook_term),
    Mutant("the loss subtracts the commitment", FAMILY, "objective", retype("Add", "Sub", output="loss")),
    Mutant("beta weighs the reconstruction", FAMILY, "objective", rewire("Mul", 1, "reconstruction", at=-1)),
    Mutant("the decoder sees more than the code", FAMILY, "objective", straight_through_twice),
    Mutant("the farthest code in the objective", FAMILY, "objective", retype("ArgMin", "ArgMax")),
    Mutant("an encoder 1 % off", FAMILY, "encode", edit("encoder.6.weight", lambda weight: weight * 1.01)),
    Mutant("the margin of the farthest bisector", FAMILY, "quantize", retype("ReduceMin", "ReduceMax", at=1)),
    Mutant("margins twice too large", FAMILY, "quantize", without_the_half),
    Mutant("margins half too small", FAMILY, "quantize", scale(1.0 - 2.0**-23, 0.5, at=-1)),
    Mutant("margins 0.01 % too large", FAMILY, "quantize", scale(1.0 - 2.0**-23, 1.0001, at=-1)),
    Mutant("margins by |c_j - c_k|^2 for |c_j - c_k|", FAMILY, "quantize", bypass("Sqrt", at=2)),
    Mutant("margins that count rounding in their favour", FAMILY, "quantize", with_rounding_added),
    Mutant("margins sought in float32", FAMILY, "quantize", in_float32),
    Mutant("a codebook 1 % too large in the margins", FAMILY, "quantize", edit("codebook.codes", lambda c: c * 1.01)),
    Mutant("likelihoods are means over positions", FAMILY, "nll", retype("ReduceSum", "ReduceMean", output="nats")),
    Mutant("keys and values exchanged in the cache", FAMILY, "predict", swap_keys_and_values),
    Mutant("the first code depends on one before it", FAMILY, "predict", bypass("Where", operand=2)),
    Mutant("a code does not attend to itself", FAMILY, "predict", retype("LessOrEqual", "Less")),
    Mutant("a code attends to those after it", FAMILY, "predict", retype("LessOrEqual", "GreaterOrEqual")),
    Mutant("logits 1 % too large", FAMILY, "predict", edit("head.weight", lambda weight: weight * 1.01)),
    Mutant("the law is summed without its own term", FAMILY, "sample_from_noise", exclusive_sum),
    Mutant("codes that are left out keep a weight", FAMILY, "sample_from_noise", put(-np.inf, -1.0)),
    Mutant("the coldest temperature is 1", FAMILY, "sample_from_noise", scale(2.0**-200, 2.0**200)),
    Mutant("bytes rounded down", FAMILY, "sample_from_noise", retype("Round", "Floor")),
    Mutant("the grid of codes transposed", FAMILY, "sample_from_noise", transposed_grid),
]
