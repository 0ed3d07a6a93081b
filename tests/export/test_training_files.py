"""Files of a step of training, beside a model's own: written by `export --train-step`, used by the runtime alone."""

import json
import shutil

import jsonschema
import numpy as np
import pytest

from gen_export.verify.onnx_file import OnnxFile
from gen_export.verify.report import of_files, open_files
from gen_runtime import FileError, PortError, Trainer, load
from gen_runtime.card import KEY

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), np.uint8)


@pytest.fixture
def folder(trainable, tmp_path):
    """A copy of the files of a VQ-VAE: two players, and a codebook that no gradient moves."""
    return shutil.copytree(trainable("vqvae").parent, tmp_path / "files")


def weights_of(path):
    """The initializers of a file, by what they were called in the model."""
    graphs = OnnxFile.read(path).graphs()
    return {name.rsplit("family.", 1)[-1]: array for graph in graphs for name, array in graph.initializers.items()}


def test_steps_lower_the_loss_and_count(folder):
    trainer = Trainer(folder / "vqvae.onnx")
    losses = [trainer.step(IMAGES, lr=3e-3)["loss"] for _ in range(12)]

    assert losses[-1] < 0.9 * losses[0]
    assert trainer.steps == 12


def test_images_are_taken_as_bytes_or_as_the_numbers_of_the_ports(folder):
    planes = np.ascontiguousarray(IMAGES.transpose(0, 3, 1, 2)) / np.float32(127.5) - 1
    first, second = (Trainer(folder / "vqvae.train.onnx").step(images) for images in (IMAGES, planes))

    assert first == pytest.approx(second, rel=1e-5)


def test_a_saved_state_goes_on_as_if_nothing_had_been(folder, tmp_path):
    trainer = Trainer(folder / "vqvae.onnx", seed=3)
    trainer.step(IMAGES)
    trainer.save(tmp_path / "state.npz")
    expected = trainer.step(IMAGES)
    again = Trainer(folder / "vqvae.onnx", seed=3)
    again.restore(tmp_path / "state.npz")

    assert again.steps == 1
    assert again.step(IMAGES) == expected


def test_the_averaged_weights_and_the_codebook_go_into_every_file_and_all_facts_hold(folder, tmp_path):
    trainer = Trainer(folder / "vqvae.onnx")
    for _ in range(3):
        trainer.step(IMAGES, lr=1e-2)
    written = trainer.export(tmp_path / "new")
    before, after = (weights_of(path / "vqvae.decode.onnx") for path in (folder, tmp_path / "new"))

    assert written[0] == tmp_path / "new" / "vqvae.onnx"
    assert {path.name for path in written} == {
        path.name for path in folder.iterdir() if path.name.split(".")[1] not in ("train", "start")
    }
    assert all(path.stat().st_size == (folder / path.name).stat().st_size for path in written)
    assert not np.array_equal(before["decoder.0.weight"], after["decoder.0.weight"])
    assert not np.array_equal(before["codebook.codes"], after["codebook.codes"])
    assert [o.fact.name for o in of_files(open_files(written[0])) if o.verdict == "failed"] == []
    assert load(written[0], device="cpu").sample(2).shape == (2, 8, 8, 1)


def test_exported_without_a_step_the_files_are_the_same(folder, tmp_path):
    written = Trainer(folder / "vqvae.onnx").export(tmp_path / "new")

    assert all(path.read_bytes() == (folder / path.name).read_bytes() for path in written)


def test_a_file_that_is_not_the_one_exported_is_refused_and_nothing_takes_its_place(folder, tmp_path):
    trainer = Trainer(folder / "vqvae.onnx")
    path = folder / "vqvae.decode.onnx"
    path.write_bytes(b"\0" + path.read_bytes())

    with pytest.raises(FileError, match=r"vqvae\.decode\.onnx: expected \d+ weights at byte \d+, found another file"):
        trainer.export(tmp_path / "new")
    assert not (tmp_path / "new" / "vqvae.decode.onnx").exists()
    assert not (tmp_path / "new" / "vqvae.onnx").exists()


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"places": 3},
        {"places": {"sample": 3}},
        {"places": {"sample": {"averages": [[0, 0]]}}},
        {"places": {"sample": {"averages": [[-4, 0, 1]]}}},
        {"places": {"sample": {}, "/../../stolen": {}}},
    ],
)
def test_a_card_that_does_not_say_where_the_weights_are_is_refused(folder, tmp_path, state):
    file = OnnxFile.read(folder / "vqvae.train.onnx")
    card = json.dumps({**json.loads(file.metadata[KEY]), "state": state})
    (folder / "vqvae.train.onnx").write_bytes(file.with_metadata(KEY, card).data)

    with pytest.raises(FileError, match=r"where the weights are|expected 1 weights at byte -4"):
        Trainer(folder / "vqvae.onnx").export(tmp_path / "new")
    assert not (tmp_path / "new" / "vqvae.onnx").exists()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weights": np.zeros(3, np.float32)}, "expected the state weights, first_moments"),
        (None, "expected a saved state"),
    ],
)
def test_a_state_of_another_model_and_no_state_are_refused(folder, tmp_path, state, message):
    if state is None:
        (tmp_path / "state.npz").write_bytes(b"no archive")
    else:
        np.savez(tmp_path / "state.npz", **state)

    with pytest.raises(FileError, match=message):
        Trainer(folder / "vqvae.onnx").restore(tmp_path / "state.npz")


def test_a_state_of_other_sizes_is_refused(folder, tmp_path):
    trainer = Trainer(folder / "vqvae.onnx")
    trainer.save(tmp_path / "state.npz")
    with np.load(tmp_path / "state.npz") as archive:
        saved = dict(archive)
    np.savez(tmp_path / "state.npz", **{**saved, "weights": saved["weights"][1:]})

    with pytest.raises(FileError, match=r"weights: expected float32 \[\d+\], found float32 \[\d+\]"):
        trainer.restore(tmp_path / "state.npz")


def test_without_the_file_of_the_step_one_is_told_how_to_write_it(folder):
    (folder / "vqvae.train.onnx").unlink()

    with pytest.raises(FileError, match="gen-export export --train-step writes it"):
        Trainer(folder / "vqvae.onnx")


def test_images_of_another_size_are_refused_by_name(folder):
    with pytest.raises(PortError, match="train: image: expected shape"):
        Trainer(folder / "vqvae.onnx").step(IMAGES[:, :4])


def test_the_step_is_a_part_whose_card_fits_the_schema_and_says_what_was_measured(folder, root):
    schema = json.loads((root / "docs" / "metadata.schema.json").read_text(encoding="utf-8"))
    card = Trainer(folder / "vqvae.onnx").card
    jsonschema.validate(json.loads(card.text), schema)

    assert {"train", "start"} <= set(load(folder / "vqvae.onnx", device="cpu").graphs)
    assert [row["batch"] for row in card.parity] == [1, 3]
    assert all(row["rel_l2"] <= 1e-4 for row in card.parity)
