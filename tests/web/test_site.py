"""The files that the page may ask for, and the folder of them for any web server."""

import json
from pathlib import PurePosixPath
from urllib.parse import unquote

import pytest

from gen_export.errors import ConfigError
from gen_export.web.browser_runtime import runtime_files
from gen_export.web.server import TYPES
from gen_export.web.site import make_site, source_folder, write_site


@pytest.fixture
def site(models, runtime, told):
    return make_site(models, runtime_files(runtime), told.append)


def held(site, name):
    content = site[name]
    return content if isinstance(content, bytes) else content.read_bytes()


def test_the_site_is_the_page_its_library_onnx_runtime_and_the_models(site):
    assert {"index.html", "main.js", "worker.js", "style.css", "models.json", "gen-runtime/index.js"} <= set(site)
    assert {"onnxruntime-web/ort.wasm.min.mjs", "models/vae.onnx", "models/tiny space/gaussian.step.onnx"} <= set(site)


def test_every_path_of_the_site_has_a_type(site):
    assert {PurePosixPath(name).suffix for name in site} <= set(TYPES)


def test_all_that_the_page_imports_is_in_the_site(site):
    """Each module names what it imports beside itself: a file that is not served would end the page."""
    modules = [name for name in site if name.endswith(".js") and not name.startswith("gen-runtime/")]
    imported = {
        line.split('"')[1]
        for name in modules
        for line in held(site, name).decode().splitlines()
        if " from " in line and '"./' in line
    }

    assert {path.removeprefix("./") for path in imported} <= set(site)
    assert "./gen-runtime/index.js" in imported


def test_the_catalogue_has_addresses_that_lead_to_the_models(site):
    catalogue = json.loads(held(site, "models.json"))

    assert [unquote(model["url"]) for model in catalogue["models"]] == [
        "models/tiny space/gaussian.onnx",
        "models/vae.onnx",
    ]
    assert all(" " not in model["url"] for model in catalogue["models"])
    assert catalogue["onnxruntime"] == "1.30.0"


def test_the_sources_are_those_of_the_checkout(root):
    assert source_folder("page") == root / "runtime" / "web" / "page"


def test_the_folder_for_a_web_server_holds_the_site_byte_for_byte(site, tmp_path):
    write_site(site, tmp_path / "out" / "page")
    written = {
        path.relative_to(tmp_path / "out" / "page").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }

    assert written == {name: held(site, name) for name in site}


def test_an_empty_folder_is_filled_and_others_can_read_it(site, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    write_site(site, out)

    assert (out / "index.html").is_file()
    assert out.stat().st_mode & 0o055 == 0o055


def test_a_folder_with_something_in_it_is_refused_and_kept(site, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"--static: expected a new or empty folder, found .* with something in it"):
        write_site(site, tmp_path)

    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_site_that_cannot_be_written_leaves_nothing(site, tmp_path):
    broken = {**site, "models/gone.onnx": tmp_path / "gone.onnx"}
    out = tmp_path / "parent" / "out"
    with pytest.raises(FileNotFoundError):
        write_site(broken, out)

    assert list(out.parent.iterdir()) == []
