"""How much processor time commands take to start, against `python -c pass` in the same run.

    python -m benchmarks.startup [ROUNDS]

Each command is started in turn, ROUNDS times (5), and its least time of user and system counts: what other work on the
machine adds is left out as far as can be. Modules are compiled before, as an installed package's are, whatever
PYTHONDONTWRITEBYTECODE says. `run` is measured to its first call: at a server of this process that refuses
the key, which ends the run, and on simulated models with a budget of one call.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from autodata.cli.app import COMMANDS
from autodata.examples import documents_folder

AUTODATA = (sys.executable, "-c", "from autodata_launch import main; main()")
SIMULATED = '[models.default]\nprovider = "simulated"\n'
ENDPOINT = '[models.default]\nmodel = "m"\nbase_url = "http://127.0.0.1:{port}/v1"\napi_key_env = "STARTUP_KEY"\n'


class Refusing(BaseHTTPRequestHandler):
    """Refuses every key: the first call ends the run."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def seconds_of(command: Sequence[str], folder: Path) -> float:
    """Return the processor time of one command, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "STARTUP_KEY": "k", "COLUMNS": "100"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run(command, cwd=folder, capture_output=True, check=False, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(folder: Path, port: int) -> Mapping[str, Sequence[str]]:
    """Return what is measured by name; `{n}` stands for the number of the round, so that every run is a new one."""
    (folder / "simulated.toml").write_text(SIMULATED, "utf-8")
    (folder / "endpoint.toml").write_text(ENDPOINT.format(port=port), "utf-8")
    papers = str(documents_folder())
    run = (*AUTODATA, "run", "--documents", papers, "--config")
    return {
        "python -c pass": (sys.executable, "-c", "pass"),
        "import autodata": (sys.executable, "-c", "import autodata"),
        "from autodata import generate": (sys.executable, "-c", "from autodata import generate"),
        "autodata --help": (*AUTODATA, "--help"),
        **{f"autodata {name} --help": (*AUTODATA, name, "--help") for name in COMMANDS},
        "autodata status RUN": (*AUTODATA, "status", "made"),
        "autodata show RUN": (*AUTODATA, "show", "made"),
        "autodata list": (*AUTODATA, "list"),
        "import langgraph.graph, langchain_openai": (sys.executable, "-c", "import langgraph.graph, langchain_openai"),
        "autodata run, to its first call, simulated": (*run, "simulated.toml", "--max-calls", "1", "--out", "s{n}"),
        "autodata run, to its first call, an endpoint": (*run, "endpoint.toml", "--out", "e{n}"),
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        measured = commands(folder, server.server_address[1])
        simulated = measured["autodata run, to its first call, simulated"]
        seconds_of([word.format(n=0).replace("s0", "made") for word in simulated], folder)
        least = dict.fromkeys(measured, float("inf"))
        for n in range(rounds):
            for name, command in measured.items():
                words = [word.replace("{n}", str(n)) for word in command]
                least[name] = min(least[name], seconds_of(words, folder))
    server.shutdown()
    base = least["python -c pass"]
    print(f"{'what':48} {'CPU s':>7} {'ratio':>7}")
    for name, seconds in least.items():
        print(f"{name:48} {seconds:7.3f} {seconds / base:7.1f}")


if __name__ == "__main__":
    main()
