"""Parts that installed packages add: found by name, imported when used, and named in one line when broken."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.registry import Registry
from autodata.cli.app import INSTALLED, app
from autodata.cli.plugins import registries
from autodata.corpus.documents import read_documents
from autodata.corpus.exporters.registry import EXPORTERS
from autodata.domains.acceptance.parse import policy_of
from autodata.domains.acceptance.policies import PRESETS, Planned
from autodata.domains.domain import Domain
from autodata.domains.loader import find_domain
from autodata.models.config import Settings
from autodata.runner.config import RunConfig, read_config
from autodata.runner.destinations import traces
from autodata.runner.fingerprint import fingerprint
from autodata.tracing.config import TracingConfig
from autodata.tracing.redact import Redactor
from autodata.tracing.registry import TRACE_EXPORTERS, open_exporters
from tests.unit.test_export import data, rich

MODULE = """
    from fractions import Fraction
    from pathlib import Path

    from autodata.checkpoints.records import Decision, FailureMode, Stage
    from autodata.corpus.exporters.files import write_whole
    from autodata.corpus.loaders.base import Raw
    from autodata.domains.acceptance.policies import Majority
    from autodata.domains.tasks.reference import ReferenceTask

    class Recalled(ReferenceTask):
        pass

    class Strict(Majority):
        name: str = "strict"
        most: int = 1

    def export_ids(data, out):
        return write_whole(out, lambda stream: sum(bool(stream.write(row["id"] + "\\n")) for row in data.rows))

    class Sent:
        name = "mine"
        def __init__(self, texts): self.texts = texts

    def open_mine(config, redactor):
        return Sent(config.texts)

    def load_log(file, reading):
        for number, line in enumerate(file.text(reading)[0].splitlines(), 1):
            yield Raw(f"{file.name}:{number}", line, record=True)

    def greet(name: str) -> None:
        '''Greet somebody.'''
        print("hello", name)

    nothing = 3
"""
POINTS = """
    [autodata.task_types]
    recalled = adds_parts:Recalled
    half = adds_parts:nothing
    [autodata.policies]
    strict = adds_parts:Strict
    paper = adds_parts:Strict
    other = adds_parts:Strict
    [autodata.loaders]
    log = adds_parts:load_log
    rst = adds_parts:load_log
    dat = adds_parts:nothing
    [autodata.exporters]
    ids = adds_parts:export_ids
    gone = adds_parts:export_gone
    [autodata.trace_exporters]
    mine = adds_parts:open_mine
    [autodata.commands]
    greet = adds_parts:greet
    torn = adds_no_such_module:torn
"""


def forget() -> None:
    for registry in registries():
        registry.__dict__.pop("plugins", None)
        registry._loaded.clear()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A distribution that adds one part of each sort, and some that cannot be used."""
    home = tmp_path / "site"
    info = home / "adds-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: adds\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(dedent(POINTS))
    (home / "adds_parts.py").write_text(dedent(MODULE))
    monkeypatch.syspath_prepend(home)
    monkeypatch.delitem(sys.modules, "adds_parts", raising=False)
    forget()
    yield home
    forget()


SIMULATED = 'models.default = {provider = "simulated", model = "m"}\n'


def config(text: str) -> RunConfig:
    return read_config(text + SIMULATED, "own.toml")


def test_without_packages_there_are_ours_only() -> None:
    forget()
    assert all(registry.plugins == {} for registry in registries())


def test_a_task_type(installed: Path) -> None:
    folder = installed.parent / "manuals"
    result = CliRunner().invoke(app, ["init", "--domain", str(folder), "--like", "facts"])
    assert result.exit_code == 0, result.output
    file = folder / "domain.toml"
    file.write_text(file.read_text("utf-8").replace('kind = "reference"', 'kind = "recalled"'), "utf-8")
    domain = find_domain(str(folder))
    assert type(domain.scorer).__module__ == "adds_parts"
    assert domain.scorer is domain.scorer
    before = fingerprint(config(f'domain = "{folder}"\n').resolved("p"))
    assert before["domain.code"].startswith("adds_parts:Recalled ")
    module = installed / "adds_parts.py"
    module.write_text(module.read_text("utf-8") + "\n# another rule\n", "utf-8")
    assert fingerprint(config(f'domain = "{folder}"\n').resolved("p"))["domain.code"] != before["domain.code"]


def test_a_policy_and_its_configuration(installed: Path) -> None:
    assert policy_of("strict").name == "strict"
    own = policy_of({"preset": "strict", "most": 3})
    assert isinstance(own, Settings)
    assert own.model_dump() == {"name": "strict", "most": 3}
    assert policy_of(own.model_dump(mode="json")) == own, "as a run folder keeps it"
    assert own.rule([Fraction(0)], [], Planned(1, 1)).decision
    with pytest.raises(ValueError, match=r"acceptance\.least"):
        policy_of({"preset": "strict", "least": 3})
    resolved = config('acceptance = "strict"\n').resolved("p")
    assert resolved["acceptance"] == {"name": "strict", "most": 1}
    assert fingerprint(resolved)["domain.code"].startswith("adds_parts:Strict ")
    assert "domain.code" not in fingerprint(config("").resolved("p"))


