"""The command line over HTTP: Ctrl-C and SIGTERM drain, and say how to go on; bad input is one line and exit code 2."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from autodata.examples import documents_folder
from tests.support.server import ChatServer, Switches

pytestmark = pytest.mark.enable_socket
AUTODATA = str(Path(sys.executable).parent / "autodata")


def write_config(folder: Path, base_url: str) -> None:
    models = f'[models.default]\nmodel = "strong"\nbase_url = "{base_url}"\n[models.weak_solver]\nmodel = "weak"\n'
    (folder / "autodata.toml").write_text(f'domain = "cs"\n{models}')


async def start(folder: Path, *more: str) -> asyncio.subprocess.Process:
    arguments = ("run", "--documents", str(documents_folder()), "--out", "run", "--json", *more)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(AUTODATA, *arguments, cwd=folder, stdout=pipe, stderr=pipe)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_drains_and_the_same_command_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    async with ChatServer(switches=Switches(latency_s=0.02)) as server:
        write_config(tmp_path, server.base_url)
        process = await start(tmp_path)
        assert process.stderr is not None
        assert (await process.stderr.readline()).startswith(b"Documents go to: ")
        assert (await process.stderr.readline()).startswith(b"At once: ")
        assert (await process.stderr.readline()).startswith(b"warning: verifier (strong) and strong_solver (strong)")
        first = (await process.stderr.readline()).decode()  # a document has ended: the others are in work
        assert "accepted" in first or "rejected" in first
        process.send_signal(number)
        out, err = await process.communicate()
        assert process.returncode == 1, err
        said = err.decode()
        assert "Ctrl-C again stops at once" in said
        assert "stopped: interrupted" in said
        assert "the same command goes on" in said
        assert "Traceback" not in said
        status = json.loads(out)
        assert status["pending"] >= 1
        assert len(server.requests) == status["calls"], "a drained run loses no call"

        process = await start(tmp_path)
        out, err = await process.communicate()
        assert process.returncode == 0, err
        status = json.loads(out)
        assert status["pending"] == 0
        assert len(server.requests) == status["calls"], "no call is paid for twice"


async def test_budget_by_calls_is_never_exceeded_and_can_be_raised(tmp_path: Path) -> None:
    async with ChatServer() as server:
        write_config(tmp_path, server.base_url)
        process = await start(tmp_path, "--max-calls", "30")
        out, err = await process.communicate()
        assert process.returncode == 0, err
        assert b"stopped: the budget --max-calls 30 is spent" in err
        assert json.loads(out)["calls"] == len(server.requests) == 30
        process = await start(tmp_path, "--max-calls", "100000")
        out, err = await process.communicate()
        assert process.returncode == 0, err
        assert json.loads(out)["pending"] == 0
        assert json.loads(out)["calls"] == len(server.requests)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--acceptance", "papr"), "unknown preset 'papr'"),
        (("--domain", "law"), "unknown domain 'law'"),
        (("--max-rounds", "0"), "max_rounds"),
        (("--max-usd", "1"), "set models.challenger.price_in"),
        (("nowhere/",), "nowhere"),
        (("--config", "missing.toml"), "missing.toml: no such configuration"),
    ],
)
async def test_a_mistake_is_one_line_and_exit_code_2(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    write_config(tmp_path, "http://127.0.0.1:9/v1")
    process = await start(tmp_path, *arguments)
    _, err = await process.communicate()
    assert process.returncode == 2, err
    lines = [line for line in err.decode().strip().splitlines() if not line.startswith("Documents go to: ")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("autodata: ")
    assert said in lines[0]
