"""Where ONNX Runtime for browsers comes from: a folder, the cache, or npm once."""

import base64
import hashlib
import io
import sys
import tarfile

import pytest

from gen_export.errors import MissingToolError
from gen_export.web import browser_runtime
from gen_export.web.browser_runtime import FILES, runtime_files

NPM = """#!{python}
import pathlib, shutil, sys
assert sys.argv[1:] == ["pack", "onnxruntime-web@1.30.0"], sys.argv
pathlib.Path({calls!r}).open("a").write("called\\n")
shutil.copy({archive!r}, "onnxruntime-web-1.30.0.tgz")
sys.exit({code})
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and nothing to run."""
    monkeypatch.setenv("GEN_EXPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "cache"


@pytest.fixture
def archive(tmp_path):
    """A package with the three files and one more."""
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as package:
        for name in (*FILES, "ort.all.min.js"):
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            package.addfile(member, io.BytesIO(name.encode()))
    return path


@pytest.fixture
def expected(archive, monkeypatch):
    """Makes that package the one expected."""
    digest = hashlib.sha512(archive.read_bytes()).digest()
    monkeypatch.setattr(browser_runtime, "INTEGRITY", f"sha512-{base64.b64encode(digest).decode()}")


@pytest.fixture
def npm(tmp_path, archive):
    """Installs an npm that packs that package; returns how often it was called."""
    calls = tmp_path / "calls"

    def install(code=0):
        program = tmp_path / "bin" / "npm"
        program.parent.mkdir()
        program.write_text(NPM.format(python=sys.executable, calls=str(calls), archive=str(archive), code=code))
        program.chmod(0o755)
        return lambda: calls.read_text().count("called")

    return install


@pytest.mark.parametrize("up", [0, 1, 2])
def test_a_folder_is_that_of_the_files_of_the_package_or_of_the_install(runtime, up):
    folder = [runtime, *runtime.parents][up]

    assert runtime_files(folder) == {name: runtime / name for name in FILES}


def test_a_folder_of_an_npm_install_is_one_that_holds_node_modules(runtime, tmp_path):
    installed = tmp_path / "project" / "node_modules" / "onnxruntime-web"
    installed.parent.mkdir(parents=True)
    runtime.parent.rename(installed)

    assert runtime_files(tmp_path / "project")[FILES[0]] == installed / "dist" / FILES[0]


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(MissingToolError, match="--onnxruntime-web: expected a folder with"):
        runtime_files(tmp_path)


def test_without_npm_one_line_says_what_to_do(cache):
    with pytest.raises(MissingToolError) as error:
        runtime_files(None)

    assert "install Node.js, or give --onnxruntime-web DIR" in str(error.value)
    assert "\n" not in str(error.value)
    assert list(cache.iterdir()) == []


def test_npm_is_asked_once_and_only_the_three_files_are_kept(npm, expected, cache):
    calls = npm()
    files = runtime_files(None)

    assert {name: path.read_text() for name, path in files.items()} == {name: name for name in FILES}
    assert [path.name for path in cache.iterdir()] == ["onnxruntime-web-1.30.0"]
    assert {path.name for path in (cache / "onnxruntime-web-1.30.0").iterdir()} == set(FILES)
    assert runtime_files(None) == files
    assert calls() == 1


def test_another_package_than_the_one_published_is_refused_and_not_kept(npm, cache):
    npm()
    with pytest.raises(MissingToolError, match=r"onnxruntime-web@1.30.0: expected sha512-q0y.*, found sha512-"):
        runtime_files(None)

    assert list(cache.iterdir()) == []


def test_an_npm_that_fails_is_one_line(npm, expected, cache):
    npm(code=1)
    with pytest.raises(MissingToolError, match=r"npm pack onnxruntime-web@1\.30\.0: .* found exit code 1"):
        runtime_files(None)

    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "variable", "ending"),
    [
        ("linux", "XDG_CACHE_HOME", "gen-export"),
        ("win32", "LOCALAPPDATA", "gen-export/Cache"),
        ("darwin", "HOME", "Library/Caches/gen-export"),
    ],
)
def test_the_cache_is_where_the_system_keeps_caches(monkeypatch, tmp_path, platform, variable, ending):
    monkeypatch.delenv("GEN_EXPORT_CACHE")
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr(sys, "platform", platform)

    assert browser_runtime.cache_folder() == tmp_path / ending
