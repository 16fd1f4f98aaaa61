"""The tables of the ledger: their columns, keys and defaults, and how a row's values are written into them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autodata.checkpoints.ids import canonical_json

if TYPE_CHECKING:
    from sqlite_utils import Database

SCHEMA = Path(__file__).with_name("schema.sql")
"""The tables of `TABLES` as SQL, which `make golden` writes: a run is begun without the library that wrote it."""

SCHEMA_VERSION = "7"
"""Kept in table `meta` under `schema_version`. A file of a version in `MIGRATIONS` is brought up to it, any other is
refused."""

Rows = dict[str, list[dict[str, Any]]]
"""Table -> rows, encoded."""


@dataclass(frozen=True)
class Table:
    """One table of the ledger. Columns neither in `required` nor in `defaults` may be null."""

    columns: Mapping[str, type]
    pk: tuple[str, ...]
    required: frozenset[str] = frozenset()
    """Columns that a new row must bring; a row without them can only change one that exists."""
    defaults: Mapping[str, str | int] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)
    """Column -> the table whose primary key, a column of the same name, it refers to."""
    indexes: tuple[tuple[str, ...], ...] = ()
    """What is found by, besides the primary key. Each serves a query or a foreign key."""
    by_key: bool = False
    """Whether a file keeps its rows in the order of the primary key and has no `rowid`: small rows under a long key."""

    def key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the primary key of a row."""
        return tuple(row[column] for column in self.pk)

    def missing(self, row: Mapping[str, Any]) -> list[str]:
        """Return the columns that a row lacks to be a new one, in the table's order."""
        return [column for column in self.columns if column in self.required and column not in row]


def _columns(text: str = "", integer: str = "", real: str = "") -> dict[str, type]:
    return {name: kind for kind, names in ((str, text), (int, integer), (float, real)) for name in names.split()}


_MEANS = "weak_mean strong_mean gap"
_ADDED_UP = (
    *("role", "model", "tokens_in", "tokens_out", "tokens_cached", "tokens_reasoning", "cost_usd"),
    *("charged_in", "charged_out", "charged_usd"),
)

