"""ONNX Runtime for browsers: three files of the npm package onnxruntime-web, which are not in ours."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from gen_export.data.download import CACHE_VARIABLE
from gen_export.errors import MissingToolError

VERSION = "1.30.0"
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""The package's hash, as npm writes it."""

_PACKAGE = f"onnxruntime-web@{VERSION}"
_ADVICE = "give --onnxruntime-web DIR, the folder of `npm install onnxruntime-web`"


def runtime_files(folder: Path | None) -> dict[str, Path]:
    """The three files by name, from a folder, or else from the cache, which npm fills once.

    Args:
        folder: An npm install's folder, the package's own, or its `dist`; None for the cache.

    Raises:
        MissingToolError: They are not in the folder, or cannot be had from npm.
    """
    home = _in_folder(folder) if folder else _in_cache()
    return {name: home / name for name in FILES}


def _in_folder(folder: Path) -> Path:
    """The folder that has the files, of those that may be meant."""
    package = Path("node_modules") / "onnxruntime-web"
    for home in (folder, folder / "dist", folder / package / "dist", folder / "onnxruntime-web" / "dist"):
        if all((home / name).is_file() for name in FILES):
            return home
    raise MissingToolError(f"--onnxruntime-web: expected a folder with {', '.join(FILES)}, found none in {folder}")


def _in_cache() -> Path:
    """The cache's folder of this version, filled if it is not there."""
    home = cache_folder() / f"onnxruntime-web-{VERSION}"
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, suffix=".draft") as draft:
            files = _extract(_pack(Path(draft)), Path(draft))
            if not home.is_dir():  # another process may have been faster
                files.rename(home)
    return home


def cache_folder() -> Path:
    """Where downloads are kept: $GEN_EXPORT_CACHE, or the user's own folder for caches."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "gen-export" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "gen-export"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gen-export"


def _pack(folder: Path) -> Path:
    """The package as npm packs it, from the registry that npm is set up with."""
    npm = shutil.which("npm")
    if npm is None:
        raise MissingToolError(f"{_PACKAGE} is needed, and npm is not here to get it: install Node.js, or {_ADVICE}")
    result = subprocess.run([npm, "pack", _PACKAGE], cwd=folder, capture_output=True, text=True, check=False)
    archives = list(folder.glob("*.tgz"))
    if result.returncode or not archives:
        raise MissingToolError(
            f"npm pack {_PACKAGE}: expected a package, found exit code {result.returncode}: {_ADVICE}"
        )
    return archives[0]


def _extract(archive: Path, folder: Path) -> Path:
    """The folder with the three files of a package, once it is known to be the one expected."""
    found = f"sha512-{base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()}"
    if found != INTEGRITY:
        raise MissingToolError(f"{_PACKAGE}: expected {INTEGRITY}, found {found}")
    with tarfile.open(archive) as package:
        for name in FILES:
            package.extract(f"package/dist/{name}", folder, filter="data")
    return folder / "package" / "dist"
