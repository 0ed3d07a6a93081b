"""What runs without what: the base install without torch and onnx, and the runtime with NumPy alone."""

import ast
import importlib.util
import pkgutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gen_export
import gen_runtime

TRAINING = ("torch", "onnx", "onnx_ir", "onnxscript", "safetensors", "pooch")
EVERYTHING_ELSE = (*TRAINING, "PIL", "rich", "typer", "click", "array_api_compat", "gen_export", "scipy")


@pytest.fixture(scope="module")
def without(run_python):
    """Runs code in a fresh interpreter where the modules of these names cannot be imported."""

    def run(names, code, *arguments, cwd=None):
        block = f"import sys\nsys.modules.update(dict.fromkeys({names!r}))\n"
        return run_python("-W", "error", "-c", block + code, *arguments, **({"cwd": cwd} if cwd else {}))

    return run


def modules_of(package):
    """The names of all modules of a package, itself first."""
    return [package.__name__, *(info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))]


def torch_free_modules():
    """Everything of ours but the four packages that own torch and onnx; of models, the register and the recipes."""
    heavy = ("gen_export.training", "gen_export.export")
    models = {"gen_export.models", "gen_export.models.recipes"}
    names = [name for name in modules_of(gen_export) if not name.startswith(heavy)]
    return [name for name in names if not name.startswith("gen_export.models") or name in models]


def test_the_command_line_the_mathematics_and_the_data_import_without_the_extra_train(without):
    names = [*torch_free_modules(), *modules_of(gen_runtime)]
    result = without(TRAINING, f"import importlib\nfor name in {names!r}: importlib.import_module(name)")

    assert {"gen_export.cli", "gen_export.cli.train", "gen_export.data.folder", "gen_export.spec.samplers"} <= set(
        names
    )
    assert result.returncode == 0, result.stderr


def test_blocking_a_module_really_blocks_it(without):
    assert "ModuleNotFoundError" in without(TRAINING, "import gen_export.models.vae").stderr


def test_the_command_line_imports_nothing_heavy_before_a_command_needs_it(run_python):
    heavy = (*TRAINING, "numpy", "onnxruntime", "PIL", "rich.table")
    code = f"import gen_export.cli, sys\nprint(*[name for name in {heavy!r} if name in sys.modules])"
    result = run_python("-c", code)

    assert result.stdout == "\n"


COMMANDS = """
from gen_export.cli import main
sys.argv = ["gen-export", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """A folder with one picture, `photo.png`."""
    folder = tmp_path_factory.mktemp("gallery")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 10, 3), np.uint8)).save(folder / "photo.png")
    return folder


def test_files_are_sampled_encoded_decoded_and_inspected_without_the_extra_train(without, exported, gallery):
    vae, diffusion = exported("vae"), exported("diffusion")
    for words in (
        ("sample", diffusion, "--steps", 2, "--count", 3, "--png", "grid.png", "--npy", "images.npy"),
        ("encode", vae, "photo.png", "--out", "codes.npz"),
        ("decode", vae, "codes.npz", "--ppm", "decoded.ppm"),
        ("inspect", diffusion),
    ):
        result = without(TRAINING, COMMANDS, *words, cwd=gallery)
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""

    assert np.load(gallery / "images.npy").shape == (3, 8, 8, 1)
    assert np.load(gallery / "codes.npz")["mu"].shape == (1, 6)
    assert (gallery / "decoded.ppm").read_bytes().startswith(b"P6\n8 8\n255\n")
    assert "denoise" in result.stdout


def test_the_runtime_needs_numpy_and_onnxruntime_alone(without, exported, tmp_path):
    code = """
import gen_runtime, sys
model = gen_runtime.load(sys.argv[1], device="cpu")
images = model.sample(count=4, seed=7, steps=2)
gen_runtime.save_png("grid.png", gen_runtime.grid(images))
gen_runtime.save_ppm("grid.ppm", gen_runtime.grid(images))
assert images.shape == (4, 8, 8, 1)
"""
    result = without(EVERYTHING_ELSE, code, exported("diffusion"), cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / "grid.png") as png, Image.open(tmp_path / "grid.ppm") as ppm:
        assert png.convert("L").tobytes() == ppm.convert("L").tobytes()


def imported_names(source: Path) -> set[str]:
    """The top-level packages that a source file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: a relative import"
            names.add(str(node.module).partition(".")[0])
    return names


def sources(package):
    return sorted(Path(package.__path__[0]).rglob("*.py"))


@pytest.mark.parametrize("source", sources(gen_runtime), ids=lambda path: path.name)
def test_the_runtimes_source_names_nothing_but_itself_numpy_onnxruntime_and_python(source):
    assert imported_names(source) - sys.stdlib_module_names <= {"gen_runtime", "numpy", "onnxruntime"}


@pytest.mark.parametrize("package", ["spec", "data", "cli", "verify", "report"])
def test_packages_that_run_without_torch_do_not_name_it(package):
    spec = importlib.util.find_spec(f"gen_export.{package}")
    assert spec is not None
    folder = Path(spec.submodule_search_locations[0])
    allowed = {"pooch"} if package == "data" else set()
    for source in folder.rglob("*.py"):
        assert imported_names(source) & set(TRAINING) <= allowed, source


def test_the_mathematics_imports_nothing_of_ours_but_itself():
    for source in (Path(gen_export.__path__[0]) / "spec").glob("*.py"):
        tree = ast.parse(source.read_text(encoding="utf-8"))
        modules = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        ours = {name for name in modules if name.startswith(("gen_export", "gen_runtime"))}
        assert all(name.startswith("gen_export.spec") for name in ours), source
