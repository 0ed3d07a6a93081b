"""The server: what it gives, to whom, and with which headers."""

import http.client
import threading
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from gen_export.errors import ConfigError
from gen_export.web.server import SiteServer


@contextmanager
def serving(site):
    with SiteServer(site, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of one of each kind of file, beside a secret."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "secret.json").write_text("{}")
    (folder / "a model.onnx").write_bytes(b"weights")
    site = {
        "index.html": b"<!doctype html>",
        "main.js": b"//",
        "onnxruntime-web/ort.wasm.min.mjs": b"//",
        "onnxruntime-web/ort-wasm-simd-threaded.wasm": b"\0asm",
        "models.json": b"{}",
        "models/größe #1?/a model.onnx": folder / "a model.onnx",
        "models/gone.onnx": folder / "gone.onnx",
    }
    with serving(site) as server:
        yield server


@pytest.fixture
def ask(server):
    """Asks for a path, as it is written, and returns the status, the headers and the body."""

    def request(path="/", method="GET", host="localhost"):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.putrequest(method, path, skip_host=True)
        if host is not None:
            connection.putheader("Host", host)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, response.headers, body

    return request


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"


def test_the_address_without_a_path_is_the_page(ask):
    assert ask("/")[2] == ask("/index.html")[2] == b"<!doctype html>"


@pytest.mark.parametrize("path", ["/", "/models.json", "/nothing"])
def test_every_answer_has_the_headers_that_threads_of_webassembly_need(ask, path):
    headers = ask(path)[1]

    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/onnxruntime-web/ort.wasm.min.mjs", "text/javascript; charset=utf-8"),
        ("/onnxruntime-web/ort-wasm-simd-threaded.wasm", "application/wasm"),
        ("/models.json", "application/json"),
    ],
)
def test_modules_and_webassembly_have_the_types_that_browsers_insist_on(ask, path, kind):
    assert ask(path)[1]["Content-Type"] == kind


def test_a_model_is_found_by_its_name_however_odd(ask):
    status, headers, body = ask(f"/models/{quote('größe #1?')}/a%20model.onnx?v=1")

    assert (status, body) == (200, b"weights")
    assert headers["Content-Length"] == "7"


def test_head_gives_the_headers_and_no_body(ask):
    status, headers, body = ask("/main.js", "HEAD")

    assert (status, headers["Content-Length"], body) == (200, "2", b"")


@pytest.mark.parametrize(
    "path",
    [
        "/secret.json",
        "/../secret.json",
        "/models/../../secret.json",
        "/models/%2e%2e/%2e%2e/secret.json",
        "/models/..%2f..%2fsecret.json",
        "/models\\..\\secret.json",
        "//etc/passwd",
        "http://[",
        "/%00",
        "/%ff",
        "/models",
        "/models/",
        "/index.html/",
    ],
)
def test_what_is_not_of_the_site_is_not_there(ask, path):
    assert ask(path)[0] == 404


def test_a_file_that_went_away_is_not_there(ask):
    assert ask("/models/gone.onnx")[0] == 404


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_this_machine_is_known_by_all_its_names(ask, host):
    assert ask(host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["example.org", "localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "[", "", None]
)
def test_another_name_that_leads_here_is_refused(ask, host):
    """A page elsewhere could give its own name this machine's address, and read what is served here."""
    status, _, body = ask(host=host)

    assert status == 421
    assert b"doctype html>" not in body.replace(b"<!DOCTYPE", b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_sent(ask, method):
    assert ask("/", method)[0] == 501


def test_a_port_that_is_taken_is_one_line(server):
    with pytest.raises(ConfigError, match=rf"--port: {server.server_port} cannot be had, .*: choose another"):
        SiteServer({}, server.server_port)
