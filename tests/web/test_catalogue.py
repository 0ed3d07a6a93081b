"""Which models of a folder the page lists."""

import shutil

import pytest

from gen_export.web.catalogue import list_models
from gen_runtime import FileError, load
from tests.golden.suite import FOLDER


def names(models):
    return [model.file for model in models]


def test_a_model_is_its_main_file_and_its_parts_are_in_it(models, told):
    gaussian, vae = list_models(models, told.append)

    assert (vae.file, gaussian.file) == ("vae.onnx", "tiny space/gaussian.onnx")
    assert tuple(vae.graphs) == load(models / "vae.onnx", "cpu").graphs
    assert told == []


def test_what_the_page_must_know_is_what_the_cards_say(models, told):
    vae = list_models(models, told.append)[-1].to_json("models/vae.onnx")
    decode = load(models / "vae.decode.onnx", "cpu")

    assert {"name": "vae", "url": "models/vae.onnx", "family": "vae", "graph": "sample"}.items() <= vae.items()
    assert vae["image"] == {"height": 8, "width": 8, "channels": 1}
    assert vae["graphs"]["decode"]["inputs"] == [port.to_json() for port in decode.card.inputs]
    assert vae["graphs"]["decode"]["bytes"] == (models / "vae.decode.onnx").stat().st_size


def test_broken_files_are_left_out_with_a_line_each_and_the_others_stay(models, told):
    for name in ("truncated", "foreign", "newer", "text", "empty", "other_shape"):
        shutil.copy(FOLDER / "broken" / f"{name}.onnx", models)
    (models / "folder.onnx").mkdir()

    assert names(list_models(models, told.append)) == ["tiny space/gaussian.onnx", "vae.onnx"]
    assert len(told) == 6
    assert all(line.startswith("left out: ") and "\n" not in line for line in told)
    assert any("foreign.onnx" in line for line in told)


def test_a_part_that_is_missing_is_left_out_of_its_model(models, told):
    (models / "vae.encode.onnx").unlink()
    vae = list_models(models, told.append)[-1]

    assert "encode" not in vae.graphs
    assert "decode" in vae.graphs
    assert len(told) == 1
    assert "vae.encode.onnx" in told[0]


def test_a_part_that_is_another_graph_is_left_out(models, told):
    shutil.copy(models / "vae.decode.onnx", models / "vae.encode.onnx")

    assert "encode" not in list_models(models, told.append)[-1].graphs
    assert told == [f"left out: {models / 'vae.encode.onnx'}: expected vae encode, found vae decode"]


def test_a_part_without_its_main_file_is_a_model_of_its_own(models, told):
    (models / "vae.onnx").unlink()

    assert "vae.decode.onnx" in names(list_models(models, told.append))


def test_a_link_out_of_the_folder_is_left_out_and_one_within_is_not(models, told):
    (models / "gan.onnx").symlink_to(FOLDER / "gan.onnx")
    (models / "again.onnx").symlink_to(models / "tiny space" / "gaussian.onnx")

    assert "gan.onnx" not in names(list_models(models, told.append))
    assert any("gan.onnx: expected a file in" in line for line in told)
    assert "again.onnx" in names(list_models(models, told.append))


def test_a_folder_that_links_out_is_not_followed(models, told):
    (models / "golden").symlink_to(FOLDER)

    assert names(list_models(models, told.append)) == ["tiny space/gaussian.onnx", "vae.onnx"]


def test_hidden_folders_are_not_looked_into(models, told):
    (models / "tiny space").rename(models / ".hidden")

    assert names(list_models(models, told.append)) == ["vae.onnx"]


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_a_folder_without_models_is_refused_by_name(tmp_path, told, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=f"{folder}: expected a folder with exported .onnx files, found none"):
        list_models(tmp_path / folder, told.append)
