"""Facts of ours about a masked autoencoder's files (reference section 8): what its masks hide, and what they leave."""

from collections.abc import Iterator

import numpy as np

from gen_export.spec.diffusion import clip_to_unit
from gen_export.spec.masks import BlockMask, hide, masked_mse, merge
from gen_export.verify.fact import Finding, all_same_bits, fact, same_bits, worst_of
from gen_export.verify.facts.agreement import close, close_sum
from gen_export.verify.files import Files, random
from gen_runtime.inputs import Array

BATCH = 4
_MAE = ("mae",)
_OURS = "gen_export.mae.{}".format


def _patches(files: Files) -> tuple[int, int]:
    """Rows and columns of patches."""
    _, rows, columns = files.card.inputs[1].shape
    return int(rows), int(columns)


def _masks(files: Files) -> Iterator[Array]:
    """Masks (B, rows, columns): random ones, blocks of patches, none and all hidden."""
    grid, rng = _patches(files), random("mae masks")
    yield rng.random((BATCH, *grid)) < np.linspace(0.2, 0.8, BATCH)[:, None, None]
    for period, offset in ((2, 0), (3, 1), (4, 3), (0, 0), (1, 0)):
        yield np.stack([BlockMask((1 + row % 2, 1), period, offset).hidden(grid) for row in range(BATCH)])