TABLES: dict[str, Table] = {
    "meta": Table(_columns("key value"), pk=("key",), required=frozenset({"value"})),
    "documents": Table(
        # The text stands last: SQLite reads a row from its beginning up to the last column that is asked for.
        # `source` is what a document is known by when its text has changed, `replaced_by` the newer one's id then.
        _columns("document_id name title status status_reason note extract", "chars rounds epoch settled")
        | _columns("source replaced_by")
        | _columns("text"),
        pk=("document_id",),
        required=frozenset({"name"}),
        defaults={"title": "", "text": "", "status": "pending", "status_reason": "", "note": ""}
        | {"source": "", "replaced_by": ""}
        # `settled` is 1 once nothing is left to do: the end is recorded, the thread finished, its checkpoints thinned.
        | {"chars": 0, "rounds": 0, "epoch": 0, "settled": 0},
        indexes=(("status",),),
    ),
    "candidates": Table(
        _columns("candidate_id kind question context reference_answer candidate"),
        pk=("candidate_id",),
        required=frozenset({"question", "reference_answer", "candidate"}),
        defaults={"kind": "", "context": ""},
    ),
    "rounds": Table(
        _columns(
            "round_id document_id thread_id candidate_id passage outcome failure_mode reason feedback quality"
            " judgement packet screen prompt_version lessons",
            "n",
            _MEANS,
        ),
        pk=("round_id",),
        required=frozenset({"document_id", "thread_id", "n"}),
        # `lessons` are the versions that its challenger was shown, apart by spaces: empty without any.
        defaults={"passage": "", "outcome": "open", "reason": "", "feedback": "", "prompt_version": "", "lessons": ""},
        foreign={"document_id": "documents", "candidate_id": "candidates"},
        indexes=(("document_id", "n"), ("thread_id",), ("candidate_id",)),
    ),
    "attempts": Table(
        _columns(
            "attempt_id round_id candidate_id stage answer score decided_by model mode",
            "idx chars truncated answered",
            "score_value",
        ),
        pk=("attempt_id",),
        required=frozenset({"round_id", "candidate_id", "stage", "idx", "answer"}),
        defaults={"model": "", "mode": "{}", "chars": 0, "truncated": 0, "answered": 1},
        foreign={"round_id": "rounds"},
        indexes=(("round_id",),),
    ),
    "marks": Table(
        _columns("attempt_id text reason", "criterion weight met"),
        pk=("attempt_id", "criterion"),
        required=frozenset({"text", "weight", "met"}),
        defaults={"reason": ""},
        foreign={"attempt_id": "attempts"},
        by_key=True,
    ),
    "verdicts": Table(
        _columns("round_id stage preset decision failure_mode checks summary", "planned made", _MEANS),
        pk=("round_id", "stage"),
        required=frozenset({"preset", "decision"}),
        defaults={"checks": "[]", "summary": "", "planned": 0, "made": 0},
        foreign={"round_id": "rounds"},
    ),
    "calls": Table(
        _columns(
            "key document_id thread_id role node idx model params messages_hash prompt_version response finish_reason"
            " created_at",
            "n try epoch tokens_in tokens_out tokens_cached tokens_reasoning charged_in charged_out",
            "latency_s cost_usd charged_usd",
        ),
        # `charged_*` is what a call counts for under a budget: what its endpoint reported, or else the most it can have
        # been. `charged_usd` is null where the role had no price. `tokens_*` are what its endpoint reported, null where
        # it did not: `tokens_cached` of the prompt's, `tokens_reasoning` of the reply's.
        pk=("key",),
        required=frozenset({"role", "model", "response", "created_at"}),
        defaults={"thread_id": "", "params": "{}", "messages_hash": "", "prompt_version": "", "finish_reason": ""}
        | {"n": 0, "node": "", "idx": "0", "try": 0, "epoch": 0, "latency_s": 0},
        # The last holds all that a summary and a budget add up, so that no reply has to be read for it.
        indexes=(("document_id",), ("thread_id",), _ADDED_UP),
    ),
    # Requests without a reply, which their endpoint may bill all the same: the most each can have taken. `cause` is
    # `timeout`, `unreadable` where what came was no chat completion, or `cancelled` where their work was called off.
    "timeouts": Table(
        _columns(
            "timeout_id call_key document_id thread_id role model cause created_at",
            "charged_in charged_out",
            "charged_usd",
        ),
        pk=("timeout_id",),
        required=frozenset({"role", "model", "created_at"}),
        defaults={"call_key": "", "document_id": "", "thread_id": "", "cause": "timeout"}
        | {"charged_in": 0, "charged_out": 0},
    ),
    "examples": Table(
        # `question_key` is the hash by which a repeated question is known, `tied` whether it holds a number of its
        # document: both found when the example is written, null in examples of earlier versions.
        _columns("example_id document_id round_id example", "rounds", _MEANS) | _columns("question_key", "tied"),
        pk=("example_id",),
        required=frozenset({"document_id", "round_id", "example", "rounds"}),
        foreign={"document_id": "documents", "round_id": "rounds"},
        indexes=(("document_id",), ("round_id",)),
    ),
    # What people were asked of candidates, and what they said: `decision` is null until they have.
    "labels": Table(
        _columns(
            "label_id document_id thread_id round_id candidate_id verdict why decision reason edited edited_id reviewer"
            " created_at",
            "n",
        ),
        pk=("label_id",),
        required=frozenset({"document_id", "thread_id", "round_id", "candidate_id", "verdict", "n"}),
        defaults={"why": "", "reason": "", "reviewer": "", "created_at": ""},
        foreign={"document_id": "documents", "round_id": "rounds"},
        indexes=(("document_id",), ("round_id",)),
    ),
    # Documents taken back to one of their rounds and sent on with something changed, each in a folder of its own.
    "forks": Table(
        _columns("fork document_id thread_id round_id folder changed change created_at", "n"),
        pk=("fork",),
        required=frozenset({"document_id", "thread_id", "n", "changed"}),
        defaults={"folder": "", "change": "", "created_at": ""},
        foreign={"document_id": "documents"},
        indexes=(("document_id",),),
    ),
    # The outer loop's: which documents went through the loop together, and what they taught. Each edit of a lesson is a
    # row of its own.
    "batches": Table(
        _columns("documents lessons steer state figures note created_at", "batch"),
        pk=("batch",),
        required=frozenset({"documents"}),
        defaults={"lessons": "[]", "steer": "{}", "state": "open", "figures": "{}", "note": "", "created_at": ""},
    ),
    "lessons": Table(
        _columns("lesson_id text evidence figures author created_at", "version batch active"),
        pk=("lesson_id", "version"),
        required=frozenset({"text", "batch"}),
        defaults={"evidence": "[]", "figures": "{}", "author": "analyst", "created_at": "", "active": 1},
    ),
    "failures": Table(
        _columns("failure_id document_id thread_id kind message created_at", "epoch"),
        pk=("failure_id",),
        required=frozenset({"document_id", "kind", "message", "created_at"}),
        defaults={"epoch": 0, "thread_id": ""},
        foreign={"document_id": "documents"},
        indexes=(("document_id",),),
    ),
    # The optimiser's: which documents are for what, where each stands in each evaluation, and the search itself.
    "splits": Table(
        _columns("document_id split", "position"),
        pk=("document_id",),
        required=frozenset({"split", "position"}),
        foreign={"document_id": "documents"},
    ),
    "trials": Table(
        _columns("evaluation document_id status status_reason extract", "position rounds epoch settled calls"),
        pk=("evaluation", "document_id"),
        defaults={"status": "pending", "status_reason": ""}
        | {"position": 0, "rounds": 0, "epoch": 0, "settled": 0, "calls": 0},
        foreign={"document_id": "documents"},
        indexes=(("document_id",),),
    ),
    "packs": Table(
        _columns("pack parent state diff texts summary created_at", "iteration"),
        pk=("pack",),
        required=frozenset({"state", "diff", "iteration"}),
        defaults={"summary": "", "created_at": ""},
    ),
    "evaluations": Table(
        _columns("evaluation pack split state created_at", "block documents passed errored calls iteration", "score"),
        pk=("evaluation",),
        required=frozenset({"pack", "split", "block"}),
        defaults={"state": "open", "created_at": ""}
        | {"iteration": 0, "documents": 0, "passed": 0, "errored": 0, "calls": 0},
        foreign={"pack": "packs"},
        indexes=(("pack", "split"),),
    ),
    "iterations": Table(
        _columns(
            "parent probabilities minibatch history analysis edits mutant leader confirmed outcome reason summary"
            " created_at ended_at",
            "iteration lane sampled block record led",
            "draw parent_score mutant_score",
        ),
        pk=("iteration",),
        required=frozenset({"lane", "parent", "probabilities"}),
        defaults={"outcome": "open", "reason": "", "summary": "", "minibatch": "[]", "history": "[]", "edits": "[]"}
        | {"sampled": 1, "block": 0, "record": 0, "created_at": ""},
        indexes=(("parent",),),
    ),
    # The run tree, from document to call. Its rows point at others by key, never by a foreign key: they may come first.
    "spans": Table(
        _columns(
            "span_id parent_id thread_id document_id kind name role idx model call_key status outcome error started"
            " ended",
            "n try epoch requests replayed tokens_in tokens_out",
            "cost_usd",
        ),
        pk=("span_id",),
        required=frozenset({"thread_id", "kind", "name", "started"}),
        defaults={"document_id": "", "role": "", "idx": "", "model": "", "status": "open", "outcome": "", "error": ""}
        | {"n": 0, "try": 0, "epoch": 0, "requests": 0, "replayed": 0},
        indexes=(("thread_id",),),
    ),
}
"""Every table, those that others refer to first.

JSON texts are in the columns `extract`, `candidate`, `quality`, `judgement`, `packet`, `screen`, `mode`, `checks`,
`params`, `example`, `edited`, `probabilities`, `minibatch`, `history`, `confirmed`, `texts`, `analysis` and `edits`,
in table `batches` also `documents`, `lessons`, `steer` and `figures`, in table `lessons` `evidence` and `figures`.
`score` of an attempt is an exact fraction as text ("5/8") and `score_value` the same as a number.
"""


