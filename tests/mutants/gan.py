"""Wrong files of the family gan."""

import onnx

from tests.mutants.tool import Mutant, attribute, bypass, edit, find, retype, rewire, scale

FAMILY = "gan"


def without_square(output: str):
    """The mean of differences where it should be one of squares."""

    def change(model: onnx.ModelProto) -> None:
        mean = find(model, "Squeeze", output=output).input[0]
        square = find(model, "ReduceMean", output=mean).input[0]
        bypass("Mul", output=square)(model)

    return change


def halved(output: str):
    """A loss with the paper's factor of one half."""

    def change(model: onnx.ModelProto) -> None:
        loss = next(node for node in model.graph.node if output in node.output)
        loss.output[0] = f"{output}_whole"
        model.graph.initializer.append(onnx.helper.make_tensor("half", onnx.TensorProto.FLOAT, (), [0.5]))
        model.graph.node.append(onnx.helper.make_node("Mul", [f"{output}_whole", "half"], [output]))

    return change


def summed(output: str):
    """A sum over the batch where it should be a mean."""

    def change(model: onnx.ModelProto) -> None:
        retype("ReduceMean", "ReduceSum", output=find(model, "Squeeze", output=output).input[0])(model)

    return change


def compared_with(output: str, score: str):
    """A loss of another score."""

    def change(model: onnx.ModelProto) -> None:
        mean = find(model, "Squeeze", output=output).input[0]
        square = find(model, "ReduceMean", output=mean).input[0]
        rewire("Sub", 0, score, output=find(model, "Mul", output=square).input[0])(model)

    return change


def other_target(model: onnx.ModelProto) -> None:
    """Generated images are to score 0.99."""
    model.graph.initializer.append(onnx.helper.make_tensor("almost", onnx.TensorProto.FLOAT, (), [0.99]))
    rewire("Sub", 1, "almost")(model)


def scores_exchanged(model: onnx.ModelProto) -> None:
    """The scores of images and of generated images exchanged, and with them the terms."""
    find(model, "Squeeze", output="real_score").output[0] = "swapped"
    find(model, "Squeeze", output="fake_score").output[0] = "real_score"
    find(model, "Squeeze", output="swapped").output[0] = "fake_score"


def more(array):
    """1 % larger."""
    return array * 1.01


MUTANTS = [
    Mutant("the generator aims at a score of 0.99", FAMILY, "objective", other_target),
    Mutant("the real term is a sum", FAMILY, "objective", summed("real_term")),
    Mutant("the generator's loss is a sum", FAMILY, "objective", summed("generator_loss")),
    Mutant("the fake term without its square", FAMILY, "objective", without_square("fake_term")),
    Mutant("the generator's loss is halved", FAMILY, "objective", halved("generator_loss")),
    Mutant("the discriminator's loss is halved", FAMILY, "objective", halved("discriminator_loss")),
    Mutant("the terms are subtracted", FAMILY, "objective", retype("Add", "Sub", output="discriminator_loss")),
    Mutant("the fake term is dropped", FAMILY, "objective", bypass("Add", output="discriminator_loss")),
    Mutant("the real term is dropped", FAMILY, "objective", bypass("Add", output="discriminator_loss", operand=1)),
    Mutant(
        "the generator is judged by real images", FAMILY, "objective", compared_with("generator_loss", "real_score")
    ),
    Mutant("the scores are exchanged", FAMILY, "objective", scores_exchanged),
    Mutant("a generator 1 % off", FAMILY, "objective", edit("generator.0.weight", more)),
    Mutant("a discriminator 1 % off", FAMILY, "discriminate", edit("discriminator.2.weight", more)),
    Mutant(
        "another slope of the leaky activation", FAMILY, "discriminate", attribute("LeakyRelu", "alpha", 0.01, at=1)
    ),
    Mutant("a generator without its last tanh", FAMILY, "generate", bypass("Tanh")),
    Mutant("pixels doubled by their other neighbour", FAMILY, "generate", attribute("Resize", "nearest_mode", "ceil")),
    Mutant("a bias dropped", FAMILY, "generate", edit("generator.0.bias", lambda bias: bias * 0)),
    Mutant("bytes rounded down", FAMILY, "sample_from_noise", retype("Round", "Floor")),
    Mutant("bytes of 127 levels", FAMILY, "sample_from_noise", scale(127.5, 127.0 / 127.5)),
    Mutant("a generator 1 % off in the sampler", FAMILY, "sample_from_noise", edit("generator.7.weight", more)),
]
