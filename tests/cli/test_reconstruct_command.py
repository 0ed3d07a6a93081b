"""The command `reconstruct`, on exported families."""

import json

import numpy as np
import onnx
import pytest
from onnx import parser
from PIL import Image

from gen_runtime import load


@pytest.fixture
def photos(tmp_path):
    """Two pictures of other sizes than the model's."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, shape in zip(paths, [(20, 10, 3), (8, 8, 3)], strict=True):
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path)
    return paths


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_an_autoencoder_shows_the_images_above_their_reconstructions(call, exported, photos, tmp_path):
    """Two columns and two rows of 8x8 images with gaps of 2."""
    code, out, err = call("reconstruct", exported("autoencoder"), *photos, "--png", "out.png")

    assert (code, err) == (0, "")
    assert out == "2 images of 8x8: out.png\n"
    assert picture(tmp_path / "out.png").shape == (18, 18)


def test_the_array_holds_the_reconstructions_alone(call, exported, photos, tmp_path):
    call("reconstruct", exported("vae"), *photos, "--npy", "out.npy")

    assert np.load(tmp_path / "out.npy").shape == (2, 8, 8, 1)
    assert not (tmp_path / "vae.png").exists()


def test_a_masked_autoencoder_keeps_what_it_sees(call, exported, photos, tmp_path):
    """Three rows: the images, what was seen of them with hidden pixels mid-grey, and the whole."""
    assert call("reconstruct", exported("mae"), *photos, "--png", "out.png", "--mask-ratio", 0.5)[0] == 0
    original, seen, whole = (picture(tmp_path / "out.png")[10 * row : 10 * row + 8, :18] for row in range(3))
    hidden = seen != original

    assert 0.3 < hidden[:, :8].mean() <= 0.5
    assert np.abs(whole.astype(int) - original)[~hidden].max() <= 1
    assert (whole != original)[hidden].any()


def test_the_same_seed_hides_the_same_patches_and_another_seed_others(call, exported, photos, tmp_path):
    pictures = []
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        call("reconstruct", exported("mae"), *photos, "--seed", seed, "--mask-ratio", 0.5, "--png", f"{name}.png")
        pictures.append(picture(tmp_path / f"{name}.png"))

    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_block_masks_hide_every_so_many_patches(call, exported, photos, tmp_path):
    """Four patches of 4x4; period 4, offset 1 hides the upper right one."""
    call("reconstruct", exported("mae"), photos[1], "--mask-period", 4, "--mask-offset", 1, "--png", "out.png")
    original, seen = (picture(tmp_path / "out.png")[10 * row : 10 * row + 8, :8] for row in range(2))

    assert np.array_equal(original[:, :4], seen[:, :4])
    assert np.array_equal(original[4:], seen[4:])
    assert set(np.unique(seen[:4, 4:])) <= {127, 128}


@pytest.mark.parametrize(
    ("family", "words", "message"),
    [
        ("mae", ("--mask-ratio", 1.5), "--mask-ratio: expected a number from 0 to 1, found 1.5"),
        ("mae", ("--mask-ratio", "nan"), "--mask-ratio: expected a number from 0 to 1, found nan"),
        ("mae", ("--mask-ratio", 0.5, "--mask-period", 2), "--mask-period: expected it without --mask-ratio"),
        ("mae", ("--mask-period", 10**24), f"--mask-period: expected int64, found {10**24}"),
        ("mae", ("--mask-period", 2, "--mask-offset", 2**63), f"--mask-offset: expected int64, found {2**63}"),
        ("mae", ("--seed", 10**20 - 1), f"--seed: expected int64, found {10**20 - 1}"),
        ("mae", ("--mask-offset", 3), "--mask-offset: expected it with --mask-period, found it alone"),
        ("mae", ("--seed", 9, "--mask-period", 2), "--mask-period: expected it without --seed, found both"),
        ("vae", ("--mask-ratio", 0.5), "expected a model that takes a mask, found vae: leave --mask-ratio out"),
        ("vae", ("--seed", 3), "expected a model that takes a mask, found vae: leave --seed out"),
        ("vae", ("--seed", 3, "--mask-ratio", 1), "found vae: leave --mask-ratio, --seed out"),
        ("gan", (), "no graph 'reconstruct'"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_written(
    call, exported, photos, tmp_path, family, words, message
):
    code, out, err = call("reconstruct", exported(family), *photos, *words)

    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


FLAT = """
<ir_version: 10, opset_import: ["": 18]>
g (float[batch, 1, 8, 8] image, bool[batch, 2, 2] mask) => (float[batch, 1, 8, 8] reconstruction)
{ reconstruction = Neg(image) }
"""


@pytest.mark.parametrize(
    ("old", "new", "change", "message"),
    [
        (
            "bool[batch, 2, 2]",
            "bool[batch, 4]",
            {"mask": ["batch", 4]},
            "mask: expected the shape [batch, rows, columns]",
        ),
        ("bool[batch, 2, 2]", "bool[n, r, c]", {"mask": ["n", "r", "c"]}, "mask: expected the shape [batch, rows, co"),
        ("reconstruction", "rebuilt", {}, "expected an output reconstruction, found rebuilt"),
        (
            "float[batch, 1, 8, 8] reconstruction)\n{ reconstruction = Neg(image)",
            "float[batch, 64] reconstruction)\n{ reconstruction = Flatten(image)",
            {"reconstruction": ["batch", 64]},
            "reconstruction: expected images of the shape [2, 1, 8, 8], found [2, 64]",
        ),
    ],
    ids=["rank", "names", "output", "output's rank"],
)
def test_a_file_with_other_ports_is_refused_by_name(call, photos, tmp_path, old, new, change, message):
    model = parser.parse_model(FLAT.replace(old, new))
    shapes = {"image": ["batch", 1, 8, 8], "mask": ["batch", 2, 2], "reconstruction": ["batch", 1, 8, 8]} | change
    output = model.graph.output[0].name
    document = {
        "version": 1,
        "family": "mae",
        "graph": "reconstruct",
        "image": {"height": 8, "width": 8, "channels": 1},
        "inputs": [
            {"name": "image", "dtype": "float32", "shape": shapes["image"]},
            {"name": "mask", "dtype": "bool", "shape": shapes["mask"]},
        ],
        "outputs": [{"name": output, "dtype": "float32", "shape": shapes["reconstruction"]}],
    }
    onnx.helper.set_model_props(model, {"gen_export": json.dumps(document)})
    onnx.save(model, tmp_path / "other.onnx")

    code, out, err = call("reconstruct", tmp_path / "other.onnx", *photos)

    assert (code, out) == (2, "")
    assert err.startswith(f"gen-export: {tmp_path / 'other.onnx'}: {message}")
    assert err.count("\n") == 1


def test_a_beta_that_is_negative_or_no_number_is_refused(exported):
    model = load(exported("vae"), device="cpu")
    image, eps = np.zeros((1, 1, 8, 8), np.float32), np.zeros((1, 6), np.float32)
    for beta in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="beta"):
            model.objective(image=image, eps=eps, beta=np.float32(beta))


def test_codes_out_of_range_are_refused(exported):
    model = load(exported("vqvae"), device="cpu")
    for code in (-1, 8):
        with pytest.raises(ValueError, match="indices"):
            model.decode(indices=np.full((1, 2, 2), code))
