"""The catalogue: which models a folder has, and what the page must know of each before it opens one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen_runtime import Card, FileError, Model, load

Told = Callable[[str], None]
"""Called with one line about each file that is left out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One graph's file: where it is, and what it says of itself."""

    path: Path
    card: Card

    def to_json(self) -> dict[str, Any]:
        """Its size in bytes and its ports, as `models.json` has them."""
        return {
            "bytes": self.path.stat().st_size,
            "inputs": [port.to_json() for port in self.card.inputs],
            "outputs": [port.to_json() for port in self.card.outputs],
        }


@dataclass(frozen=True, slots=True)
class Listed:
    """One model: the path of its main file below the folder, and its graphs, the main one first."""

    file: str
    graphs: dict[str, Entry]

    def to_json(self, url: str) -> dict[str, Any]:
        """The model as `models.json` has it, its main file at `url`."""
        main = next(iter(self.graphs.values())).card
        size = {"height": main.image.height, "width": main.image.width, "channels": main.image.channels}
        graphs = {name: entry.to_json() for name, entry in self.graphs.items()}
        return {
            "name": self.file.removesuffix(".onnx"),
            "url": url,
            "family": main.family,
            "graph": main.graph,
            "image": size,
            "graphs": graphs,
        }


def list_models(folder: Path, told: Told) -> list[Listed]:
    """The models of a folder and of the folders in it, by name.

    Files that are broken, not ours, or links out of the folder are left out, and so are hidden folders.

    Raises:
        FileError: There is no such folder, or no model in it.
    """
    if not folder.is_dir():
        raise FileError(f"{folder}: expected a folder with exported .onnx files, found none")
    files = sorted(path for path in (*folder.glob("*.onnx"), *folder.glob("[!.]*/*.onnx")) if path.is_file())
    models = [model for path in _main_files(files) if (model := _listed(folder, path, told))]
    if not models:
        raise FileError(f"{folder}: expected a folder with exported .onnx files, found none that opens")
    return models


def _main_files(files: list[Path]) -> Iterator[Path]:
    """The files that are no part `<name>.<graph>.onnx` beside its `<name>.onnx`."""
    for path in files:
        name, _, graph = path.stem.rpartition(".")
        if not (graph and path.with_name(f"{name}.onnx") in files):
            yield path


def _listed(folder: Path, path: Path, told: Told) -> Listed | None:
    """The model whose main file it is; None where that cannot be opened."""
    try:
        model = load(_within(folder, path), device="cpu")
    except FileError as error:
        told(f"left out: {error}")
        return None
    graphs = {name: entry for name in model.graphs if (entry := _entry(folder, model, name, told))}
    return Listed(path.relative_to(folder).as_posix(), graphs)


def _entry(folder: Path, model: Model, name: str, told: Told) -> Entry | None:
    """One of the model's graphs; None where its file cannot be opened."""
    try:
        path = _within(folder, model.part_path(name))
        return Entry(path.resolve(), model.graph(name).card)
    except FileError as error:
        told(f"left out: {error}")
        return None


def _within(folder: Path, path: Path) -> Path:
    """The path, unless it links out of the folder."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise FileError(f"{path}: expected a file in {folder}, found a link out of it")
    return path
