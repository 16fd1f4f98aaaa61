"""A search that is killed again and again ends as the undisturbed one, and pays again only for calls in flight.

One iteration at a time: only then is a search reproducible, so only then can two of them be compared row by row.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

from tests.kill.test_kill import Campaign, Plan, campaign, check, kept_rounds, killed_often, undisturbed

ITERATIONS = 20
KILLS_EACH = 14
KILLS_OF_WORKERS = 6
SPLITS = {"train": 6, "validate": 5, "test": 3}
COMMAND = [
    *("optimize", "--config", "autodata.toml", "--out", "run"),
    *(word for split in SPLITS for word in (f"--{split}", f"documents/{split}")),
]
SETTINGS = {"iterations": ITERATIONS, "minibatch": 2, "max_rounds": 2, "confirm": 1, "editor_turns": 4, "wave": 2}

searching = partial(campaign, command=COMMAND, splits=SPLITS, acceptance="meta", optimize=SETTINGS)


async def test_kills_lose_and_double_nothing_of_a_search(tmp_path: Path) -> None:
    reference = await undisturbed(searching, tmp_path / "reference")
    assert len(reference.tables["iterations"]) == ITERATIONS
    campaigns = await asyncio.gather(
        *(killed_often(reference, tmp_path / f"seed-{seed}", seed, searching, KILLS_EACH) for seed in (1, 2))
    )
    kills = sum(life.killed for each in campaigns for one in each for life in one.lives)
    assert kills >= 25
    for each in campaigns:
        for one in each:
            check(one, reference)
            assert await kept_rounds(one.run) == reference.rounds
            assert once_ever(one)


async def test_kills_of_a_search_with_two_workers_double_nothing(tmp_path: Path) -> None:
    """What workers do depends on timing, so nothing can be compared row by row; but no step is asked about twice."""
    several = partial(campaign, command=COMMAND, splits=SPLITS, acceptance="meta", optimize={**SETTINGS, "parallel": 2})
    async with several(tmp_path / "run") as one:
        for number in range(KILLS_OF_WORKERS):
            await one.live(f"life-{number}", Plan(f"life-{number}", "replied", 150 + 37 * number))
        assert not (await one.live("last")).killed
    assert sum(life.killed for life in one.lives) == KILLS_OF_WORKERS
    for life in one.lives:
        new, asked = life.after - life.before, Counter(one.server.asked[life.name])
        assert new <= asked, "a call is in the journal that nobody made"
        assert life.killed or new == asked
    assert once_ever(one)


def once_ever(one: Campaign) -> bool:
    """Whether every pack was validated once on a block, and every step asked once, whatever was killed meanwhile.

    A step that was asked again in other words would be in the journal twice.
    """
    with closing(sqlite3.connect(one.run / "run.db")) as db:
        evaluated = list(db.execute("select pack, split, block from evaluations where split != 'train'"))
        steps = list(db.execute("select thread_id, n, node, role, idx, try, epoch from calls"))
        ended = db.execute("select count(*) from iterations where outcome != 'open'").fetchone()[0]
    return len(evaluated) == len(set(evaluated)) and len(steps) == len(set(steps)) and ended == ITERATIONS
