"""Facts of the VQ-VAE's losses and of how its files agree (reference section 4).

Latents are put in the place of those that the encoder makes (`encoded`), so that a file's own losses and its decoder
are tried on codes, and on numbers from far off.
"""

import numpy as np

from gen_export.errors import NothingToCheckError
from gen_export.spec.objectives import mse, weighted_three_term
from gen_export.spec.vqvae import training_gradients, vqvae_loss
from gen_export.verify.fact import Finding, fact, same_bits, worst, worst_of
from gen_export.verify.facts import codes
from gen_export.verify.facts.agreement import close, close_mean
from gen_export.verify.files import Files, random
from gen_runtime.inputs import Array

BATCH = 4
BETAS = (0.0, 0.25, 1.0, 37.5)
_VQVAE = ("vqvae",)
_SPEC = "Generative.VQVAE.{}".format
_NAME = "NN.MLTheory.Generative.Latent.VQVAE.{}".format
_OURS = "gen_export.vqvae.{}".format


@fact(_OURS("training_gradients_are_those_of_the_loss"), "exact")
def gradients_are_differences() -> Finding:
    """trainingGradients are the slopes of g.z_e + beta mse(z_e, z_q) in z_e and of mse(z_q, z_e) in z_q.

    A central difference of a quadratic is its slope, and on eighths float64 does not round.
    """
    rng = random("training gradients")
    rows = [rng.integers(-32, 33, (3, 8)) / 8.0 for _ in range(100)]
    apart = []
    for encoded, selected, upstream in rows:
        beta = float(rng.integers(0, 9)) / 4.0
        in_encoded, in_selected = training_gradients(encoded, selected, upstream, beta)
        for step in np.eye(8):
            ahead, behind = mse(encoded + step, selected), mse(encoded - step, selected)
            apart.append(upstream @ step + beta * (ahead - behind) / 2.0 - in_encoded @ step)
            ahead, behind = mse(selected + step, encoded), mse(selected - step, encoded)
            apart.append((ahead - behind) / 2.0 - in_selected @ step)
    return worst(np.abs(apart), 0.0, len(apart))


def _objective(files: Files, purpose: str, beta: float, latents: Array | None = None) -> dict[str, Array]:
    """The objective of random images, whose latents are those given, if any."""
    batch = BATCH if latents is None else len(latents)
    inputs = {**files.inputs("objective", batch, purpose), "beta": np.array(beta, np.float32)}
    return files.run("objective", inputs, put=None if latents is None else {"encoded": latents})


@fact(
    _SPEC("loss_eq_reconstruction_add_codebook_add_commitment"),
    "exact",
    "4.2",
    families=_VQVAE,
    graphs=("objective",),
    aliases=(_NAME("vqvae_loss_decomposition"),),
)
def loss_is_its_three_terms(files: Files) -> Finding:
    """loss = reconstruction + codebook + beta * commitment, in the file's own outputs."""
    runs = [_objective(files, "vqvae decomposition", beta) for beta in BETAS]
    pairs = zip(runs, BETAS, strict=True)
    expected = [vqvae_loss(r["reconstruction"], r["codebook"], r["commitment"], np.float32(b)) for r, b in pairs]
    return same_bits(np.stack([run["loss"] for run in runs]), np.stack(expected), len(runs))


@fact(_NAME("vqvae_loss_eq_weightedThreeTerm"), "exact", "4.2", families=_VQVAE, graphs=("lookup", "objective"))
def loss_is_a_weighted_sum(files: Files) -> Finding:
    """loss = weightedThreeTerm beta (reconstruction, codebook, commitment), with latents from far off too."""
    far = 100.0 * random("far latents").standard_normal((BATCH, *codes.grid(files), codes.codebook(files).shape[1]))
    runs = [_objective(files, "vqvae weighted", beta, far.astype(np.float32)) for beta in BETAS]
    terms = [(run["reconstruction"], run["codebook"], run["commitment"]) for run in runs]
    expected = [weighted_three_term(np.float32(beta), *term) for beta, term in zip(BETAS, terms, strict=True)]
    return same_bits(np.stack([run["loss"] for run in runs]), np.stack(expected), len(runs))


@fact(_NAME("vqvae_loss_zero_beta"), "exact", "4.2", hypotheses="beta = 0", families=_VQVAE, graphs=("objective",))
def loss_without_commitment(files: Files) -> Finding:
    """loss = reconstruction + codebook."""
    run = _objective(files, "vqvae zero beta", 0.0)
    return same_bits(run["loss"], np.asarray(run["reconstruction"] + run["codebook"]), BATCH)


@fact(
    _NAME("vqvae_loss_eq_reconstruction_of_zero_quantization"),
    "exact",
    "4.2",
    hypotheses="codebookLoss = 0, commitmentLoss = 0: the latents are codes",
    families=_VQVAE,
    graphs=("lookup", "objective"),
)
def loss_of_latents_that_are_codes(files: Files) -> Finding:
    """loss = reconstruction, and both other terms are 0."""
    latents = codes.in_grids(codes.some_codes(codes.codebook(files)), codes.grid(files))
    runs = [_objective(files, "vqvae zero quantization", beta, latents) for beta in BETAS]
    found = [[run[name] for name in ("loss", "codebook", "commitment")] for run in runs]
    zero = np.float32(0.0)
    return same_bits(np.array(found), np.array([[run["reconstruction"], zero, zero] for run in runs]), len(runs))


