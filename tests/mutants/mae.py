"""Wrong files of the family mae."""

import numpy as np
import onnx

from tests.mutants.tool import Mutant, bypass, edit, find, retype

FAMILY = "mae"


def more(array):
    """1 % larger."""
    return array * 1.01


def transposed_mask(model: onnx.ModelProto) -> None:
    """The mask spread over the pixels of the image turned on its side."""
    spread = next(node for node in model.graph.node if node.op_type == "Slice" and node.input[0] == "mask")
    spread.input[0] = "turned"
    model.graph.node.insert(0, onnx.helper.make_node("Transpose", ["mask"], ["turned"], perm=[0, 2, 1]))


def swap_choice(model: onnx.ModelProto) -> None:
    """The prediction where visible, the image where hidden."""
    node = find(model, "Where", output="reconstruction")
    node.input[1], node.input[2] = node.input[2], node.input[1]


def without_clip(model: onnx.ModelProto) -> None:
    """The prediction as it is."""
    bypass("Clip")(model)


def see_hidden_pixels(model: onnx.ModelProto) -> None:
    """Patches of the whole image; what is hidden is only left out of attention."""
    masked = next(node.output[0] for node in model.graph.node if node.op_type == "Where" and "image" in node.input)
    shown = next(node for node in model.graph.node if masked in node.input and node.op_type == "Reshape")
    shown.input[0] = "image"


def attend_to_all(model: onnx.ModelProto) -> None:
    """The first block attends to hidden patches too."""
    scores = next(node for node in model.graph.node if node.op_type == "Softmax").input[0]
    bypass("Where", output=scores, operand=2)(model)


def features_as_they_are(model: onnx.ModelProto) -> None:
    """Hidden patches keep their features."""
    bypass("Where", output="features", operand=2)(model)


def no_mask_token(model: onnx.ModelProto) -> None:
    """The decoder sees the features of hidden patches, not its token."""
    node = next(n for n in model.graph.node if n.op_type == "Where" and any(i.endswith("mask_token") for i in n.input))
    bypass("Where", output=node.output[0], operand=2)(model)


def nothing_of_all(model: onnx.ModelProto) -> None:
    """The loss is 0 / 0 where every patch is hidden, as a mean over what is visible would be."""
    loss = find(model, "Div", output="loss")
    loss.output[0] = "mean"
    make = onnx.helper.make_node
    shown = [
        make("Not", ["mask"], ["shown"]),
        make("Cast", ["shown"], ["ones"], to=onnx.TensorProto.FLOAT),
        make("ReduceMax", ["ones"], ["some"], keepdims=0),
        make("Mul", ["mean", "some"], ["kept"]),
        make("Div", ["kept", "some"], ["loss"]),
    ]
    model.graph.node.extend(shown)


MUTANTS = [
    Mutant("visible and hidden exchanged", FAMILY, "reconstruct", swap_choice),
    Mutant("a prediction that is not clipped", FAMILY, "reconstruct", without_clip),
    Mutant("hidden pixels reach the encoder's patches", FAMILY, "reconstruct", see_hidden_pixels),
    Mutant("patches attend to hidden ones", FAMILY, "reconstruct", attend_to_all),
    Mutant("features attend to hidden patches", FAMILY, "encode", attend_to_all),
    Mutant("hidden patches have features", FAMILY, "encode", features_as_they_are),
    Mutant("the masked image keeps what is hidden", FAMILY, "reconstruct", bypass("Where", output="masked", operand=2)),
    Mutant("the last norm is left out", FAMILY, "encode", bypass("LayerNormalization", at=-1)),
    Mutant("no token for hidden patches", FAMILY, "objective", no_mask_token),
    Mutant("a token for hidden patches 1 % off", FAMILY, "objective", edit("mask_token", more)),
    Mutant("a position 1 % off", FAMILY, "reconstruct", edit("decoder.positions", more)),
    Mutant(
        "rows and columns of positions exchanged",
        FAMILY,
        "encode",
        edit("encoder.positions", lambda p: np.roll(p, p.shape[-1] // 2, -1)),
    ),
    Mutant("an embedding 1 % off", FAMILY, "encode", edit("embed.weight", more)),
    Mutant("a sum over the hidden pixels", FAMILY, "objective", bypass("Div", output="div_3")),
    Mutant("a sum over the images", FAMILY, "objective", bypass("Div", output="loss")),
    Mutant("the largest image's loss", FAMILY, "objective", retype("ReduceSum", "ReduceMax", at=-1)),
    Mutant("no number for a loss of images wholly hidden", FAMILY, "objective", nothing_of_all),
    Mutant("the loss without its square", FAMILY, "objective", bypass("Mul", at=-1)),
    Mutant("the loss of visible pixels too", FAMILY, "objective", bypass("Mul", at=-2, operand=1)),
    Mutant("queries not divided by the root of their size", FAMILY, "encode", bypass("Div", output="div")),
    Mutant("the mask of pixels transposed", FAMILY, "reconstruct", transposed_mask),
]
