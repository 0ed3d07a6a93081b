import importlib.util
from pathlib import Path

import pytest

from gen_runtime import load


@pytest.fixture(scope="session")
def files():
    """The module that writes small exported files."""
    spec = importlib.util.spec_from_file_location("runtime_files", Path(__file__).with_name("files.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny(files, tmp_path_factory):
    """The path of a sampler with the parts encode, decode and denoise."""
    return files.write_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def model(tiny):
    """The loaded sampler on one CPU thread."""
    return load(tiny, device="cpu", threads=1)