def test_a_loader(installed: Path, tmp_path: Path) -> None:
    for name in ("a.log", "b.log.gz", "c.rst"):
        write = gzip.compress if name.endswith("gz") else bytes
        (tmp_path / name).write_bytes(write(f"The mast {name}\nand its foot {name}".encode()))
    found = read_documents([tmp_path / name for name in ("a.log", "b.log.gz", "c.rst")])
    assert [one.name for one in found] == [
        *("a.log:1", "a.log:2", "b.log.gz:1", "b.log.gz:2"),
        "c.rst",  # ours is never replaced
    ]
    (tmp_path / "d.dat").touch()
    with pytest.raises(UserError, match=r"loader 'dat' .*: is no loader: it is neither a Loader nor a function"):
        read_documents([tmp_path / "d.dat"])


def test_an_exporter(installed: Path, tmp_path: Path) -> None:
    out = tmp_path / "ids.txt"
    assert EXPORTERS.find("ids", "--format")(data(rich(1), rich(2)), out) == 2
    assert out.read_text() == "e1\ne2\n"
    with pytest.raises(
        UserError, match=r"unknown format 'xml': use --format with one of jsonl, .*, challenger, gone, ids"
    ):
        EXPORTERS.find("xml", "--format")


def test_a_trace_exporter_gets_nothing_unless_it_is_named(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.delenv(name, raising=False)
    assert open_exporters(TracingConfig(), Redactor()) == []
    asked = TracingConfig(exporters=("mine", "mine"), texts=False)
    [opened] = open_exporters(asked, Redactor())
    assert (opened.name, vars(opened)) == ("mine", {"texts": False})
    assert traces(asked) == "the exporter mine (adds_parts:open_mine)"
    assert traces(TracingConfig()) == "nowhere"
    with pytest.raises(UserError, match=r"unknown trace exporter 'none': use tracing\.exporters with one of otel, "):
        open_exporters(TracingConfig(exporters=("none",)), Redactor())
    with pytest.raises(UserError, match=r"use tracing\.otel = true"):
        open_exporters(TracingConfig(exporters=("otel",)), Redactor())


@pytest.mark.parametrize("name", ["LANGCHAIN_TRACING", "LANGCHAIN_HANDLER"])
def test_a_variable_with_which_langchain_refuses_every_call_is_named_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "true")
    with pytest.raises(UserError, match=rf"unset {name} "):
        open_exporters(TracingConfig(), Redactor())
    monkeypatch.setenv(name, "false")
    open_exporters(TracingConfig(langsmith=False), Redactor())


def test_a_command(installed: Path) -> None:
    result = CliRunner().invoke(app, ["greet", "you"])
    assert (result.exit_code, result.output) == (0, "hello you\n")


def test_a_broken_command_is_named_and_spoils_no_other(installed: Path) -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert "Greet somebody." in shown.output
    assert "Cannot be used" in shown.output
    broken = CliRunner().invoke(app, ["torn"])
    assert isinstance(broken.exception, UserError)
    assert re.fullmatch(
        r"command 'torn' \(adds_no_such_module:torn, installed by adds\): cannot be used"
        r" \(ModuleNotFoundError: .*\): mend it, or uninstall it",
        str(broken.exception),
    )


def test_what_is_installed_is_listed_with_what_is_wrong(installed: Path) -> None:
    result = CliRunner().invoke(app, ["plugins", "--json"])
    assert result.exit_code == 1
    rows = {(row["group"], row["name"]): row for row in json.loads(result.output) if row["source"] == "adds"}
    assert {key: bool(row["problem"]) for key, row in rows.items()} == {
        ("autodata.task_types", "recalled"): False,
        ("autodata.task_types", "half"): True,
        ("autodata.policies", "strict"): False,
        ("autodata.policies", "paper"): True,
        ("autodata.policies", "other"): True,
        ("autodata.loaders", "log"): False,
        ("autodata.loaders", "rst"): True,
        ("autodata.loaders", "dat"): True,
        ("autodata.exporters", "ids"): False,
        ("autodata.exporters", "gone"): True,
        ("autodata.trace_exporters", "mine"): False,
        ("autodata.commands", "greet"): False,
        ("autodata.commands", "torn"): True,
    }
    assert "is no kind: it lacks candidate, " in rows["autodata.task_types", "half"]["problem"]
    assert "its field 'name' is 'strict', not 'other'" in rows["autodata.policies", "other"]["problem"]
    assert rows["autodata.policies", "paper"]["problem"].endswith(": one of the package has this name: it is left out")
    assert PRESETS["paper"] is PRESETS.shipped["paper"], "a package never replaces what ours is called"


def test_nothing_is_imported_before_it_is_used(installed: Path) -> None:
    assert "greet" in INSTALLED
    assert "mine" in [*TRACE_EXPORTERS]
    assert Domain(name="mine", kind="recalled").kind == "recalled"
    assert "adds_parts" not in sys.modules


def test_two_packages_of_one_name_are_both_refused(installed: Path) -> None:
    info = installed / "more-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[autodata.exporters]\nids = adds_parts:open_mine\n")
    forget()
    with pytest.raises(UserError, match=r"format 'ids' .*: (adds|more) adds one too: uninstall one of them"):
        EXPORTERS["ids"]


def test_a_registry_is_a_mapping() -> None:
    registry: Registry[int] = Registry("autodata.nothing_of_the_kind", "number", {"one": 1, "two": 2})
    assert dict(registry) == {"one": 1, "two": 2}
    assert len(registry) == 2
    assert registry.get("three") is None
    assert registry.spec("one") == ""
