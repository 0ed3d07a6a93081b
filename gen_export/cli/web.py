"""The command `web`: the demo page with the models of a folder, served here or written for any web server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gen_export.web.site import Site


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(web)


def web(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Exported .onnx files, in it or in the folders in it.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to serve; 0 takes any that is free.")] = 8000,
    static: Annotated[
        Path | None,
        typer.Option("--static", metavar="OUT", help="Write it all as a folder instead.", show_default=False),
    ] = None,
    onnxruntime_web: Annotated[
        Path | None,
        typer.Option(
            "--onnxruntime-web",
            metavar="DIR",
            help="An npm install of onnxruntime-web.",
            show_default="npm gets it once",
        ),
    ] = None,
    opened: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = False,
) -> None:
    """Show models in a browser, where they run: draw, turn latents, edit codes, rebuild images.

    The page is served to this machine alone, and the models run in the page: nothing is sent anywhere.

    Example: gen-export web runs/
    """
    from gen_export.web.browser_runtime import runtime_files
    from gen_export.web.site import make_site, write_site

    site = make_site(folder, runtime_files(onnxruntime_web), told=lambda line: typer.echo(line, err=True))
    if static is None:
        _serve(site, port, opened)
        return
    write_site(site, static)
    typer.echo(f"{static}: {len(site)} files; threads need the headers {_thread_headers()}")


def _serve(site: "Site", port: int, opened: bool) -> None:
    """Serves until Ctrl-C."""
    import signal
    import webbrowser
    from contextlib import suppress

    from gen_export.web.server import SiteServer

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in a shell's background starts deaf to it
    with SiteServer(site, port) as server, suppress(KeyboardInterrupt):
        typer.echo(f"{server.address} (Ctrl-C ends it)")
        if opened:
            webbrowser.open(server.address)
        server.serve_forever()


def _thread_headers() -> str:
    """The headers without which a page runs on one thread."""
    from gen_export.web.server import HEADERS

    return ", ".join(f"{name}: {value}" for name, value in HEADERS.items() if name.startswith("Cross-Origin"))
