"""`langgraph dev` as a child process on loopback, cut off from every other address."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    "LANGGRAPH_NO_VERSION_CHECK": "true",
    "LANGSMITH_TRACING": "false",
}
FLAGS = ("--host", "127.0.0.1", "--no-browser", "--no-reload", "--n-jobs-per-worker", "10")
NET_LOG = "AUTODATA_TEST_NET_LOG"

GUARD = """
import json, os, socket

_LOG = os.environ["AUTODATA_TEST_NET_LOG"]


def _local(host):
    text = host.decode() if isinstance(host, bytes) else host
    return text in (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0")


def _guarded(name, real, host_of):
    def guard(*args, **kwargs):
        host = host_of(*args, **kwargs)
        if not _local(host):
            with open(_LOG, "a") as log:
                log.write(json.dumps([name, str(host)]) + "\\n")
            raise OSError(f"{name}({host!r}): the test lets nothing leave this machine")
        return real(*args, **kwargs)
    return guard


def _address(sock, address, *rest):
    return address[0] if sock.family in (socket.AF_INET, socket.AF_INET6) else None


socket.getaddrinfo = _guarded("getaddrinfo", socket.getaddrinfo, lambda host, *rest, **named: host)
socket.gethostbyname = _guarded("gethostbyname", socket.gethostbyname, lambda host: host)
for _name in ("connect", "connect_ex"):
    setattr(socket.socket, _name, _guarded(_name, getattr(socket.socket, _name), _address))
open(_LOG, "a").write(json.dumps(["guarded", str(os.getpid())]) + "\\n")
"""
"""A `sitecustomize` for the server: whatever is not loopback is noted and fails."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Studio:
    """A running server and where it works."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ledger(self) -> Path:
        return self.folder / ".autodata" / "server" / "run.db"

    def client(self) -> LangGraphClient:
        return get_client(url=self.url, api_key=None)

    def log(self) -> str:
        return (self.folder / "server.log").read_text("utf-8", "replace")

    def left_the_machine(self) -> list[list[str]]:
        """Addresses other than loopback that the server asked for, and whether it was watched at all."""
        lines = [json.loads(line) for line in (self.folder / "net.log").read_text("utf-8").splitlines()]
        assert any(name == "guarded" and pid == str(self.process.pid) for name, pid in lines)
        return [line for line in lines if line[0] != "guarded"]

    def kill(self) -> None:
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start(
    folder: Path,
    config: Mapping[str, Any] | None,
    environment: Mapping[str, str] | None = None,
    graphs: Path = ROOT / "langgraph.json",
) -> Studio:
    """Start a server of a langgraph.json in a folder and wait until it says that it is up."""
    guard = folder / "guard"
    guard.mkdir(parents=True, exist_ok=True)
    (guard / "sitecustomize.py").write_text(GUARD, "utf-8")
    if config is not None:
        (folder / "autodata.toml").write_text(tomli_w.dumps(dict(config)), "utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUTODATA_", "LANGCHAIN_"))}
    env = {**kept, **ENVIRONMENT, "PYTHONPATH": str(guard), NET_LOG: str(folder / "net.log"), **(environment or {})}
    env = {name: value for name, value in env.items() if value}  # empty: not set at all
    port = free_port()
    command = [str(Path(sys.executable).with_name("langgraph")), "dev", "--config", str(graphs)]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, *FLAGS, "--port", str(port)],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    studio = Studio(folder, port, process)
    while True:
        try:
            with urllib.request.urlopen(f"{studio.url}/ok") as answer:
                assert answer.status == 200
                return studio
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, studio.log()
            time.sleep(0.05)  # it is up when it answers, however long that takes


@contextmanager
def studio(
    folder: Path,
    config: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    graphs: Path = ROOT / "langgraph.json",
) -> Iterator[Studio]:
    """Run a server for as long as the context lasts."""
    running = start(folder, config, environment, graphs)
    try:
        yield running
    finally:
        running.stop()


@dataclass
class Models:
    """The test's model server as a process of its own, and the log of what it was asked."""

    base_url: str
    path: Path

    def requests(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]
        return [line for line in lines if "call" in line]

    async def asked(self, count: int) -> None:
        """Return once so many requests have arrived, however long that takes."""
        while len(self.requests()) < count:  # noqa: ASYNC110 - the log is another process's
            await asyncio.sleep(0.01)


@contextmanager
def models(folder: Path, **switches: Any) -> Iterator[Models]:
    """Run a model server that logs each request."""
    path = folder / "requests.jsonl"
    command = [sys.executable, "-m", "tests.support.server", "--log", str(path), "--switches", json.dumps(switches)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        base_url = json.loads(process.stdout.readline())["base_url"]
        try:
            yield Models(base_url, path)
        finally:
            process.stdin.close()