@fact(
    _NAME("vqvae_loss_mono_beta_of_commitment_nonneg"),
    "sampled",
    "4.2",
    hypotheses="beta1 <= beta2, 0 <= commitmentLoss",
    families=_VQVAE,
    graphs=("objective",),
)
def loss_grows_with_beta(files: Files) -> Finding:
    """loss beta1 <= loss beta2; rounding keeps the order."""
    losses = [float(_objective(files, "vqvae monotone", beta)["loss"]) for beta in sorted(BETAS)]
    return worst(-np.diff(losses), 0.0, len(losses) - 1)


@fact(
    _NAME("forward_eq_decoder_codebook"),
    "tolerance",
    "4.2",
    families=_VQVAE,
    graphs=("lookup", "encode", "decode", "objective"),
)
def forward_decodes_the_codes(files: Files) -> Finding:
    """forward x idx = decoder (embedding idx), whatever x is: the error is 0 beside these images, 4 |x|^2 beside -x."""
    vectors = codes.some_codes(codes.codebook(files))
    latents = codes.in_grids(vectors, codes.grid(files))
    decoded = files.run("decode", {"indices": codes.chosen(files, vectors)[0]})["image"]
    images, put = (decoded, -decoded), {"encoded": latents}
    errors = [files.run("objective", {"image": image}, put=put)["reconstruction"] for image in images]
    size = np.sqrt(np.mean(decoded.astype(np.float64) ** 2))
    return close(np.sqrt(np.asarray(errors, np.float64)), [0.0, 2.0 * size], len(latents))


@fact(_OURS("terms_are_means"), "tolerance", families=_VQVAE, graphs=("objective",))
def terms_are_means_of_squared_distances(files: Files) -> Finding:
    """codebook = commitment = mean over the grid of squaredL2(z_e, z_q) / d, a mean where the theorems have a sum."""
    run = files.run("objective", files.inputs("objective", BATCH, "vqvae terms"), ("encoded", "quantized"))
    squares = (run["encoded"].astype(np.float64) - run["quantized"]) ** 2
    return worst_of(close_mean(run[name], squares, BATCH) for name in ("codebook", "commitment"))


@fact(_OURS("straight_through_is_the_code"), "exact", families=_VQVAE, graphs=("lookup", "objective"))
def decoder_sees_the_code_alone(files: Files) -> Finding:
    """stop(z_q) + (z_e - stop(z_e)) is exactly z_q: the reconstruction error does not change with z_e."""
    inputs = files.inputs("objective", BATCH, "straight through")
    drawn = files.inputs("lookup", BATCH, "straight through")["indices"]
    quantized = files.run("lookup", {"indices": drawn})["quantized"]
    others = random("straight through").standard_normal((3, *quantized.shape)) * [
        [[[[1e-3]]]],
        [[[[1.0]]]],
        [[[[1e6]]]],
    ]
    puts = [{"quantized": quantized, "encoded": z.astype(np.float32)} for z in (quantized, *others)]
    found = [files.run("objective", inputs, put=put)["reconstruction"] for put in puts]
    return same_bits(np.stack(found), np.stack([found[0]] * len(found)), len(found))


@fact(_OURS("default_beta"), "exact", families=_VQVAE, graphs=("objective",))
def default_is_the_trained_beta(files: Files) -> Finding:
    """Left out, beta is the one that the model was trained with, which its port tells."""
    port = next(port for port in files.probe("objective").graph.card.inputs if port.name == "beta")
    image = {"image": files.inputs("objective", BATCH, "default beta")["image"]}
    betas = [None, port.default, (files.card.config or {}).get("beta")]
    given = [{} if beta is None else {"beta": np.array(beta, np.float32)} for beta in betas]
    losses = [files.run("objective", {**image, **beta})["loss"] for beta in given]
    return same_bits(np.stack(losses), np.stack([losses[0]] * 3), 2)


@fact(
    _OURS("reconstruct_is_decode_of_encode"),
    "tolerance",
    hypotheses="no latent so near a tie that rounding decides",
    families=_VQVAE,
    graphs=("lookup", "encode", "decode", "reconstruct"),
)
def reconstruct_is_its_parts(files: Files) -> Finding:
    """reconstruct x = decode (encode x)."""
    image = files.inputs("encode", 2 * BATCH, "vqvae reconstruct")["image"]
    run, book = files.run("encode", {"image": image}), codes.codebook(files)
    kept = np.array(
        [all(codes.clear(z, book) for z in grid) for grid in run["encoded"].reshape(len(image), -1, book.shape[1])]
    )
    if not kept.any():
        raise NothingToCheckError(f"expected an image without a latent near a tie, found none of {len(image)}")
    found = files.run("reconstruct", {"image": image[kept]})["reconstruction"]
    return close(found, files.run("decode", {"indices": run["indices"][kept]})["image"], int(kept.sum()))


@fact(_OURS("objective_encodes_as_encode"), "tolerance", families=_VQVAE, graphs=("encode", "objective"))
def objective_has_the_encoder(files: Files) -> Finding:
    """The latents on the way to the loss are those of the file `encode`."""
    image = {"image": files.inputs("encode", BATCH, "vqvae encoder")["image"]}
    found = files.run("objective", image, ("encoded",))["encoded"]
    return close(found, files.run("encode", image)["encoded"], BATCH)
