"""How commands start: what each imports, the list of commands, other ways to start it, and texts of any locale."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from autodata.checkpoints.errors import UserError
from autodata.cli.app import COMMANDS
from autodata.cli.new_domain import write_domain
from autodata.domains.loader import find_domain
from autodata.examples import documents_folder
from autodata.runner.config import load_config, read_config
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents
from tests.support.commands import invoke, words
from tests.support.runs import generated
from tests.support.stages import first_quick

HEAVY = (
    *("aiohttp", "dateutil", "httpx", "httpx2", "langchain_core", "langchain_openai", "langgraph", "langgraph_sdk"),
    *("langsmith", "numpy", "openai", "requests", "sqlite_utils", "tiktoken"),
)
"""What takes a while to import. None of it is needed for a command's help, or to look into a folder."""
PYDANTIC = ("pydantic",)
"""What the list of all commands does not need, either."""

STARTED = """
import json, os, sys
names, heavy = json.loads(sys.argv[1]), json.loads(sys.argv[2])
from autodata_launch import main
import autodata.cli.app
found = {}
for name, arguments in names.items():
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["autodata", *arguments]
        try:
            main()
            code = 0
        except SystemExit as error:
            code = error.code or 0
        os.write(writing, json.dumps([code, [module for module in heavy if module in sys.modules]]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        found[name] = json.loads(answer.read())
print(json.dumps(found))
"""


