"""How a run stands while another process works on it, from its folder alone: nothing is locked, nothing is written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.chosen import accepted_keys
from autodata.checkpoints.queries.standing import (
    calls_by_model,
    documents_in_work,
    ended_since,
    statuses_of,
    used_since,
)
from autodata.checkpoints.queries.usage import usage_of_all
from autodata.checkpoints.usage import Usage
from autodata.jobs.standing import ENDED, STAGES, EndpointStanding, Standing
from autodata.prompts.roles import ROLE


@dataclass(frozen=True)
class Worker:
    """The process that works, or worked last, in a folder."""

    pid: int | None
    since: float
    """When it began, in seconds since 1970."""

    @property
    def alive(self) -> bool:
        """Whether a process of this number is there."""
        if self.pid is None:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # another person's
            return True
        return True


def worker_of(folder: Path) -> Worker:
    """Return who works in a folder, by its lock file, which is only read."""
    path = folder / "lock"
    try:
        text, since = path.read_text("utf-8", "replace").strip(), path.stat().st_mtime
    except OSError:
        return Worker(None, 0.0)
    return Worker(int(text) if text.isdecimal() else None, since)


async def standing_of(ledger: Reader, worker: Worker, now: float, target: int | None = None) -> Standing:
    """Return how a run stands at a moment, in seconds since 1970.

    Pace, time and money to come are those of the present session. Where a document is follows from its last reply.
    """
    moment = datetime.fromtimestamp(worker.since, UTC).isoformat(timespec="milliseconds")
    statuses, ended = await statuses_of(ledger), await ended_since(ledger, moment)
    funnel = dict.fromkeys(STAGES, 0) | {name: statuses.get(name, 0) for name in ENDED}
    funnel["review"] = statuses.get("waiting", 0)
    working = await documents_in_work(ledger) if worker.alive else []
    for row in working:
        funnel[_stage(row)] += 1
    funnel["waiting"] = statuses.get("pending", 0) - len(working)
    return Standing(
        funnel,
        max(0.0, now - worker.since),
        ended=sum(ended.values()),
        made=ended.get("accepted", 0),
        used=Usage.of_row(await used_since(ledger, moment)),
        spent=Usage.of_row(await usage_of_all(ledger)),
        target=target,
        **(await _repeated(ledger, moment, statuses.get("accepted", 0), ended.get("accepted", 0)) if target else {}),
        endpoints=tuple(
            EndpointStanding(row["model"], row["in_flight"], 0, row["errors"], row["last_error"] or "")
            for row in (await calls_by_model(ledger, moment) if worker.alive else [])
        ),
    )


async def _repeated(ledger: Reader, moment: str, accepted: int, made: int) -> dict[str, int]:
    """Return how many of the examples accepted, and made since a moment, repeat another one."""
    found = await accepted_keys(ledger)
    new = found - await accepted_keys(ledger, moment=moment)
    return {"repeated": accepted - len(found), "repeated_made": made - len(new)}


def _stage(row: dict[str, Any]) -> str:
    if row["outcome"] not in {None, "open"}:
        return "challenge"  # its latest round is closed, and another one begins
    role, node, index = (row["latest"] or "  ").split(" ", 2)
    if node == "confirm":
        return "confirm"
    if node in {"audit", "accept"}:  # the last check before an example counts
        return "strong"
    if "verifier" in {role, node}:
        return "strong" if index.startswith("strong") else "weak"
    return ROLE[role].answered if role in ROLE else "challenge"
