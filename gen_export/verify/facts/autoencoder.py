"""Facts of ours about an exported autoencoder (reference section 7 states no theorem)."""

import numpy as np

from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.facts.agreement import APART, close
from gen_export.verify.facts.squared_error import mse_apart
from gen_export.verify.files import Files

BATCH = 3
GAPS = (0.0, 0.5, -1.0)
_AUTOENCODER = ("autoencoder",)
_OBJECTIVE = ("objective",)


@fact(
    "gen_export.autoencoder.reconstruct_is_decode_of_encode",
    "tolerance",
    families=_AUTOENCODER,
    graphs=("reconstruct", "encode", "decode"),
)
def reconstruction_is_the_decoded_code(files: Files) -> Finding:
    """reconstruct(image) = decode(encode(image))."""
    inputs = files.inputs("reconstruct", BATCH, "autoencoder reconstruct")
    expected = files.run("decode", files.run("encode", inputs))["image"]
    return close(files.run("reconstruct", inputs)["reconstruction"], expected, BATCH)


@fact(
    "gen_export.autoencoder.objective_passes_the_parts",
    "tolerance",
    families=_AUTOENCODER,
    graphs=("encode", "decode", "objective"),
)
def objective_passes_the_parts(files: Files) -> Finding:
    """The objective's code is encode(image), and its reconstruction decode(code)."""
    inputs = files.inputs("objective", BATCH, "autoencoder objective")
    run = files.run("objective", inputs, inner=("code", "reconstruction"))
    apart = [
        close(run["code"], files.run("encode", inputs)["code"], BATCH).error,
        close(run["reconstruction"], files.run("decode", {"code": run["code"]})["image"], BATCH).error,
    ]
    return worst(apart, APART, BATCH)


@fact(
    "gen_export.autoencoder.loss_is_the_mse_of_reconstruct",
    "tolerance",
    families=_AUTOENCODER,
    graphs=("reconstruct", "objective"),
)
def loss_is_the_mse_of_the_reconstruction(files: Files) -> Finding:
    """loss = mse(reconstruct(image), image), the mean over all values of the batch."""
    inputs = files.inputs("objective", BATCH, "autoencoder loss")
    rebuilt = files.run("reconstruct", inputs)["reconstruction"]
    return mse_apart(files.run("objective", inputs)["loss"], rebuilt, inputs["image"])


@fact("gen_export.autoencoder.loss_of_a_constant_gap", "exact", families=_AUTOENCODER, graphs=_OBJECTIVE)
def loss_of_a_constant_gap_is_its_square(files: Files) -> Finding:
    """loss = c^2 where reconstruction = image + c throughout, whatever the number of pixels: 0, 1/4 and 1."""
    image = np.full_like(files.inputs("objective", BATCH, "autoencoder gap")["image"], 0.25)
    losses = [
        files.run("objective", {"image": image}, put={"reconstruction": image + np.float32(gap)})["loss"]
        for gap in GAPS
    ]
    return same_bits(losses, np.square(GAPS, dtype=np.float32), len(GAPS))


@fact("gen_export.autoencoder.images_in_range", "sampled", families=_AUTOENCODER, graphs=("reconstruct", "decode"))
def images_are_in_range(files: Files) -> Finding:
    """Every value of reconstruct(image), and of decode(code) for codes of any size, is in [-1, 1]."""
    code = files.inputs("decode", BATCH, "autoencoder range")["code"]
    image = files.inputs("reconstruct", BATCH, "autoencoder range")["image"]
    decoded = files.run("decode", {"code": np.concatenate([code, 100 * code])})["image"]
    images = np.concatenate([decoded, files.run("reconstruct", {"image": image})["reconstruction"]])
    return worst(np.abs(images) - 1.0, 0.0, len(images))