def _pixels(mask: Array, image: Array) -> Array:
    """The mask of patches as one of pixels, (B, 1, H, W)."""
    rows, columns = (extent // parts for extent, parts in zip(image.shape[2:], mask.shape[1:], strict=True))
    return mask.repeat(rows, axis=1).repeat(columns, axis=2)[:, None]


def _cases(files: Files, purpose: str) -> Iterator[tuple[Array, Array, Array]]:
    """Images, masks of their patches and of their pixels."""
    image = files.inputs("objective", BATCH, purpose)["image"]
    return ((image, mask, _pixels(mask, image)) for mask in _masks(files))


def _random_case(files: Files, purpose: str) -> tuple[Array, Array, Array]:
    """The case of the random mask."""
    return next(_cases(files, purpose))


def _predictions(image: Array, purpose: str) -> Array:
    """Numbers in the place of a prediction, some of them out of the range of pixels."""
    return 2.0 * random(purpose).standard_normal(image.shape).astype(np.float32)


@fact(_OURS("masked_hides_the_hidden"), "exact", families=_MAE, graphs=("reconstruct", "objective"))
def masked_is_zero_where_hidden(files: Files) -> Finding:
    """`masked` is 0 at the pixels of hidden patches and the image elsewhere, for random masks, blocks, none and all."""
    cases = _cases(files, "mae masked")
    return all_same_bits(
        (files.run("reconstruct", {"image": x, "mask": m})["masked"], hide(x, pixels)) for x, m, pixels in cases
    )


@fact(_OURS("visible_pixels_stay"), "exact", families=_MAE, graphs=("reconstruct", "objective"))
def reconstruction_keeps_what_is_visible(files: Files) -> Finding:
    """The reconstruction is the image at the pixels of visible patches."""
    cases = [
        (*case, files.run("reconstruct", {"image": case[0], "mask": case[1]})) for case in _cases(files, "mae keep")
    ]
    return all_same_bits((np.where(pixels, x, run["reconstruction"]), x) for x, _, pixels, run in cases)


@fact(_OURS("hidden_pixels_are_the_clipped_prediction"), "exact", families=_MAE, graphs=("reconstruct", "objective"))
def reconstruction_merges_the_clipped_prediction(files: Files) -> Finding:
    """The reconstruction is the image where visible, and the prediction limited to [-1, 1] where hidden."""
    cases = [(*case, _predictions(case[0], "mae merge")) for case in _cases(files, "mae merge")]
    runs = [files.run("reconstruct", {"image": x, "mask": m}, put={"prediction": p}) for x, m, _, p in cases]
    expected = [merge(x, clip_to_unit(p), pixels) for x, _, pixels, p in cases]
    return all_same_bits((run["reconstruction"], right) for run, right in zip(runs, expected, strict=True))


@fact(_OURS("hidden_pixels_do_not_matter"), "exact", families=_MAE, graphs=("reconstruct", "encode", "objective"))
def nothing_depends_on_hidden_pixels(files: Files) -> Finding:
    """Reconstruction and features are the same bits whatever is hidden: other pixels, huge numbers, NaN."""
    image, mask, pixels = _random_case(files, "mae hidden")
    others = [-image, np.full_like(image, 1e30), np.full_like(image, np.nan)]
    found = []
    for graph, name in (("reconstruct", "reconstruction"), ("encode", "features")):
        run = files.probe(graph).graph.execute  # below the check that refuses NaN in images
        outputs = [run({"image": merge(image, x, pixels), "mask": mask})[name] for x in (image, *others)]
        found += [(output, outputs[0]) for output in outputs[1:]]
    return all_same_bits(found)


@fact(_OURS("objective_is_the_mean_over_the_hidden"), "tolerance", families=_MAE, graphs=("objective",))
def objective_is_masked_mse(files: Files) -> Finding:
    """loss = mean over the hidden pixels of each image of (prediction - x)^2, averaged over the images."""
    findings = []
    for image, mask, pixels in _cases(files, "mae objective"):
        prediction = _predictions(image, "mae objective")
        loss = files.run("objective", {"image": image, "mask": mask}, put={"prediction": prediction})["loss"]
        findings.append(_beside_mean(loss, prediction, image, pixels))
    return worst_of(findings)


def _beside_mean(loss: Array, prediction: Array, image: Array, pixels: Array) -> Finding:
    """The finding of a loss beside `masked_mse` in float64."""
    expected = float(masked_mse(prediction.astype(np.float64), image.astype(np.float64), pixels))
    # five of a weight times a difference twice, one an addition of what is hidden, one of the quotient
    roundings = 5 + int(pixels.sum()) * image.shape[1]
    return close_sum(loss, expected, roundings, len(image))


@fact(_OURS("objective_is_of_the_hidden_alone"), "exact", families=_MAE, graphs=("objective",))
def visible_errors_cost_nothing(files: Files) -> Finding:
    """The loss does not change with the prediction of visible pixels, nor with these."""
    image, mask, pixels = _random_case(files, "mae visible")
    prediction = _predictions(image, "mae visible")
    changed = [(image, merge(-prediction, prediction, pixels)), (merge(-image, image, pixels), prediction)]
    pairs = [(image, prediction), *changed]
    losses = [files.run("objective", {"image": x, "mask": mask}, put={"prediction": p})["loss"] for x, p in pairs]
    return same_bits(np.stack(losses), np.stack([losses[0]] * len(losses)), len(changed))


@fact(_OURS("objective_of_an_exact_prediction"), "exact", families=_MAE, graphs=("objective",))
def exact_predictions_cost_nothing(files: Files) -> Finding:
    """The loss of a prediction that is the image is 0, and so is the loss where nothing is hidden."""
    image, mask, _ = _random_case(files, "mae exact")
    exact = files.run("objective", {"image": image, "mask": mask}, put={"prediction": image})["loss"]
    nothing = files.run("objective", {"image": image, "mask": np.zeros_like(mask)})["loss"]
    return same_bits(np.stack([exact, nothing]), np.zeros(2, np.float32), 2)


@fact(_OURS("features_of_hidden_patches_are_zero"), "exact", families=_MAE, graphs=("encode", "objective"))
def hidden_patches_have_no_features(files: Files) -> Finding:
    """The rows of `features` of hidden patches are 0, and no others: the class token and visible patches have some."""
    runs = [(m, files.run("encode", {"image": x, "mask": m})["features"]) for x, m, _ in _cases(files, "mae features")]
    return all_same_bits(((f == 0).all(axis=2), np.pad(m.reshape(len(m), -1), ((0, 0), (1, 0)))) for m, f in runs)


@fact(_OURS("decoder_ignores_features_of_the_hidden"), "exact", families=_MAE, graphs=("objective",))
def decoder_puts_its_token_in_their_place(files: Files) -> Finding:
    """The prediction does not depend on the features of hidden patches: a learned token stands for them."""
    image, mask, _ = _random_case(files, "mae token")
    inputs = {"image": image, "mask": mask}
    features = files.run("objective", inputs, ("features",))["features"]
    hidden = np.pad(mask.reshape(len(mask), -1), ((0, 0), (1, 0)))[:, :, None]
    puts = [features, merge(features, random("mae token").standard_normal(features.shape).astype(np.float32), hidden)]
    found = [files.run("objective", inputs, ("prediction",), {"features": put})["prediction"] for put in puts]
    return same_bits(found[1], found[0], len(image))


@fact(_OURS("objective_encodes_as_encode"), "tolerance", families=_MAE, graphs=("encode", "objective"))
def objective_has_the_encoder(files: Files) -> Finding:
    """The features on the way to the loss are those of the file `encode`."""
    image, mask, _ = _random_case(files, "mae encoder")
    inputs = {"image": image, "mask": mask}
    found = files.run("objective", inputs, ("features",))["features"]
    return close(found, files.run("encode", inputs)["features"], len(image))


@fact(_OURS("objective_predicts_as_reconstruct"), "tolerance", families=_MAE, graphs=("reconstruct", "objective"))
def objective_has_the_prediction(files: Files) -> Finding:
    """The prediction on the way to the loss is that on the way to the reconstruction."""
    image, mask, _ = _random_case(files, "mae prediction")
    graphs, inputs = ("objective", "reconstruct"), {"image": image, "mask": mask}
    found, expected = (files.run(graph, inputs, ("prediction",))["prediction"] for graph in graphs)
    return close(found, expected, len(image))


@fact(_OURS("all_hidden_tells_nothing"), "exact", families=_MAE, graphs=("reconstruct", "objective"))
def wholly_hidden_images_look_alike(files: Files) -> Finding:
    """Where all is hidden, the reconstruction is the same for every image."""
    image = files.inputs("objective", BATCH, "mae all hidden")["image"]
    mask = np.ones((BATCH, *_patches(files)), bool)
    found = [files.run("reconstruct", {"image": x, "mask": mask})["reconstruction"] for x in (image, -image)]
    return same_bits(found[1], found[0], BATCH)


@fact(_OURS("patch_is_that_of_the_mask"), "exact", families=_MAE, graphs=("reconstruct", "objective"))
def card_tells_the_patch(files: Files) -> Finding:
    """The card's option `patch` is the height and width of what one entry of the mask hides."""
    image = files.inputs("objective", 1, "mae patch")["image"]
    patch, (rows, columns) = int((files.card.config or {}).get("patch", 0)), _patches(files)
    mask = np.zeros((1, rows, columns), bool)
    mask[0, -1, -1] = True
    pixels = np.zeros((1, 1, *image.shape[2:]), bool)
    pixels[..., -patch:, -patch:] = True
    return same_bits(files.run("reconstruct", {"image": image, "mask": mask})["masked"], hide(image, pixels), 1)
