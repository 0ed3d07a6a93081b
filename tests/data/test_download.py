import hashlib
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from gen_export import data as data_module
from gen_export.data import download, open_data
from gen_export.data.download import CIFAR10, FASHION_MNIST, MNIST, RemoteSet, fetch
from gen_export.errors import DataError


class Handler(SimpleHTTPRequestHandler):
    """Serves files and remembers what was asked for."""

    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        self.asked.append(self.path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address and the folder of a server on this machine."""
    root = tmp_path / "www"
    root.mkdir()
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/", root
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv(download.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_files_are_fetched_once_and_kept(server: tuple[str, Path], cache: Path) -> None:
    url, root = server
    (root / "a.bin").write_bytes(b"aaa")
    remote = RemoteSet("things", url, {"a.bin": md5(b"aaa")})

    assert fetch(remote) == fetch(remote) == cache / "things"
    assert (cache / "things" / "a.bin").read_bytes() == b"aaa"
    assert Handler.asked == ["/a.bin"]


def test_a_damaged_file_in_the_cache_is_fetched_again(server: tuple[str, Path], cache: Path) -> None:
    url, root = server
    (root / "a.bin").write_bytes(b"aaa")
    remote = RemoteSet("things", url, {"a.bin": md5(b"aaa")})
    (fetch(remote) / "a.bin").write_bytes(b"damaged")

    assert (fetch(remote) / "a.bin").read_bytes() == b"aaa"


def test_a_file_with_another_checksum_is_refused_and_not_kept(server: tuple[str, Path], cache: Path) -> None:
    url, root = server
    (root / "a.bin").write_bytes(b"evil")

    with pytest.raises(DataError, match=rf"{url}a\.bin: expected a download, found another MD5 than published: fetch"):
        fetch(RemoteSet("things", url, {"a.bin": md5(b"aaa")}))
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_file_that_is_not_there_is_refused(server: tuple[str, Path]) -> None:
    with pytest.raises(DataError, match=r"a\.bin: expected a download, found HTTPError: fetch it by hand"):
        fetch(RemoteSet("things", server[0], {"a.bin": md5(b"aaa")}))


def test_without_a_network_the_message_says_what_to_do() -> None:
    """Port 9 is the discard service, which nothing here offers."""
    with pytest.raises(
        DataError, match="found ConnectionError: fetch it by hand and give its file or folder"
    ) as raised:
        fetch(RemoteSet("things", "http://127.0.0.1:9/", {"a.bin": md5(b"aaa")}))
    assert "\n" not in str(raised.value)


def test_without_pooch_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)

    with pytest.raises(DataError, match=r"mnist: downloading needs pooch: pip install 'gen-export\[train\]'"):
        fetch(MNIST)


def test_a_name_downloads_the_set_and_opens_it(
    server: tuple[str, Path], idx_folder: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, root = server
    folder: Path = idx_folder()  # pyright: ignore[reportCallIssue]
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, content in files.items():
        (root / name).write_bytes(content)
    sums = {name: md5(content) for name, content in files.items()}
    monkeypatch.setattr(data_module, "MNIST", RemoteSet("mnist", url, sums))
    monkeypatch.setattr(data_module, "FASHION_MNIST", RemoteSet("fashion-mnist", url, sums))

    assert open_data("mnist", "test").label_names == tuple("0123456789")
    images = open_data("fashion-mnist")
    assert images.name == "fashion-mnist"
    assert images.label_names[9] == "Ankle boot"
    assert np.array_equal(images.images(np.arange(6)), open_data(folder).images(np.arange(6)))


def test_cifar10_is_opened_from_its_archive(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[Path, str]] = []
    monkeypatch.setattr(data_module, "fetch", lambda remote: cache / remote.name)
    monkeypatch.setattr(data_module, "open_cifar", lambda path, part: opened.append((path, part)) or SMALL)

    assert open_data("cifar10", "test") is SMALL
    assert opened == [(cache / "cifar10" / "cifar-10-binary.tar.gz", "test")]


SMALL = open_data("sprites", "test")


@pytest.mark.parametrize("remote", [CIFAR10, MNIST, FASHION_MNIST], ids=lambda remote: remote.name)
def test_a_published_set_is_described_completely(remote: RemoteSet) -> None:
    """An MD5 has 32 hexadecimal digits; the idx sets have four files, CIFAR-10 the one that is opened."""
    assert remote.base_url.endswith("/")
    assert all(len(bytes.fromhex(checksum)) == 16 for checksum in remote.md5.values())
    idx = {f"{stem}-{kind}-ubyte.gz" for stem in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")}
    assert set(remote.md5) == ({"cifar-10-binary.tar.gz"} if remote is CIFAR10 else idx)
