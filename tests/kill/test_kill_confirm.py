"""A run that is killed while its candidates are confirmed pays again only for fresh attempts in flight."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.kill.test_kill import campaign, check, killed_often, undisturbed
from tests.kill.test_kill_workers import (
    EASY,
    Reference,
    ended,
    examples_of,
    in_flight_at,
    results_of,
    site,
    stop,
)
from tests.kill.test_kill_workers import check as check_workers
from tests.support.runs import read_only

DOCUMENTS = 12
KILLS = 12
CONFIRM: dict[str, Any] = {"attempts": 3, "require": True}


async def test_kills_while_candidates_are_confirmed(tmp_path: Path) -> None:
    confirming = partial(campaign, splits={"": DOCUMENTS}, acceptance=EASY, confirm=CONFIRM)
    reference = await undisturbed(confirming, tmp_path / "reference")
    fresh = frozenset(call for call, (_, _, node) in reference.steps.items() if node == "confirm")
    assert fresh
    # A kill follows a request's arrival or reply, or the reply to a fresh attempt or to its judge.
    of_fresh = replace(reference, last_calls=fresh)
    done = await killed_often(of_fresh, tmp_path / "killed", 1, confirming, KILLS)
    lost = Counter[str]()
    for one in done:
        check(one, reference)
        for life in one.lives:
            in_flight = Counter(one.server.asked[life.name]) - (life.after - life.before)
            lost.update({reference.steps[call][2]: count for call, count in in_flight.items()})
        with read_only(one.run) as read:
            whole_ones(read("SELECT example FROM examples"))
    assert sum(life.killed for one in done for life in one.lives) >= KILLS
    assert lost["confirm"] > 0, "no kill met a fresh attempt in flight"


async def test_a_worker_that_is_killed_while_it_confirms(tmp_path: Path) -> None:
    """Another worker takes its documents, asks for no fresh attempt that is in the journal, and the target holds."""
    async with site(tmp_path / "reference", confirm=CONFIRM) as one:
        watching = await one.watch()
        await one.work("only")
        assert await ended(watching) == 0, one.said("watch")
        await stop(one, "only")
        reference = Reference(one.asked(), results_of(one), examples_of(one))
        whole_ones(one.rows("SELECT example FROM RUN.examples"))
    async with site(tmp_path / "killed", confirm=CONFIRM) as one:
        watching = await one.watch()
        await one.work("first")
        await one.until("first", 30)
        await one.work("second")
        await one.until("second", 10)
        one.processes["first"].kill()
        await ended(one.processes["first"])
        lost = in_flight_at(one, "first")
        assert await ended(watching) == 0, one.said("watch")
        await stop(one, "second")
        check_workers(one, reference, lost)
        whole_ones(one.rows("SELECT example FROM RUN.examples"))


async def test_a_target_counts_what_was_confirmed(tmp_path: Path) -> None:
    async with site(tmp_path / "target", target=2, confirm=CONFIRM) as one:
        watching = await one.watch()
        for name in ("first", "second"):
            await one.work(name)
        assert await ended(watching) == 0, one.said("watch")
        await stop(one, "first", "second")
        assert "target of 2 accepted reached" in one.said("watch")
        assert len(whole_ones(one.rows("SELECT example FROM RUN.examples"))) >= 2


def whole_ones(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return examples, each of which has all its fresh attempts."""
    found = [json.loads(row["example"]) for row in rows]
    assert found
    for example in found:
        confirmed = example["confirmed"]
        assert (len(confirmed["weak_scores"]), len(confirmed["strong_scores"])) == (3, 3)
        assert confirmed["passed"]
    return found
