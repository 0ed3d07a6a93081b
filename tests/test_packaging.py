"""The wheel: what it holds, what it asks for, what it installs."""

import configparser
import zipfile
from email.parser import Parser

import pytest

import gen_export


@pytest.fixture(scope="module")
def wheel(run_python, root, tmp_path_factory):
    """The wheel of this checkout, opened."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    result = run_python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, root)
    assert result.returncode == 0, result.stdout + result.stderr
    (path,) = folder.iterdir()
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def info(wheel):
    """Reads a file of the wheel's dist-info folder."""

    def read(name):
        return wheel.read(f"gen_export-{gen_export.__version__}.dist-info/{name}").decode()

    return read


@pytest.fixture(scope="module")
def requirements(info):
    """What the distribution asks for, each as (what, condition)."""
    lines = Parser().parsestr(info("METADATA")).get_all("Requires-Dist")
    return [tuple(part.strip() for part in line.partition(";")[::2]) for line in lines]


def test_nothing_but_the_two_packages_lands_in_site_packages(wheel):
    assert {name.partition("/")[0] for name in wheel.namelist()} == {
        "gen_export",
        "gen_runtime",
        f"gen_export-{gen_export.__version__}.dist-info",
    }


def test_every_module_of_the_checkout_and_the_demo_page_are_in_it_and_nothing_else(wheel, root):
    expected = set()
    for base in (root / "gen_export", root / "runtime" / "gen_runtime"):
        expected |= {f"{base.name}/{path.relative_to(base).as_posix()}" for path in base.rglob("*.py")}
    for base in (root / "runtime" / "web" / "page", root / "runtime" / "web" / "src"):
        files = {path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file()}
        expected |= {f"gen_export/web/site/{base.name}/{file}" for file in files}
    networks = (root / "gen_export" / "evaluation" / "networks").glob("*.onnx")
    expected |= {f"gen_export/evaluation/networks/{path.name}" for path in networks}
    templates = (root / "gen_export" / "report" / "templates").iterdir()
    expected |= {f"gen_export/report/templates/{path.name}" for path in templates}
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert expected <= held
    assert {name for name in held - expected if not name.endswith("py.typed")} == set()


def test_the_demo_page_is_found_in_an_installed_package(wheel, run_python, tmp_path):
    wheel.extractall(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from gen_export.web.site import source_folder as f; "
    result = run_python("-c", code + "print(f('page') / 'index.html', f('src') / 'index.js')", cwd=tmp_path)

    pages = tmp_path / "gen_export" / "web" / "site"
    assert result.stdout.split() == [str(pages / "page" / "index.html"), str(pages / "src" / "index.js")], result.stderr


def test_both_packages_say_that_they_are_typed(wheel):
    assert {"gen_export/py.typed", "gen_runtime/py.typed"} <= set(wheel.namelist())


def test_it_installs_one_command(info):
    entries = configparser.ConfigParser()
    entries.read_string(info("entry_points.txt"))

    assert entries.sections() == ["console_scripts"]
    assert dict(entries["console_scripts"]) == {"gen-export": "gen_export.cli:main"}


def test_the_base_forces_no_onnxruntime_and_no_torch(requirements):
    """Both wheels of ONNX Runtime own one folder: the CPU's must not come with the GPU's."""
    base = {what.partition(">")[0] for what, condition in requirements if not condition}

    assert base == {"array-api-compat", "numpy", "pillow", "rich", "typer"}


def test_each_extra_of_the_runtime_brings_its_own_wheel_and_not_the_others(requirements):
    def brought(extra):
        return [what.partition(">")[0] for what, condition in requirements if condition == f"extra == '{extra}'"]

    assert brought("cpu") == ["onnxruntime"]
    assert brought("gpu") == ["onnxruntime-gpu[cuda,cudnn]"]
    assert {"torch", "onnx", "onnxscript", "safetensors"} <= set(brought("train"))


def test_libraries_are_asked_for_with_lower_bounds_only(requirements):
    assert [what for what, _ in requirements if "==" in what or "<" in what or "~=" in what] == []


def test_the_licence_comes_with_it(wheel, info):
    assert "License-Expression: MIT" in info("METADATA")
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
