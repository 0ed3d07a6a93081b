"""Which ONNX Runtime package is installed, and what is said where that is none, or two."""

import importlib.metadata
import sys
import types

import pytest

from gen_runtime import DeviceError, RuntimeConflictWarning, installed_runtimes, load
from gen_runtime.packages import import_onnxruntime


@pytest.fixture
def installed(monkeypatch):
    def set_packages(*names):
        def version(name):
            if name not in names:
                raise importlib.metadata.PackageNotFoundError(name)
            return "1.31.1"

        monkeypatch.setattr(importlib.metadata, "version", version)

    return set_packages


@pytest.mark.parametrize(
    "names", [(), ("onnxruntime",), ("onnxruntime-gpu",), ("onnxruntime", "onnxruntime-gpu")], ids=str
)
def test_the_installed_packages_are_told(installed, names):
    installed(*names)

    assert installed_runtimes() == names


def test_neither_is_an_error_that_says_what_to_install(installed, monkeypatch, tiny):
    installed()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(DeviceError, match=r"install 'gen-export\[cpu\]' or 'gen-export\[gpu\]'"):
        load(tiny)


@pytest.mark.parametrize("module", [None, types.ModuleType("onnxruntime")], ids=["absent", "empty"])
def test_a_package_whose_folder_is_gone_is_to_be_reinstalled(installed, monkeypatch, module):
    installed("onnxruntime-gpu")
    monkeypatch.setitem(sys.modules, "onnxruntime", module)

    with pytest.raises(DeviceError, match="broken: run 'pip install --force-reinstall onnxruntime-gpu'"):
        import_onnxruntime()


def test_both_are_a_warning_of_one_line_that_says_what_to_uninstall(installed):
    installed("onnxruntime", "onnxruntime-gpu")

    with pytest.warns(RuntimeConflictWarning, match="pip uninstall onnxruntime onnxruntime-gpu") as caught:
        import_onnxruntime()

    assert "\n" not in str(caught[0].message)
