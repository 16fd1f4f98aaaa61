"""`autodata view` over real HTTP: the page is served on the loopback address, and to its own name alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest

from autodata.checkpoints.errors import UserError
from autodata.cli.view import LOOPBACK, Pages, serve
from tests.unit.test_report import Page, refers_elsewhere, write_run


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    asyncio.run(write_run(tmp_path))
    with serve(Pages([tmp_path], 5), 0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def asked(port: int, path: str = "/", host: str = "") -> tuple[int, dict[str, str], str]:
    connection = HTTPConnection(LOOPBACK, port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host or f"{LOOPBACK}:{port}"})
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read().decode()
    finally:
        connection.close()


def test_the_page_is_served_with_its_policy(port: int) -> None:
    status, headers, html = asked(port)
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Cache-Control"] == "no-store"
    assert refers_elsewhere(Page(html), html) == []
    assert Page(html).data["runs"][0]["documents"][0]["name"] == "a.md"


def test_no_other_path_and_no_other_name_is_answered(port: int) -> None:
    assert asked(port, "/run.db")[0] == 404
    assert asked(port, host="attacker.example")[0] == 421
    assert asked(port, host=f"attacker.example:{port}")[0] == 421
    assert asked(port, host=f"localhost:{port}")[0] == 200


def test_a_run_that_is_gone_is_reported(port: int, tmp_path: Path) -> None:
    for file in tmp_path.glob("run.db*"):
        file.unlink()
    status, _, text = asked(port)
    assert status == 503
    assert "run.db" in text
    assert "Traceback" not in text


def test_a_port_that_is_taken_is_a_mistake_in_one_line(port: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--port {port}: cannot be had"):
        serve(Pages([tmp_path], 5), port)
