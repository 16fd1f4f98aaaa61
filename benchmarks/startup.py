"""How much processor time commands take to start: writes docs/startup.json and a part of docs/benchmarks.md.

    python -m benchmarks.startup [ROUNDS]

Each command is started in turn, ROUNDS times (5), and its least time of user and system counts: what other work on the
machine adds is left out as far as can be. Modules are compiled before, as an installed package's are, whatever
PYTHONDONTWRITEBYTECODE says. `run` is measured to its first call: at a server of this process that refuses
the key, which ends the run, and on simulated models with a budget of one call. What counts are the ratios, to
`python -c pass` and to the libraries alone, all of one run of this command.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from autodata.cli.app import COMMANDS
from autodata.examples import documents_folder
from benchmarks.many_documents import machine
from benchmarks.page import DOCS, commit_of_now, write

AUTODATA = (sys.executable, "-c", "from autodata_launch import main; main()")
SIMULATED = '[models.default]\nprovider = "simulated"\n'
ENDPOINT = '[models.default]\nmodel = "m"\nbase_url = "http://127.0.0.1:{port}/v1"\napi_key_env = "STARTUP_KEY"\n'


LIBRARIES = "import langgraph.graph, langchain_openai"
"""What a run at an endpoint cannot do without while chat models are LangChain's."""


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
        LIBRARIES: (sys.executable, "-c", LIBRARIES),
        "autodata run, to its first call, simulated": (*run, "simulated.toml", "--max-calls", "1", "--out", "s{n}"),
        "autodata run, to its first call, an endpoint": (*run, "endpoint.toml", "--out", "e{n}"),
    }


def rendered(figures: Mapping[str, Any]) -> str:
    """Return the part of docs/benchmarks.md for the content of docs/startup.json."""
    took = figures["seconds"]
    base, libraries = took["python -c pass"], took[LIBRARIES]
    rows = "".join(
        f"| {name} | {seconds:.2f} s | {seconds / base:.1f} | {seconds / libraries:.2f} |\n"
        for name, seconds in took.items()
    )
    return (
        "# Starting\n\n"
        f"Processor time of whole commands, the least of {figures['rounds']}. Written by `python -m benchmarks.startup`"
        f" on {figures['date']}, commit `{figures['commit']}`, {figures['machine']}; as it began, {figures['load']}"
        " processes were running or waiting to: the more, the higher all times, and the ratios hold better.\n\n"
        "| what | processor time | times `python -c pass` | times the libraries |\n| --- | ---: | ---: | ---: |\n"
        f"{rows}"
    )


def main() -> None:
    """Measure, and write the files."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    load = round(os.getloadavg()[0], 1)
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
    figures = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit_of_now(),
        "machine": machine(),
        "load": load,
        "rounds": rounds,
        "seconds": {name: round(seconds, 3) for name, seconds in least.items()},
    }
    (DOCS / "startup.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    write("starting", rendered(figures))


if __name__ == "__main__":
    main()
