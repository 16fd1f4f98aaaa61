"""What a ledger is kept by: the one Protocol that a file and a Postgres server both fill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from autodata.checkpoints.places import Place
from autodata.checkpoints.schema import Rows


class Engine(Protocol):
    """Where a ledger's rows are. `Ledger` calls it from threads of its own: every method may wait.

    Statements are written in the SQL that SQLite reads: `?` or `:name` for values, a column `rowid` that orders the
    rows of a table as they were first written. Every method raises RunFailed when disk or server fail, and UserError
    for what a person must see to.
    """

    readers: int
    """How many statements may be read at once."""
    alone: bool
    """Whether nobody else writes calls while a session does: what it knows of them then stays true."""

    lease: int | None
    """The lease of a worker that every transaction is written under; None, and always of a file, without one."""

    @property
    def place(self) -> Place:
        """Where the rows are."""

    @property
    def folder(self) -> Path:
        """The run's folder."""

    def open_reading(self) -> None:
        """Open what is there to be read. Raises UserError where there is no ledger, or one of another version."""

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a SELECT."""

    def close_reading(self) -> None:
        """Close what `open_reading` opened; also after it failed."""

    def open_writing(self) -> None:
        """Open the ledger to be written, made if need be. Raises UserError for one that cannot be used."""

    def hold(self, *, together: bool) -> None:
        """Hold the ledger for a session: alone, or with others that hold it `together`. Of a file its folder is held.

        Raises UserError where somebody holds it otherwise. It is held until `close_writing`.
        """

    def write(self, saves: Sequence[Rows]) -> Sequence[Exception | None]:
        """Write saves in one transaction, which is durable when this returns.

        Returns the fault of each, None where it was written: one that does not fit its tables costs no other. Written
        again, the same saves change nothing.
        """

    def close_writing(self) -> None:
        """Close what `open_writing` opened; also after it failed."""
