"""A local model behind an OpenAI-compatible HTTP server on 127.0.0.1, in a child process that ends with its parent.

The parent side is `LocalServers` (one server per distinct model file and shape, started on demand) over `start_server`.
The child side is `python -m autodata.models.local.llama_server`: it prints one JSON line with its `base_url` once the
model is loaded, and exits when its stdin closes, which the system sees to even if the parent is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import mmap
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from autodata.checkpoints.errors import RunFailed, UserError

MODULE = "autodata.models.local.llama_server"
INSTALL_HINT = "pip install 'autodata-langgraph[local]'"
CHECKPOINT_HINT = "pip install 'autodata-langgraph[transformers]'"
CHECKPOINT_SERVER = Path(__file__).with_name("transformers_server.py")
_OF_CHECKPOINTS = ("torch", "transformers")
_START_SECONDS = 300.0
_STOP_SECONDS = 5.0
_TAIL_BYTES = 8192
_ERRORS_ONLY = 1
_QUIET_OPENMP = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
"""Without these, OpenMP's spinning threads starve each other as soon as another process is busy."""


def _default_threads() -> int:
    return min(8, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """What to serve. `ctx` is tokens per request in flight, of which there are `n_parallel`; `threads` are the CPU's.

    Specs are equal, and share a server, if model file, `ctx`, `n_parallel` and `embedding` are.
    """

    path: Path
    alias: str = field(default="local", compare=False)
    n_parallel: int = 4
    ctx: int = 4096
    threads: int = field(default_factory=_default_threads, compare=False)
    embedding: bool = False
    """Whether it serves vectors instead of replies."""
    python: str = field(default="", compare=False)
    """The Python that serves a checkpoint's folder; empty: this one."""

    @property
    def command(self) -> list[str]:
        """The child's command line. Raises UserError where what serves such a model is not installed."""
        own = not self.path.is_dir()
        python = sys.executable if own else self.python or sys.executable
        if own and importlib.util.find_spec("xllamacpp") is None:
            raise UserError(f"local models need an extra package that is missing: {INSTALL_HINT}")
        if not own and shutil.which(python) is None:
            raise UserError(f"local.python {python}: no such program: name the Python of your trainer")
        if not own and not self.python and not all(map(importlib.util.find_spec, _OF_CHECKPOINTS)):
            raise UserError(
                f"a checkpoint's folder needs torch and transformers: {CHECKPOINT_HINT}, or set local.python to a"
                " Python that has them"
            )
        program = ["-m", MODULE, "--n-parallel", str(self.n_parallel)] if own else [str(CHECKPOINT_SERVER)]
        what = [
            "--model",
            str(self.path),
            "--alias",
            self.alias,
            "--ctx",
            str(self.ctx),
            "--threads",
            str(self.threads),
        ]
        return [python, "-P", *program, *what, *(["--embedding"] if self.embedding else [])]


class LocalServer:
    """A running server; `base_url` ends in /v1. Close it with `aclose` or `contextlib.aclosing`."""

    def __init__(self, base_url: str, process: asyncio.subprocess.Process) -> None:
        self.base_url = base_url
        self._process = process

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return self._process.returncode is None

    async def aclose(self) -> None:
        """End the child by closing its stdin, or by force if it does not end within 5 seconds. May be called twice."""
        await _end(self._process, patience=_STOP_SECONDS)


async def start_server(spec: ServerSpec) -> LocalServer:
    """Start a server and wait until its model is loaded (at most 300 seconds).

    Raises UserError if the runtime is not installed, RunFailed with the server's own reason if it does not come up.
    """
    command = spec.command
    # A file, not a pipe: nobody reads it while the server runs, and it must never fill up.
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, **_QUIET_OPENMP},
            # Ctrl-C in a terminal reaches the whole group, but calls in flight are to be finished first.
            start_new_session=True,
        )
        base_url = None
        try:
            base_url = await _wait_until_ready(process)
        finally:
            if base_url is None:
                await _end(process, patience=0)
        if base_url is None:
            raise RunFailed(f"the local server for {spec.path} did not start: {_reason(log)}")
    return LocalServer(base_url, process)


class LocalServers:
    """The servers of one run: each is started by its first caller, shared by all, and closed by `aclose` at the end."""

    def __init__(self) -> None:
        self._servers: dict[ServerSpec, LocalServer] = {}
        self._lock = asyncio.Lock()

    async def get(self, spec: ServerSpec) -> LocalServer:
        """Return the running server of a spec, started now if there is none or the last one died.

        Raises what `start_server` raises.
        """
        async with self._lock:
            server = self._servers.get(spec)
            if server is None or not server.alive:
                server = self._servers[spec] = await start_server(spec)
            return server

    async def aclose(self) -> None:
        """Close every server that was started. May be called twice."""
        async with self._lock:
            servers = list(self._servers.values())
            self._servers.clear()
            await asyncio.gather(*(server.aclose() for server in servers))


async def _wait_until_ready(process: asyncio.subprocess.Process) -> str | None:
    """Return the base URL that the child prints, or None if it ended without one."""
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
    except TimeoutError:
        raise RunFailed(f"the local server did not load its model within {_START_SECONDS:.0f} seconds") from None
    return str(json.loads(line)["base_url"]) if line else None


async def _end(process: asyncio.subprocess.Process, *, patience: float) -> None:
    """Close a child's stdin, and kill it if it is still there after `patience` seconds."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), patience)
    except TimeoutError:
        process.kill()
        await process.wait()


def _reason(log: IO[bytes]) -> str:
    """Return the line of a dead child's stderr that says most: the loader's own error, else the last line."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    said = next((line for line in lines if "error loading model:" in line), lines[-1] if lines else "it said nothing")
    return said.rpartition("error loading model: ")[2]


def _serve(arguments: argparse.Namespace, ready: IO[str]) -> None:
    """Load the model, announce the server, and serve until stdin closes."""
    # Only the child may load the native library, and it has no types.
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.model_alias = {arguments.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = arguments.n_parallel
    params.n_ctx = arguments.n_parallel * arguments.ctx
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = arguments.threads
    params.verbosity = _ERRORS_ONLY
    params.ui = False
    if arguments.embedding:
        params.embedding = True
        params.n_batch = params.n_ubatch = arguments.ctx  # a text is read whole, and makes one vector
        if not names_pooling(Path(arguments.model)):
            params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    ready.write(json.dumps({"base_url": f"{server.listening_address}/v1"}) + "\n")
    ready.flush()
    sys.stdin.buffer.read()
    # No orderly end: it would wait for the replies in flight, which nobody reads any more.
    os._exit(0)


def names_pooling(model: Path) -> bool:
    """Whether a GGUF file says how one vector is made of a text's many; embedding models do, chat models do not."""
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b".pooling_type") >= 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the child: serve until stdin closes, or say on stderr why not and return 1."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=main.__doc__)
    parser.add_argument("--model", required=True, help="path of a GGUF file")
    parser.add_argument("--alias", default="local", help="the model's name in replies")
    parser.add_argument("--n-parallel", type=int, default=4, help="requests served side by side")
    parser.add_argument("--ctx", type=int, default=4096, help="tokens of context for each of these")
    parser.add_argument("--threads", type=int, default=_default_threads(), help="CPU threads")
    parser.add_argument("--embedding", action="store_true", help="serve vectors instead of replies")
    arguments = parser.parse_args(argv)
    # What the native library prints on stdout must not be taken for the ready line.
    ready = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        _serve(arguments, ready)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
