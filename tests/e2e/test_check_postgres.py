"""`autodata check` of a run whose ledger is at a Postgres server: what is found in a file is found there and mended."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.places import Shared, ledger_place
from autodata.jobs.check import Checked, check_run
from autodata.jobs.check_problems import KINDS, Repair
from autodata.runner.run_folder import open_ledger
from tests.graph.test_check import DOCUMENTS, SPOILT, Changed, Spoilt, config, half_written
from tests.graph.test_runner import settings
from tests.support.commands import invoke
from tests.support.postgres import Server, postgres
from tests.support.runs import read_tables, run_session

VARIABLE = "AUTODATA_POSTGRES_DSN"
VALUES = settings("cs", max_rounds=4, ledger={"store": "postgres"})
MADE = "made"
numbers = itertools.count()


@dataclass(frozen=True)
class AtServer:
    """A run's folder, and the database that holds all of it."""

    folder: Path
    dsn: str

    def change(self, *statements: str) -> None:
        """Change rows behind Autodata's back, foreign keys or not."""
        place = ledger_place(self.folder)
        assert isinstance(place, Shared)
        with psycopg.connect(self.dsn) as db:
            db.execute("SET session_replication_role = replica")
            db.execute(f'SET search_path = "{place.schema}", public'.encode())
            for statement in statements:
                assert db.execute(statement.encode()).rowcount, statement


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as running:
        yield running


@pytest.fixture(scope="module")
def made(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AtServer:
    one = AtServer(tmp_path_factory.mktemp("made") / "run", server.database(MADE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, one.dsn)
        asyncio.run(run_session(one.folder, VALUES, DOCUMENTS))
    return one


@pytest.fixture
def run(server: Server, made: AtServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AtServer:
    """A copy of the run, its database included."""
    name = f"copy_{next(numbers)}"
    with psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name} TEMPLATE {MADE}".encode())
    dsn = server.dsn.replace("/postgres?", f"/{name}?")
    monkeypatch.setenv(VARIABLE, dsn)
    return AtServer(Path(shutil.copytree(made.folder, tmp_path / "run")), dsn)


def at_server(spoilt: Spoilt) -> Callable[[AtServer], None] | None:
    """Return what spoils a run at a server in the same way, None where there is nothing of the kind there."""
    if not isinstance(spoilt.how, Changed):
        return None
    if spoilt.how.file == "run.db":
        statements = spoilt.how.statements
    else:
        statements = {
            "unreadable_checkpoint": ("UPDATE checkpoint_blobs SET blob = '\\xc1', type = 'msgpack'",),
            "orphan_checkpoint": ("UPDATE checkpoints SET thread_id = split_part(thread_id, '/', 1) || '/main/gone'",),
        }[spoilt.kind]
    return lambda run: run.change(*statements)


AT_SERVER = [(one, how) for one in SPOILT if (how := at_server(one))]
IN_FOLDER = [
    Spoilt("missing_file", lambda run: (run / "config.toml").unlink()),
    Spoilt("leftover_file", half_written, Repair.DELETE),
    Spoilt("other_configuration", config("max_rounds = 4", "max_rounds = 3")),
]
FILES_ALONE = {"damaged_file"}
"""What is wrong with a database's own file is the server's to find."""
ALL = [*AT_SERVER, *((one, lambda run, how=one.how: how(run.folder)) for one in IN_FOLDER)]


def named(pair: object) -> str:
    return f"{pair.kind} {pair.repair}" if isinstance(pair, Spoilt) else ""


def checked(run: AtServer, *, repair: bool = False) -> Checked:
    return asyncio.run(check_run(run.folder, repair=repair))


def test_a_whole_run_is_sound(run: AtServer) -> None:
    before = read_tables(run.folder)
    result = invoke("check", run.folder, "--repair")
    assert (result.exit_code, "nothing is wrong" in result.stdout) == (0, True)
    looked = checked(run).looked
    assert min(vars(looked).values()) > 0, looked
    assert read_tables(run.folder) == before


@pytest.mark.parametrize(("spoilt", "how"), ALL, ids=named)
def test_what_is_wrong_at_the_server_is_found_and_named(
    spoilt: Spoilt, how: Callable[[AtServer], None], run: AtServer
) -> None:
    how(run)
    found = checked(run)
    kinds = {problem.kind for problem in found.problems}
    assert spoilt.kind in kinds
    assert not spoilt.alone or kinds == {spoilt.kind}
    assert {problem.repair for problem in found.problems if problem.kind == spoilt.kind} == {spoilt.repair}


@pytest.mark.parametrize(("spoilt", "how"), [pair for pair in ALL if pair[0].repair], ids=named)
def test_what_is_mended_at_the_server_is_as_it_was(
    spoilt: Spoilt, how: Callable[[AtServer], None], made: AtServer, run: AtServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    how(run)
    mended = checked(run, repair=True)
    assert mended.sound, [problem for problem in mended.problems if not problem.repaired]
    asyncio.run(run_session(run.folder, VALUES, DOCUMENTS))
    assert checked(run).problems == []
    tables = read_tables(run.folder)
    monkeypatch.setenv(VARIABLE, made.dsn)
    assert tables == read_tables(made.folder)


async def test_a_run_that_another_machine_works_on_is_refused(run: AtServer, tmp_path: Path) -> None:
    other = Path(await asyncio.to_thread(shutil.copytree, run.folder, tmp_path / "elsewhere"))
    async with open_ledger(other):
        with pytest.raises(UserError, match=f"cannot work on its run: .*{other} does"):
            await check_run(run.folder, repair=True)
    assert (await check_run(run.folder)).problems == []


def test_every_kind_of_problem_is_tried_at_the_server() -> None:
    assert {one.kind for one, _ in ALL} | FILES_ALONE | {"wrong_total"} == set(KINDS)
