"""The table of CONTRIBUTING.md: one of each sort is added to a copy of the package by editing the files it names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from autodata.serving import exports

ROOT = Path(__file__).resolve().parents[2]

Edits = Mapping[str, tuple[str, str]]
"""File -> a text in it and what stands in its place. An empty text stands for a new file; a folder ends in /."""

ADDED: Mapping[str, Edits] = {
    "domain": {
        "domains/domain.py": (
            "DOMAINS: Mapping[str, Domain] = {domain.name: domain for domain in (CS, ",
            'POETRY = CS.model_copy(update={"name": "poetry"})\n\n'
            "DOMAINS: Mapping[str, Domain] = {domain.name: domain for domain in (POETRY, CS, ",
        ),
        "prompts/poetry/": ("", "prompts/cs/"),
        "langgraph.json": (
            '"graphs": {',
            '"graphs": {"self_instruct_poetry": {"path": "autodata.serving.exports:self_instruct_poetry"},',
        ),
    },
    "role": {
        "prompts/roles.py": (
            '    Role(\n        "verifier",',
            '    Role(\n        "critic",\n        help="Doubts the weak answers.",\n'
            '        placeholders=_names("question schema"),\n'
            '        needed=_names("question"),\n        colour="red",\n    ),\n    Role(\n        "verifier",',
        ),
        "nodes/critic.py": (
            "",
            """
            from autodata.models.coerce import ReplyModel
            from autodata.models.structured import schema_text
            from autodata.nodes.step import Step

            class Doubt(ReplyModel):
                doubt: str

            async def critic(state, runtime):
                step = Step(state, runtime)
                prompt = step.services.pack["critic"]
                messages = prompt.render({"question": step.candidate.question, "schema": schema_text(Doubt)})
                await step.services.caller.parsed(step.site("critic"), messages, Doubt)
                return {}
            """,
        ),
        "graphs/self_instruct.py": (
            '        frame.add_edge("weak_solver", "verifier")\n',
            "        from autodata.nodes.critic import critic\n\n"
            '        frame.add_node("critic", checked(critic))\n'
            '        frame.add_edge("weak_solver", "critic")\n        frame.add_edge("critic", "verifier")\n',
        ),
    },
    "task type": {
        "domains/tasks/rhyme.py": (
            "",
            """
            from autodata.domains.tasks.reference import ReferenceTask

            class RhymeTask(ReferenceTask):
                pass
            """,
        ),
        "domains/tasks/registry.py": (
            '        "rubric": RubricTask(),',
            '        "rhyme": __import__("autodata.domains.tasks.rhyme", fromlist=["x"]).RhymeTask(),\n'
            '        "rubric": RubricTask(),',
        ),
    },
    "acceptance policy": {
        "domains/acceptance/policies.py": (
            '    "loop_judge": LoopJudge(),',
            '    "loop_judge": LoopJudge(),\n'
            '    "none_right": Counts(name="none_right", weak_right=0, strong_right=1),',
        ),
    },
    "loader": {
        "corpus/loaders/logs.py": (
            "",
            """
            from autodata.corpus.loaders.base import Loader, Raw

            def load_log(file, reading):
                yield Raw(file.name, file.text(reading)[0])

            LOG = Loader(load_log, "logs")
            """,
        ),
        "corpus/loaders/registry.py": (
            '    "rst": RST,\n',
            '    "log": __import__("autodata.corpus.loaders.logs", fromlist=["x"]).LOG,\n    "rst": RST,\n',
        ),
    },
    "exporter": {
        "corpus/exporters/ids.py": (
            "",
            """
            from autodata.corpus.exporters.files import write_whole

            def export_ids(data, out):
                return write_whole(out, lambda stream: sum(bool(stream.write(row["id"])) for row in data.rows))
            """,
        ),
        "corpus/exporters/registry.py": (
            '        "jsonl": export_jsonl,\n',
            '        "jsonl": export_jsonl,\n'
            '        "ids": __import__("autodata.corpus.exporters.ids", fromlist=["x"]).export_ids,\n',
        ),
    },
    "trace exporter": {
        "tracing/wall.py": ("", "def open_wall(config, redactor):\n    return object() if config.wall else None\n"),
        "tracing/registry.py": (
            '"langsmith": open_langsmith}',
            '"langsmith": open_langsmith, "wall": __import__("autodata.tracing.wall", fromlist=["x"]).open_wall}',
        ),
        "tracing/config.py": (
            "    texts: bool = True\n",
            '    wall: bool = False\n    """Off."""\n    texts: bool = True\n',
        ),
    },
    "command": {
        "cli/greet.py": ("", 'def greet() -> None:\n    """Greet."""\n    print("hello")\n'),
        "cli/app.py": ('    "completion": "', '    "greet": "Greet.",\n    "completion": "'),
    },
}

PROMPT = "+++\nplaceholders = ['question', 'schema']\n+++\n# user\n{{question}} {{schema}}\n"

ASKED = """
    import json
    from typer.testing import CliRunner
    from autodata.cli.app import app
    from autodata.cli.init import configuration
    from autodata.cli.waterfall import _colour
    from pathlib import Path
    from autodata.corpus.documents import read_documents
    from autodata.corpus.exporters.registry import EXPORTERS
    from autodata.domains.acceptance.parse import policy_of
    from autodata.domains.domain import DOMAINS, Domain
    from autodata.domains.loader import find_domain
    from autodata.graphs.self_instruct import build_self_instruct
    from autodata.prompts.roles import STRUCTURED_ROLES
    from autodata.runner.config import read_config
    from autodata.serving.exports import BUILDERS, context_schema, LoopContext
    import autodata.serving.exports as exports
    from autodata.tracing.config import TracingConfig
    from autodata.tracing.redact import Redactor
    from autodata.tracing.registry import open_exporters

    domain = find_domain("poetry")
    config = read_config('domain = "poetry"\\nmodels.default = {provider = "simulated", model = "m"}'
                         '\\nmodels.critic.model = "c"', "here")
    text = configuration(domain)
    schema = context_schema(domain, LoopContext)
    print(json.dumps({
        "domain": [domain.name, len(domain.pack().prompts) > 0, hasattr(exports, "self_instruct_poetry"),
                   "self_instruct_poetry" in BUILDERS],
        "role": ["critic" in domain.roles, config.roles()["critic"].model, "[models.critic]" in text,
                 "# Doubts the weak answers." in text, "critic" in STRUCTURED_ROLES,
                 {"critic_model", "critic_prompt"} <= set(schema.model_fields),
                 _colour({"kind": "node", "role": "critic", "name": ""}),
                 "critic" in build_self_instruct(domain).compile().get_graph().nodes],
        "task type": type(Domain(name="x", kind="rhyme").scorer).__name__,
        "acceptance policy": policy_of("none_right").weak_right,
        "loader": [one.text for one in read_documents([Path("ask.log")])],
        "exporter": "ids" in CliRunner().invoke(app, ["export", "--help"]).output,
        "trace exporter": [len(open_exporters(TracingConfig(wall=on), Redactor())) for on in (False, True)],
        "command": CliRunner().invoke(app, ["greet"]).output,
    }))