def encode(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> Rows:
    """Return rows as they are stored, tables in the order in which their foreign keys allow them to be written.

    Mappings and sequences become JSON, booleans 0 or 1, fractions a text or a number as the column is. `score_value` is
    filled in from `score`, and `chars` of a document from its text. Raises ValueError for an unknown table or column or
    a missing primary key, TypeError for a value that no column can hold.
    """
    if unknown := tables.keys() - TABLES.keys():
        raise ValueError(f"the ledger has no table {', '.join(sorted(unknown))}")
    return {name: [_encode_row(name, row) for row in tables[name]] for name in TABLES if tables.get(name)}


def _encode_row(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    table = TABLES[name]
    if unknown := row.keys() - table.columns.keys():
        raise ValueError(f"table {name} has no column {', '.join(sorted(unknown))}")
    if any(row.get(column) is None for column in table.pk):
        raise ValueError(f"a row of table {name} lacks its primary key {', '.join(table.pk)}")
    encoded = {column: _encode_value(value, table.columns[column]) for column, value in row.items()}
    if name == "documents" and isinstance(text := encoded.get("text"), str):
        encoded.setdefault("chars", len(text))  # so that nobody reads a text to learn whether there is one
    if "score" in encoded and "score_value" in table.columns:
        score = encoded["score"]
        encoded["score_value"] = None if score is None else float(Fraction(score))
    return encoded


def _encode_value(value: object, kind: type) -> str | int | float | None:
    # The frequent ones first: whether a value is a Fraction or a Mapping takes long to find out.
    if isinstance(value, str):
        # A reply may hold half of a surrogate pair, which UTF-8 cannot: it must not cost the whole row.
        return value.encode(errors="replace").decode()
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Fraction):
        return str(value) if kind is str else float(value)
    if isinstance(value, Mapping | list | tuple):
        return canonical_json(value).encode(errors="replace").decode()
    raise TypeError(f"the ledger cannot hold a {type(value).__name__}")


def create_tables(db: sqlite3.Connection) -> None:
    """Create every table of the ledger in an empty database and note the schema version. Nothing is committed."""
    for statement in SCHEMA.read_text("utf-8").split(";\n"):
        if statement.strip():
            db.execute(statement)
    db.execute("INSERT INTO meta (key, value) VALUES ('schema_version', ?)", [SCHEMA_VERSION])


def schema_sql() -> str:
    """Return what `schema.sql` must hold: the statements with which sqlite-utils creates `TABLES`."""
    from sqlite_utils import Database  # noqa: PLC0415 - it takes a while to import, and no run needs it for this

    with closing(sqlite3.connect(":memory:")) as connection:
        db = Database(connection, execute_plugins=False)
        for name in TABLES:
            create_table(db, name)
        made = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
    return "".join(f"{statement};\n" for (statement,) in made)


def create_table(db: Database, name: str) -> None:
    """Create one table with its indexes. Nothing is committed."""
    table = TABLES[name]
    db.create_table(
        name,
        dict(table.columns),
        pk=table.pk,
        not_null={*table.pk, *table.required, *table.defaults},
        defaults=dict(table.defaults),
        foreign_keys=[(column, other, column) for column, other in table.foreign.items()],
        column_order=list(table.pk),
        strict=True,
    )
    created_as = db.table(name).schema
    if table.by_key:  # sqlite-utils makes none such: its statement is run again with what lacks
        db.execute(f"DROP TABLE [{name}]")
        db.execute(f"{created_as}, WITHOUT ROWID")
    for columns in table.indexes:
        db.table(name).create_index(columns)
