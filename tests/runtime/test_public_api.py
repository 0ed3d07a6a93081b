"""What `import gen_runtime` offers, and what it does not drag in."""

import subprocess
import sys

import gen_runtime
from gen_runtime import errors


def test_all_names_are_there_in_alphabetical_order():
    assert gen_runtime.__all__ == sorted(gen_runtime.__all__)
    assert gen_runtime.__all__ == [
        "Card",
        "DeviceError",
        "FileError",
        "GenRuntimeError",
        "Graph",
        "GraphError",
        "Model",
        "Port",
        "PortError",
        "RuntimeConflictWarning",
        "Trainer",
        "grid",
        "installed_runtimes",
        "load",
        "save_png",
        "save_ppm",
    ]
    assert all(hasattr(gen_runtime, name) for name in gen_runtime.__all__)


def test_the_error_tree_is_drawn_whole():
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.GenRuntimeError)]

    for error in classes:
        assert error.__name__ in errors.__doc__


def test_the_import_brings_numpy_alone():
    code = "import sys, gen_runtime; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    loaded = {name.partition(".")[0] for name in modules}
    assert "numpy" in loaded
    assert not loaded & {"onnxruntime", "gen_export", "torch", "onnx", "PIL", "rich", "typer"}