def imported(starts: Mapping[str, Sequence[str]], heavy: Sequence[str], cwd: Path) -> dict[str, Any]:
    """Start each command in a process of its own; return its exit code and what of `heavy` it imported."""
    done = subprocess.run(
        [sys.executable, "-c", STARTED, json.dumps(starts), json.dumps(heavy)],
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_help_imports_nothing_that_takes_a_while(tmp_path: Path) -> None:
    starts = {"": ["--help"], **{name: [name, "--help"] for name in COMMANDS}}
    found = imported(starts, [*HEAVY, *PYDANTIC], tmp_path)
    assert found.keys() == {"", *COMMANDS}
    for name, (code, modules) in found.items():
        assert code == 0, name
        assert [module for module in modules if module in HEAVY] == [], name
    assert found[""][1] == []


@pytest.fixture
async def run(tmp_path: Path) -> Path:
    """A run of three documents, one of them begun."""
    (tmp_path / "c.toml").write_text('budget.max_calls = 3\n[models.default]\nprovider = "simulated"\n', "utf-8")
    async with open_runner(load_config(tmp_path / "c.toml"), tmp_path / "run") as runner:
        await add_documents(runner.ledger, generated(3))
        await runner.run()
    return tmp_path / "run"


@pytest.mark.slow
def test_commands_that_look_import_neither_models_nor_graphs_nor_what_writes(run: Path) -> None:
    starts = {
        "status": ["status", "run"],
        "status json": ["status", "run", "--json"],
        "show": ["show", "run"],
        "show document": ["show", "run", "a"],
        "list": ["list"],
        "export": ["export", "run", "--out", "x.jsonl"],
        "compare": ["compare", "run", "run"],
        "prompts": ["prompts", "show", "cs"],
        "init": ["init"],
    }
    for name, (code, modules) in imported(starts, HEAVY, run.parent).items():
        assert code == 0 or name == "show document", name
        assert modules == [], name


UNUSED = ("numpy", "pandas", "sqlite_utils")
"""What no run needs, installed or not."""
OF_ENDPOINTS = ("langchain_openai", "openai")
"""What runs do not need, unless a role is at Azure, streams, or has `client = "langchain"`."""


@pytest.mark.slow
def test_a_run_imports_the_libraries_of_the_models_that_it_has(tmp_path: Path) -> None:
    refused = 'model = "m"\nbase_url = "http://127.0.0.1:9/v1"\n[retries]\nmax_attempts = 1\nbase_seconds = 0\n'
    (tmp_path / "s.toml").write_text('[models.default]\nprovider = "simulated"\n', "utf-8")
    (tmp_path / "e.toml").write_text(f"[models.default]\n{refused}", "utf-8")
    run = ["run", "--documents", str(documents_folder()), "--max-calls", "1"]
    starts = {
        "simulated": [*run, "--config", "s.toml", "--out", "s"],
        "endpoint": [*run, "--config", "e.toml", "--out", "e"],
    }
    found = imported(starts, [*UNUSED, *OF_ENDPOINTS, "langgraph"], tmp_path)
    assert found["simulated"] == [0, ["langgraph"]]
    assert found["endpoint"] == [1, ["langgraph"]]


@pytest.mark.parametrize(
    "statement",
    first_quick("import autodata", "from autodata import generate", "from autodata import UserError, RunConfig"),
)
def test_public_names_import_what_they_need_alone(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = done.stdout.strip()
    assert found == "[]"


@pytest.mark.slow
def test_records_and_events_build_no_schema_while_they_are_imported() -> None:
    """What validates a record or an event is built when the first is read."""
    code = """
from pydantic import BaseModel
import autodata.runner.document_runner
def below(kind):
    for child in kind.__subclasses__():
        yield child
        yield from below(child)
built = {f"{one.__module__}.{one.__name__}" for one in below(BaseModel)
         if one.__module__.startswith("autodata.") and one.__pydantic_complete__}
print("\\n".join(sorted(built)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    built = set(done.stdout.split())
    assert built, "settings have defaults, which are made at once"
    at_first_use = ("autodata.checkpoints.", "autodata.nodes.events", "autodata.nodes.state", "autodata.nodes.human")
    assert {one for one in built if one.startswith(at_first_use)} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_a_commands_own_help_begins_with(name: str) -> None:
    found = getattr(importlib.import_module(f"autodata.cli.{name}"), name)
    text = found.info.help if isinstance(found, typer.Typer) else inspect.getdoc(found)
    first, _, _ = (text or "").partition("\n\n")
    assert words(first) == COMMANDS[name]
    assert COMMANDS[name] in words(invoke("--help", columns=200).output).replace("│", "")


# Other ways to start it


@pytest.mark.parametrize("arguments", [["-h"], ["status", "-h"], ["optimize", "-h"], ["optimize", "blame", "-h"]])
def test_h_is_help(arguments: Sequence[str]) -> None:
    short, long = invoke(*arguments), invoke(*arguments[:-1], "--help")
    assert short.exit_code == 0
    assert "Usage:" in short.output
    assert short.output == long.output


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["stauts"], "No such command 'stauts'. Did you mean 'status'?"),
        (["exprot", "x"], "No such command 'exprot'. Did you mean 'export' or 'prompts'?"),
        (["run", "--documnets", "x"], "No such option: --documnets. Did you mean '--documents' or"),
        (["optimize", "blmae"], "No such command 'blmae'. Did you mean 'blame'?"),
        (["optimize", "status", "x", "--jsno"], "No such option: --jsno. Did you mean '--json'?"),
        (["qqqqqq"], "No such command 'qqqqqq'."),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(arguments: Sequence[str], meant: str) -> None:
    result = invoke(*arguments, columns=200)
    assert result.exit_code == 2
    assert meant in words(result.output)
    assert ("Did you mean" in result.output) is ("mean" in meant)


@pytest.mark.slow
def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "autodata"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "Usage: python -m autodata" in shown.stdout
    failed = subprocess.run([*command, "status", "no run"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr == "autodata: no run: no such folder: name a folder that 'autodata run --out' made\n"


@pytest.mark.parametrize(
    "locale",
    first_quick(
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ),
)
def test_output_is_utf_8_whatever_the_locale(locale: Mapping[str, str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"}
    done = subprocess.run(
        [sys.executable, "-m", "autodata", "--help"], capture_output=True, env={**environment, **locale}, check=True
    )
    assert "╭─ Commands".encode() in done.stdout


@pytest.mark.slow
def test_output_is_utf_8_where_python_would_write_cp1252() -> None:
    code = (
        "import io, sys; sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='cp1252');"
        "from autodata.jobs.printable import take_any_text; take_any_text(); print('\\u6e2f')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert done.stdout.decode().strip() == "港"
    named = {**environment, "PYTHONIOENCODING": "cp1252"}
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, env=named, check=True).stdout == b"?\n"


# Completion: how the shells themselves complete is tests/e2e/test_completion.py


OFFERED = {
    "run --domain ": ["cs", "facts", "legal", "science"],
    "run --review=b": ["borderline"],
    "run --acceptance lo": ["loop_judge"],
    "export RUN --format llama": ["llama-factory"],
    "show RUN --mode too": ["too_easy"],
    "graph --graph self_instruct_c": ["self_instruct_cs"],
    "prompts show opt": ["optimizer"],
    "push ": ["hf", "langsmith"],
    "optimize --track m": ["mlflow"],
    "export RUN --out ": [],
}
"""A line behind `autodata`, and what is offered for its last word; files are the shell's."""


@pytest.mark.parametrize("typed", first_quick(*OFFERED))
def test_options_offer_the_values_they_take_and_leave_files_to_the_shell(typed: str) -> None:
    environment = {"_AUTODATA_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    environment["_TYPER_COMPLETE_ARGS"] = f"autodata {typed}"
    command = [sys.executable, str(Path(sysconfig.get_path("scripts")) / "autodata")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=True)
    assert sorted(line.partition("\t")[0] for line in done.stdout.splitlines() if line) == OFFERED[typed]


# What a configuration need not say


def test_simulated_models_need_no_names() -> None:
    text = '[models.default]\nprovider = "simulated"\n[models.challenger]\nmodel = "own"\n'
    roles = read_config(text, "here").roles()
    found = [roles[name].model for name in ("weak_solver", "strong_solver", "challenger")]
    assert found == ["weak", "strong", "own"]
    assert all(settings.model for settings in roles.values())
    with pytest.raises(UserError, match="no model is named"):
        read_config('[models.default]\nprovider = "local"\n', "here").roles()


def test_a_byte_order_mark_before_toml_is_read(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(b"\xef\xbb\xbf" + b"seed = 7\n")
    assert load_config(file).seed == 7
    write_domain(tmp_path / "own", "cs")
    for path in filter(Path.is_file, (tmp_path / "own").rglob("*")):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert find_domain(str(tmp_path / "own")).pack().prompts
