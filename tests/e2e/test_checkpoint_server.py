"""The server of a checkpoint over real HTTP: what it does about a request that nobody waits for any more."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

from autodata.models.local.transformers_server import Abandoned, Checkpoint, server_of

pytestmark = pytest.mark.enable_socket

PATIENCE_SECONDS = 30.0
BODY = json.dumps({"messages": [{"role": "user", "content": "Why?"}]}).encode()


class Endless(Checkpoint):
    """Writes token by token until nobody waits any more, or until `enough` is set."""

    def __init__(self) -> None:  # no model is loaded
        self.began, self.enough, self.abandoned = threading.Event(), threading.Event(), threading.Event()
        self.tokens = 0

    def answer(self, body: Mapping[str, Any], gone: Callable[[], bool]) -> dict[str, Any]:
        while not self.enough.wait(0.001):
            if gone():
                self.abandoned.set()
                raise Abandoned
            self.tokens += 1
            self.began.set()
        return {"choices": [], "usage": {}}


@pytest.fixture
def served() -> Iterator[tuple[Endless, int]]:
    checkpoint = Endless()
    server = server_of(checkpoint, "tiny")
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield checkpoint, server.server_port
    checkpoint.enough.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_nothing_more_is_written_for_whoever_is_gone(served: tuple[Endless, int]) -> None:
    checkpoint, port = served
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\n")
        client.sendall(f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
        assert checkpoint.began.wait(PATIENCE_SECONDS)
        assert not checkpoint.abandoned.is_set()
    assert checkpoint.abandoned.wait(PATIENCE_SECONDS)


def test_whoever_waits_is_answered(served: tuple[Endless, int]) -> None:
    checkpoint, port = served

    def until_begun() -> None:
        checkpoint.began.wait(PATIENCE_SECONDS)
        checkpoint.enough.set()

    threading.Thread(target=until_begun).start()
    reply = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", content=BODY, timeout=PATIENCE_SECONDS)
    assert reply.status_code == 200
    assert reply.json()["model"] == "tiny"
    assert checkpoint.tokens
    assert not checkpoint.abandoned.is_set()
