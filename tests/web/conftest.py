"""A folder of models, and stand-ins for ONNX Runtime's files, which no test here runs."""

import shutil

import pytest

from gen_export.web.browser_runtime import FILES
from tests.golden.suite import FOLDER


@pytest.fixture
def models(tmp_path):
    """A folder with the model `vae` and its parts, and `tiny space/gaussian`."""
    folder = tmp_path / "models"
    nested = folder / "tiny space"
    nested.mkdir(parents=True)
    for path in FOLDER.glob("vae*.onnx"):
        shutil.copy(path, folder)
    for path in FOLDER.glob("gaussian*.onnx"):
        shutil.copy(path, nested)
    return folder


@pytest.fixture
def runtime(tmp_path):
    """A folder with the three files."""
    folder = tmp_path / "onnxruntime-web" / "dist"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def told():
    """The lines about files that are left out: call it as `told.append`."""
    return []
