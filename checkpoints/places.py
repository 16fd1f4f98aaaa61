"""Where a run's ledger is: in a file of its folder, or in a schema of a Postgres database that machines share.

A folder whose ledger is at a server holds `ledger.toml` in place of `run.db`: the name of the run in the database, and
the name of the environment variable with the server's address. The address itself, which may hold a password, stands
in no file. Any machine may have such a folder of one run.
"""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path

from autodata.checkpoints.errors import DiskFailed, UserError

LEDGER = "run.db"
"""The ledger's file in a run folder."""

POINTER = "ledger.toml"
"""What stands in its place in the folder of a run whose ledger is at a server."""

SCHEMAS = "autodata_"
"""What the names of the schemas begin with that hold runs."""

_NAME = re.compile(r"[a-z0-9_]{1,40}")
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class Shared:
    """A ledger at a Postgres server, as the folder of its run names it."""

    folder: Path
    run: str
    """The run's name in the database: letters, digits and underscores, 40 at most."""
    dsn_env: str
    """The environment variable with the server's address."""

    @property
    def schema(self) -> str:
        """The schema that holds the run's tables."""
        return f"{SCHEMAS}{self.run}"

    @property
    def dsn(self) -> str:
        """The server's address. Raises UserError where its variable is not set."""
        return address_in(self.dsn_env)

    def __str__(self) -> str:
        """Return what people are shown: never the address."""
        return f"{self.folder / POINTER} (run {self.run} at the server of {self.dsn_env})"


Place = Path | Shared
"""A ledger's file, or its run at a server."""


def address_in(variable: str) -> str:
    """Return the address that an environment variable holds. Raises UserError where it is not set."""
    if not (dsn := os.environ.get(variable)):
        raise UserError(
            f"the environment variable {variable} is not set:"
            f" export {variable}=postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
    return dsn


def place_of(folder: Path) -> Place | None:
    """Return where the ledger of a run folder is, None where the folder has none. Raises UserError as `Shared`."""
    pointer = folder / POINTER
    if pointer.is_file():
        return _read(pointer)
    return folder / LEDGER if (folder / LEDGER).is_file() else None


def has_ledger(folder: Path) -> bool:
    """Whether a folder is a run's."""
    return (folder / POINTER).is_file() or (folder / LEDGER).is_file()


def ledger_place(run: Path) -> Place:
    """Return where the ledger of a run folder is. Raises UserError for a folder that is none, else as `place_of`."""
    place = place_of(run)
    if place is None:
        what = f"holds no {LEDGER}" if run.is_dir() else "no such folder"
        raise UserError(f"{run}: {what}: name a folder that 'autodata run --out' made")
    return place


def begin_shared(folder: Path, dsn_env: str, run: str = "") -> Shared:
    """Say in a folder, which is there, that its ledger is at a server; an empty `run` gets a name of its own.

    Raises UserError for a folder whose ledger is in a file or in another run, DiskFailed where nothing can be written.
    """
    known = place_of(folder)
    made = Shared(folder, run or _new_name(folder), dsn_env)
    if isinstance(known, Path):
        raise UserError(f"{folder} keeps its ledger in {LEDGER}: use another --out, or leave ledger.store out")
    if known is not None:
        if run and known.run != run:
            raise UserError(f"{folder} is of run {known.run}, not {run}: use another folder")
        return known
    _require(made, folder / POINTER)
    part = folder / f"{POINTER}.{os.getpid()}.part"
    try:
        part.write_text(f'run = "{made.run}"\ndsn_env = "{made.dsn_env}"\n', "utf-8")
        part.replace(folder / POINTER)
    except OSError as error:
        raise DiskFailed(f"{folder / POINTER}: {error.strerror}: make room and make the folder writable") from error
    return made


def _new_name(folder: Path) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", folder.absolute().name.lower()).strip("_")[:30] or "run"
    return f"{plain}_{secrets.token_hex(4)}"


def _read(pointer: Path) -> Shared:
    try:
        values = tomllib.loads(pointer.read_text("utf-8-sig"))
        shared = Shared(pointer.parent, str(values["run"]), str(values["dsn_env"]))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f'{pointer}: cannot be read ({error}): it holds run = "NAME" and dsn_env = "VARIABLE"'
        ) from error
    _require(shared, pointer)
    return shared


def _require(shared: Shared, where: Path) -> None:
    if not _NAME.fullmatch(shared.run):
        raise UserError(f"{where}: {shared.run!r} is no run's name: lower-case letters, digits and _, 40 at most")
    if not _VARIABLE.fullmatch(shared.dsn_env):
        raise UserError(f"{where}: dsn_env is the name of an environment variable, never the address itself")
