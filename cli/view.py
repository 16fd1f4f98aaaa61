"""`autodata view`: the report of a run that goes on, served on this machine alone and made anew when asked for."""

from __future__ import annotations

import asyncio
import time
import webbrowser
from collections.abc import Sequence
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Annotated

import typer

from autodata.checkpoints.errors import AutodataError, UserError
from autodata.checkpoints.places import LEDGER, POINTER
from autodata.checkpoints.vectors import NAME as VECTORS
from autodata.cli.report import RunsArgument, Size, make_report
from autodata.corpus.reporting.page import POLICY

LOOPBACK = "127.0.0.1"

Stamp = tuple[tuple[int, int], ...]


def view(
    runs: RunsArgument,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port to listen on.", show_default="a free one")
    ] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    size: Size = 5,
) -> None:
    """Serve the report of runs on this machine alone, as they stand when the page is loaded. Ctrl-C ends it.

    Example: autodata view runs/first
    """
    pages = Pages(runs, size)
    pages.page()  # a mistake of the user's is reported now, not in the browser
    with serve(pages, port) as server:
        address = f"http://{LOOPBACK}:{server.server_port}/"
        typer.echo(f"{address} shows {', '.join(map(str, runs))}; Ctrl-C ends it", err=True)
        if browser:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("ended", err=True)


class Pages:
    """The page of some folders, made anew only when one of them changed."""

    def __init__(self, runs: Sequence[Path], size: float) -> None:
        self._runs, self._size = runs, size
        self._lock = Lock()
        self._made: tuple[Stamp, bytes] | None = None

    def page(self) -> bytes:
        """Return the page in UTF-8. Raises as `make_report`."""
        with self._lock:
            stamp = self._stamp()  # before reading: what is written meanwhile makes the next page
            if self._made is None or self._made[0] != stamp:
                now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
                report = asyncio.run(make_report(self._runs, self._size, live=now))
                self._made = stamp, report.html.encode()
            return self._made[1]

    def _stamp(self) -> Stamp:
        found = []
        if any((run / POINTER).exists() for run in self._runs):  # no file shows what changes at a server
            found.append((time.monotonic_ns(), 0))
        for run in self._runs:
            for name in (LEDGER, f"{LEDGER}-wal", VECTORS):
                try:
                    state = (run / name).stat()
                    found.append((state.st_mtime_ns, state.st_size))
                except OSError:
                    found.append((0, 0))
        return tuple(found)


def serve(pages: Pages, port: int) -> ThreadingHTTPServer:
    """Return a server of the page on the loopback address. Raises UserError when the port cannot be had."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A page of another site may have its own name lead here: only our own address is answered.
            if self.headers.get("Host", "") not in _own_names(self.connection.getsockname()[1]):
                self._answer(421, b"this server answers to its own address only\n", "text/plain")
            elif self.path.partition("?")[0] != "/":
                self._answer(404, b"only / is here\n", "text/plain")
            else:
                try:
                    self._answer(200, pages.page(), "text/html")
                except AutodataError as error:
                    self._answer(503, f"{error}\n".encode(errors="replace"), "text/plain")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            for name, value in (
                ("Content-Type", f"{kind}; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", f"{POLICY}; frame-ancestors 'none'"),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the terminal shows the address."""

    try:
        return ThreadingHTTPServer((LOOPBACK, port), Handler)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--port {port}: cannot be had ({_reported(error)}): choose another, or leave it out"
        ) from error


def _reported(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _own_names(port: int) -> set[str]:
    return {f"{name}:{port}" for name in (LOOPBACK, "localhost")}
