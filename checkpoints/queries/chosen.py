"""Which accepted examples count: those that ask what no earlier one asks, up to the target of the latest session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autodata.checkpoints.asked import asked_key
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.meta import TARGET, meta_value

_ASKED = """
SELECT e.example_id, json_extract(e.example, '$.candidate.question') AS question,
    json_extract(e.example, '$.candidate.context') AS context
FROM examples e JOIN documents d USING (document_id) WHERE d.status != 'dropped' {0} ORDER BY e.rowid
"""
_EARLIER = "AND (SELECT max(created_at) FROM calls c WHERE c.document_id = e.document_id) < ?"


@dataclass(frozen=True)
class Chosen:
    """What the accepted examples of a run are to it, by their ids. Those in neither set are the ones that count."""

    target: int | None = None
    """How many distinct examples the latest session wanted; None where it wanted all."""
    repeated: frozenset[str] = field(default_factory=frozenset)
    """Those that ask what an earlier accepted one asks, over the same context."""
    surplus: frozenset[str] = field(default_factory=frozenset)
    """Those beyond the target, and their repeats."""

    @property
    def beyond(self) -> int:
        """How many distinct examples are beyond the target."""
        return len(self.surplus - self.repeated)

    def holds(self, example_id: str, *, repeats: bool = False, surplus: bool = False) -> bool:
        """Whether an export holds an example; `repeats` and `surplus` keep what is left out by itself."""
        return (repeats or example_id not in self.repeated) and (surplus or example_id not in self.surplus)

    def results(self, example_id: str) -> bool:
        """Whether an example is a result of the run: with a target the first distinct ones, without one every one."""
        return self.holds(example_id, repeats=self.target is None)


async def read_target(ledger: Reader) -> int | None:
    """Return the target of the latest session, None where it had none."""
    return int(await meta_value(ledger, TARGET) or 0) or None


async def read_chosen(ledger: Reader) -> Chosen:
    """Return which of the accepted examples count."""
    return choose(await ledger.read(_ASKED.format("")), await read_target(ledger))


async def accepted_keys(ledger: Reader, moment: str = "") -> set[str]:
    """Return `asked_key` of every accepted example that was not dropped.

    With `moment`, in ISO 8601, only of those whose document has had no call since.
    """
    rows = await ledger.read(_ASKED.format(_EARLIER if moment else ""), (moment,) if moment else ())
    return {asked_key(row["question"] or "", row["context"] or "") for row in rows}


def choose(rows: Iterable[Mapping[str, Any]], target: int | None) -> Chosen:
    """Return which examples count, of rows (example_id, question, context) in the order of acceptance."""
    place: dict[str, int] = {}
    repeated, surplus = set(), set()
    for row in rows:
        key = asked_key(row["question"] or "", row["context"] or "")
        if key in place:
            repeated.add(row["example_id"])
        before = place.setdefault(key, len(place))
        if target is not None and before >= target:
            surplus.add(row["example_id"])
    return Chosen(target, frozenset(repeated), frozenset(surplus))
