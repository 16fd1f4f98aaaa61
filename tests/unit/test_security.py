"""What SECURITY.md promises of the code: plain data, no code from files, and folders of their owner alone."""

from __future__ import annotations

import ast
import pickle
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from autodata.checkpoints.errors import UnreadableCheckpoint
from autodata.checkpoints.serializer import CompressedSerializer, PlainSerializer
from autodata.corpus.reporting.page import _environment
from autodata.runner.run_folder import make_folder
from tests.support.packages import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN_CALLS = frozenset({"eval", "exec", "os.system", "os.popen", "pickle.loads", "pickle.load", "marshal.loads"})
FORBIDDEN_MODULES = frozenset({"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"})


@dataclass
class Made:
    """A class that a checkpoint names and nobody allowed."""

    name: str


def test_a_class_that_a_checkpoint_names_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANGGRAPH_STRICT_MSGPACK", raising=False)
    stored = JsonPlusSerializer().dumps_typed({"value": Made("x")})
    assert JsonPlusSerializer(allowed_msgpack_modules=[(Made.__module__, "Made")]).loads_typed(stored) == {
        "value": Made("x")
    }
    for serializer in (CompressedSerializer(), PlainSerializer()):  # of files, of a Postgres server
        found = serializer.loads_typed(stored)["value"]
        assert not isinstance(found, Made)
        with pytest.raises(UnreadableCheckpoint, match="it cannot be read"):
            serializer.loads_typed(("pickle", pickle.dumps(Made("x"))))


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


def test_no_module_runs_code_that_it_reads() -> None:
    looked_at = 0
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            looked_at += 1
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    assert called(node) not in FORBIDDEN_CALLS, f"{path}:{node.lineno}"
                    assert "shell=True" not in [ast.unparse(word) for word in node.keywords], f"{path}:{node.lineno}"
                names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {name.partition(".")[0] for name in names} & FORBIDDEN_MODULES, f"{path}:{node}"
    assert looked_at > 200


def test_templates_are_escaped_and_run_in_a_sandbox() -> None:
    from jinja2.exceptions import SecurityError

    environment = _environment()
    assert environment.autoescape is True
    with pytest.raises(SecurityError):
        environment.from_string("{{ ''.__class__.__mro__[1].__subclasses__() }}").render()
    with pytest.raises(SecurityError):
        environment.from_string("{{ held.append(1) }}").render(held=[])


def test_a_run_folder_that_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    make_folder(tmp_path / "runs" / "first", "choose another")
    assert stat.S_IMODE((tmp_path / "runs" / "first").stat().st_mode) == 0o700
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    make_folder(shared, "choose another")
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