"""


def rows() -> Mapping[str, list[str]]:
    """What can be added -> the files to edit, as CONTRIBUTING.md has it."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = page.partition("| to add | edit these files |")[2].partition("\n\n")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return {
        name.strip().removeprefix("a ").removeprefix("an "): re.findall(r"`([^`]+)`", files) for name, files, _ in cells
    }


def test_nothing_takes_more_than_three_files() -> None:
    assert rows().keys() == ADDED.keys()
    for name, files in rows().items():
        assert 1 <= len(files) <= 3, name
        new = {file for file, (old, _) in ADDED[name].items() if not old}
        named = [re.escape(file).replace("NAME", r"\w+") for file in files]
        for file in ADDED[name]:
            assert any(re.fullmatch(pattern, file) for pattern in named), (name, file)
            assert file in new or (ROOT / file).is_file(), file
        assert len(ADDED[name]) == len(files), name


@pytest.fixture(scope="module")
def said_by_copy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a copy of the package says, with one of each sort added."""
    home = tmp_path_factory.mktemp("copy")
    folders = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-dir"]
    places = {name: home / name.replace(".", "/") for name in folders if name != "autodata_launch"}
    for name in sorted(places):
        for source in (ROOT / folders[name]).iterdir():
            target = places[name] / source.name
            if source.name != "__pycache__" and not target.exists() and (source.is_file() or name != "autodata"):
                target.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, target)
    for edits in ADDED.values():
        for file, (old, new) in edits.items():
            where = home / "autodata" / file
            if file.endswith("/"):
                shutil.copytree(home / "autodata" / new, where)
            elif not old:
                where.write_text(dedent(new), "utf-8")
            elif file != "langgraph.json":
                text = where.read_text("utf-8")
                assert text.count(old) == 1, (file, old)
                where.write_text(text.replace(old, new), "utf-8")
    for domain in ("poetry", "cs", "facts", "legal", "science"):
        (home / "autodata" / "prompts" / domain / "critic.md").write_text(PROMPT, "utf-8")
    (home / "ask.py").write_text(dedent(ASKED), "utf-8")
    (home / "ask.log").write_text("The mast of 1931.", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "ask.py"], cwd=home, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("domain", ["poetry", True, True, True]),
        ("role", [True, "c", True, True, True, True, "red", True]),
        ("task type", "RhymeTask"),
        ("acceptance policy", 0),
        ("loader", ["The mast of 1931."]),
        ("exporter", True),
        ("trace exporter", [0, 1]),
        ("command", "hello\n"),
    ],
)
def test_one_of_each_is_added_by_editing_these_files_alone(name: str, said: Any, said_by_copy: Any) -> None:
    assert said_by_copy[name] == said


def test_langgraph_json_names_what_is_edited() -> None:
    file, (old, _) = "langgraph.json", ADDED["domain"]["langgraph.json"]
    text = (ROOT / file).read_text("utf-8")
    assert text.count(old) == 1
    paths = {name: graph["path"] for name, graph in json.loads(text)["graphs"].items()}
    assert paths == {name: f"{exports.__name__}:{name}" for name in exports.EXPORTS}
    assert all(vars(exports)[name].__name__ == name for name in paths), "a server reads the module's names"
