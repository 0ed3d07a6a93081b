"""The site: every file that the page may ask for, by its path on the server."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from gen_export.errors import ConfigError
from gen_export.web.browser_runtime import VERSION
from gen_export.web.catalogue import Listed, Told, list_models

Site = Mapping[str, Path | bytes]
"""Paths such as `models/vae.onnx`, and what is there: a file, or the bytes themselves."""

_SOURCES = {"": "page", "gen-runtime/": "src"}
"""Where the folders of runtime/web go."""


def make_site(folder: Path, runtime: Mapping[str, Path], told: Told) -> Site:
    """The page, its library, ONNX Runtime, and the models of a folder.

    Args:
        folder: Where the models are.
        runtime: ONNX Runtime's files by name.
        told: Called with one line about each file that is left out.

    Raises:
        FileError: There is no such folder, or no model in it.
    """
    models = list_models(folder, told)
    return {
        **{prefix + name: path for prefix, source in _SOURCES.items() for name, path in _tree(source).items()},
        **{f"onnxruntime-web/{name}": path for name, path in runtime.items()},
        "models.json": _catalogue(models),
        **{f"models/{name}": path for model in models for name, path in _model_files(model).items()},
    }


def source_folder(name: str) -> Path:
    """A folder of the page's sources: beside this file in an installed package, runtime/web in a checkout."""
    installed = Path(__file__).parent / "site" / name
    return installed if installed.is_dir() else Path(__file__).parents[2] / "runtime" / "web" / name


def write_site(site: Site, out: Path) -> None:
    """Writes the site as a folder for any web server: whole, or not at all.

    Raises:
        ConfigError: The folder is there and not empty.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ConfigError(f"--static: expected a new or empty folder, found {out} with something in it")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f"{out.name}.", suffix=".draft") as draft:
        folder = Path(draft) / "site"
        for name, content in site.items():
            _write(folder / name, content)
        if out.exists():
            out.rmdir()
        folder.rename(out)


def _write(path: Path, content: Path | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        shutil.copyfile(content, path)


def _tree(source: str) -> dict[str, Path]:
    """The files below a folder of the page's sources, by their path in it."""
    folder = source_folder(source)
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def _model_files(model: Listed) -> dict[str, Path]:
    """The model's files below the folder; a part is where its main file says, whatever it links to."""
    main, *parts = model.graphs.items()
    stem = model.file.removesuffix(".onnx")
    return {model.file: main[1].path, **{f"{stem}.{name}.onnx": entry.path for name, entry in parts}}


def _catalogue(models: list[Listed]) -> bytes:
    """models.json."""
    listed = [model.to_json(f"models/{quote(os.fsencode(model.file))}") for model in models]
    return json.dumps({"onnxruntime": VERSION, "models": listed}, allow_nan=False).encode()
