"""Vectors of texts, kept beside a run's ledger: each is paid for once.

They stand in a file of their own, so that a run can go on while its examples are analysed. A vector goes by the model
that made it and the text's hash; a request's vectors are on the disk before any is used.
"""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from sys import byteorder

from autodata.checkpoints.errors import DiskFailed, UserError
from autodata.checkpoints.ledger import run_lock

NAME = "embeddings.db"
LOCK = "embeddings.lock"
"""Held while vectors are added."""
MOST_CHARS = 1_500
"""Characters of a text that a vector is made from: what models of short texts take, too."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
  model TEXT NOT NULL, text_hash TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (model, text_hash)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
  id INTEGER PRIMARY KEY, model TEXT NOT NULL, name TEXT NOT NULL, texts INTEGER NOT NULL, tokens INTEGER,
  charged INTEGER NOT NULL, cost_usd REAL
);
"""


@dataclass(frozen=True)
class Spent:
    """What all requests for vectors of a run took. `tokens` is None where an endpoint did not count."""

    requests: int = 0
    texts: int = 0
    tokens: int | None = None
    charged: int = 0
    """Tokens as they count under a budget: what was not counted is the most it can have been."""
    usd: float | None = None


def embedded_text(text: str) -> str:
    """Return what is sent of a text: its beginning, with single spaces."""
    return " ".join(text.split())[:MOST_CHARS]


def hash_of(text: str) -> str:
    """Return what a text goes by: the SHA-256 of what is sent of it."""
    return hashlib.sha256(embedded_text(text).encode(errors="replace")).hexdigest()


def to_bytes(vector: Sequence[float]) -> bytes:
    """Return a vector as little-endian float32."""
    found = array("f", vector)
    if byteorder == "big":
        found.byteswap()
    return found.tobytes()


class VectorFile:
    """The vectors of one run folder. Open it with `vector_file`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def found(self, model: str, texts: Sequence[str]) -> dict[str, bytes]:
        """Return the kept vectors of a model for these texts, by `hash_of`."""
        kept = dict(self._db.execute("SELECT text_hash, vector FROM vectors WHERE model = ?", (model,)))
        return {one: kept[one] for one in map(hash_of, texts) if one in kept}

    def keep(
        self,
        model: str,
        name: str,
        vectors: Mapping[str, Sequence[float]],
        *,
        tokens: int | None,
        charged: int,
        usd: float | None,
    ) -> None:
        """Keep the vectors of one request, by `hash_of`, with what it took. Raises DiskFailed."""
        try:
            with self._db:
                self._db.execute(
                    "INSERT INTO requests (model, name, texts, tokens, charged, cost_usd) VALUES (?, ?, ?, ?, ?, ?)",
                    (model, name, len(vectors), tokens, charged, usd),
                )
                self._db.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
                    [(model, text, to_bytes(vector)) for text, vector in vectors.items()],
                )
        except sqlite3.OperationalError as error:
            raise DiskFailed(f"{NAME}: vectors cannot be kept: {error}") from error

    def spent(self) -> Spent:
        """Return what all requests took."""
        row = self._db.execute("SELECT count(*), sum(texts), sum(tokens), sum(charged), sum(cost_usd) FROM requests")
        requests, texts, tokens, charged, usd = row.fetchone()
        return Spent(requests, texts or 0, tokens, charged or 0, usd)

    def models(self) -> list[tuple[str, str]]:
        """Return (model, name) of all models that vectors are from, the latest asked first."""
        rows = self._db.execute("SELECT model, name FROM requests GROUP BY model ORDER BY max(id) DESC")
        return [(model, name) for model, name in rows]


@contextmanager
def vector_file(folder: Path) -> Iterator[VectorFile]:
    """Open a run folder's vectors to add some, alone: two at once would pay for the same texts.

    Raises UserError where the file cannot be made or is none, or another process adds to it.
    """
    path = folder / NAME
    try:
        with closing(sqlite3.connect(path, timeout=30)) as database, run_lock(folder, LOCK):
            database.executescript(_SCHEMA)
            yield VectorFile(database)
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path}: {error}: vectors cannot be kept there") from error


def kept_vectors(folder: Path, texts: Sequence[str]) -> tuple[str, dict[str, bytes]] | None:
    """Return (name of the model, vectors by the text): those of the latest model that has vectors of all these texts.

    None where there is no such model, or no file, or it cannot be read. Nothing is written.
    """
    path = folder / NAME
    if not texts or not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as database:
            kept = VectorFile(database)
            for model, name in kept.models():
                found = kept.found(model, texts)
                if all(hash_of(text) in found for text in texts):
                    return name, {text: found[hash_of(text)] for text in texts}
    except sqlite3.DatabaseError:
        return None
    return None
