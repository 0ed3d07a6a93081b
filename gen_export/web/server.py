"""The server: a site on this machine alone, with the headers that threads of WebAssembly need."""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

from gen_export.errors import ConfigError
from gen_export.web.site import Site

HOST = "127.0.0.1"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class SiteServer(ThreadingHTTPServer):
    """Serves the paths of a site, and nothing else, on the loopback interface.

    Raises:
        ConfigError: The port is taken.
    """

    daemon_threads = True

    def __init__(self, site: Site, port: int) -> None:
        self.site = site
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise ConfigError(f"--port: {port} cannot be had, {error.strerror}: choose another") from error

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://localhost:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; a name of this machine must be asked for, so that no other site's name leads here."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The file at a path."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Its headers."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing: whoever looks at the page sees what is missing."""

    def _answer(self, with_body: bool) -> None:
        if _host_name(self.headers.get("Host", "")) not in _LOOPBACK:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "expected a Host of this machine")
            return
        site = cast("SiteServer", self.server).site
        with suppress(ConnectionError):  # a browser that leaves while it loads is no error
            try:
                name = _name_of(self.path)
                with _opened(site[name]) as (file, size):
                    self._send(name, file, size, with_body)
            except (KeyError, FileNotFoundError):
                self.send_error(HTTPStatus.NOT_FOUND)

    def _send(self, name: str, file: BinaryIO, size: int, with_body: bool) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", TYPES.get(PurePosixPath(name).suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if with_body:
            shutil.copyfileobj(file, self.wfile)

    def end_headers(self) -> None:
        """Ends every answer's headers with those that all have."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()


def _name_of(path: str) -> str:
    """The name in the site that a request asks for.

    Raises:
        KeyError: The path is none.
    """
    try:
        return unquote(urlsplit(path).path, errors="surrogateescape").removeprefix("/") or "index.html"
    except ValueError as error:
        raise KeyError(path) from error


def _host_name(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


@contextmanager
def _opened(content: Path | bytes) -> Iterator[tuple[BinaryIO, int]]:
    """A file, or bytes as one, and its size."""
    if isinstance(content, bytes):
        yield io.BytesIO(content), len(content)
        return
    with content.open("rb") as file:
        yield file, os.fstat(file.fileno()).st_size
