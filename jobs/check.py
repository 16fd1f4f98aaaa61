"""Checking a run folder: whether files, ledger, journal and checkpoints agree, and mending what can be mended.

The journal is the truth about payments and replies, the ledger their projection, checkpoints the truth about position
alone. So a document whose rows are wrong is mended by walking it again: every reply that the journal holds is replayed,
and rows are written over by the ids that they always have. What the journal itself lost cannot be made again for
nothing: it is only reported.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from autodata.checkpoints.document_queue import MAIN
from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Ledger, Reader, open_readonly, run_lock
from autodata.checkpoints.places import LEDGER, ledger_place
from autodata.checkpoints.queries.documents import count_examples, documents
from autodata.checkpoints.queries.meta import meta
from autodata.checkpoints.queries.soundness import is_served, standing_in_search, standing_of_run
from autodata.checkpoints.queries.usage import usage_of_all
from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.saved_threads import file_damage
from autodata.checkpoints.saver import checkpoint_error
from autodata.checkpoints.writes import record_walked_again
from autodata.jobs import check_rows, check_standing
from autodata.jobs.check_checkpoints import checkpoints
from autodata.jobs.check_problems import Looked, Problem, Repair
from autodata.runner.checkpointer import CHECKPOINTS, open_kept, open_run_saver
from autodata.runner.config import RunConfig, read_resolved, stored_config
from autodata.runner.fingerprint import changed_since, fingerprint, more_rounds
from autodata.runner.run_folder import open_ledger

CONFIG = "config.toml"
BAD = ".bad"
"""What is put behind the name of a file that is set aside."""
Says = Callable[[str], None]


@dataclass(frozen=True)
class Checked:
    """What was found in a folder."""

    run: Path
    looked: Looked
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    """What could not be looked at, and why."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong that was not mended."""
        return all(problem.repaired for problem in self.problems)


async def check_run(run: Path, *, repair: bool = False, says: Says = lambda text: None) -> Checked:
    """Check a folder; with `repair` mend what can be mended. Nothing is sent anywhere.

    `says` hears what is being looked at. Raises UserError for a folder that is no run's or in use, and RunFailed for a
    failing disk.
    """
    await asyncio.to_thread(ledger_place, run)
    with run_lock(run):
        checked = await _checked(run, says)
    if repair and not checked.sound:
        return await _repaired(checked, says)
    return checked


async def _checked(run: Path, says: Says) -> Checked:
    says("files")
    found, notes = await asyncio.to_thread(_files, run), list[str]()
    damaged = {problem.subject for problem in found if problem.kind == "damaged_file"}
    if str(run / LEDGER) in damaged:
        return Checked(run, Looked(), found, ["the ledger cannot be read, so nothing else was looked at"])
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(open_readonly(await asyncio.to_thread(ledger_place, run)))
        if ledger.shared is not None:  # the lock of this folder keeps no other machine out
            await (await stack.enter_async_context(Ledger.open(ledger.shared))).hold()
        known = await meta(ledger)
        found += await asyncio.to_thread(_configuration, run, known)
        rows, looked = await _rows(ledger, known, says)
        found += rows
        says("checkpoints")
        saved, threads, note = await _checkpoints(run, ledger, known, damaged)
        found += saved
        notes += filter(None, [note])
        found = await _to_come(ledger, found, threads)
    return Checked(run, replace(looked, threads=len(threads)), found, notes)


def _files(run: Path) -> list[Problem]:
    found = []
    for name in (LEDGER, CHECKPOINTS):
        path = run / name
        if path.is_file() and (problem := file_damage(path)):
            spoilt_ledger = f"first save what can be saved with `sqlite3 {path} .recover > saved.sql`"
            what = f"{problem}: {spoilt_ledger}" if name == LEDGER else problem
            repair = None if name == LEDGER else Repair.SET_ASIDE
            found.append(Problem("damaged_file", name, what, repair, str(path)))
    if not (run / CONFIG).is_file():
        found.append(Problem("missing_file", CONFIG, "the next 'autodata run' with its configuration writes it anew"))
    for part in sorted(run.glob("*.part")):
        what = "its process died while it was written"
        found.append(Problem("leftover_file", part.name, what, Repair.DELETE, str(part)))
    return found


def _configuration(run: Path, known: dict[str, str]) -> list[Problem]:
    if not (run / CONFIG).is_file():
        return []
    try:
        now = fingerprint(read_resolved(run / CONFIG))
        # More rounds than the ledger knows of are of a session that died before it could say so, and go on.
        differ = changed_since({**known, **more_rounds(known, now)}, now, run)
    except (UserError, KeyError, TypeError, ValueError, AttributeError) as error:
        differ = [str(error)]
    return [Problem("other_configuration", CONFIG, "; ".join(differ[:5]))] if differ else []


async def _rows(ledger: Reader, known: dict[str, str], says: Says) -> tuple[list[Problem], Looked]:
    """Return what is wrong with the rows of a ledger, and how many there are."""
    says("references")
    search, served = known.get("kind") == "optimize", await is_served(ledger)
    found = await check_rows.orphans(ledger, search=search)
    says("documents and candidates")
    found += await check_rows.documents(ledger) + await check_rows.candidates(ledger)
    says("rounds, attempts and examples")
    wrong, rounds, attempts = await check_rows.rounds(ledger)
    found += wrong
    says("documents' ends")
    if search:
        found += await check_standing.search_standing(ledger)
    elif not served:  # a document of a server's stands in each of its threads as that thread left it
        found += await check_standing.run_standing(ledger) + await check_standing.round_order(ledger)
    says("calls")
    calls = (await usage_of_all(ledger))["calls"]
    found += await check_standing.journal(ledger, local=bool(calls))
    found += await check_standing.outer_loop(ledger)
    counted = len(await documents(ledger))
    return found, Looked(counted, rounds, attempts, await count_examples(ledger), calls)


async def _checkpoints(
    run: Path, ledger: Reader, known: dict[str, str], damaged: set[str]
) -> tuple[list[Problem], frozenset[str], str]:
    """Return what is wrong with checkpoints, their threads, and why they were not looked at where they were not."""
    if str(run / CHECKPOINTS) in damaged:
        return [], frozenset(), ""
    try:
        config = await asyncio.to_thread(_settings, run, known)
    except UserError as error:
        return [], frozenset(), f"checkpoints were not looked at: {error}"
    if known.get("kind") == "optimize":
        standing = await standing_in_search(ledger)
    else:
        standing = [{**row, "evaluation": MAIN} for row in await standing_of_run(ledger)]
    evaluations = frozenset({str(row["evaluation"]) for row in standing}) or frozenset({MAIN})
    async with open_kept(config.checkpoints, run, ledger) as saver:
        if saver is None:
            return [], frozenset(), ""
        try:
            found, threads = await checkpoints(saver, standing, evaluations)
        except sqlite3.Error as error:
            raise checkpoint_error(run / CHECKPOINTS, error) from error
    return found, threads, ""


def _settings(run: Path, known: dict[str, str]) -> RunConfig:
    return stored_config(run / CONFIG, kind=known.get("kind", RunConfig.kind))


async def _to_come(ledger: Reader, found: Sequence[Problem], threads: frozenset[str]) -> list[Problem]:
    """Return problems with those noted as mended whose document is to be walked again by the next session anyway."""
    pending = {
        row["document_id"]
        for row in await documents(ledger)
        if row["status"] == DocumentStatus.PENDING and f"{MAIN}/{row['document_id']}" not in threads
    }
    mended = "the next session walks the document again"
    return [
        replace(problem, repaired=mended)
        if problem.repair is Repair.WALK_AGAIN and problem.subject in pending
        else problem
        for problem in found
    ]


async def _repaired(checked: Checked, says: Says) -> Checked:
    """Mend what can be mended; return the problems with what was done about each."""
    run, done = checked.run, dict[Problem, str]()
    for problem in checked.problems:
        if problem.repair is Repair.DELETE:
            await asyncio.to_thread(Path(problem.subject).unlink, missing_ok=True)
            done[problem] = "deleted"
        elif problem.repair is Repair.SET_ASIDE:
            done[problem] = await asyncio.to_thread(_set_aside, Path(problem.subject))
    rest = [one for one in checked.problems if one.repair in {Repair.WALK_AGAIN, Repair.FORGET_THREAD}]
    if any(not one.repaired for one in rest):
        says("repairs")
        done |= await _of_ledger(run, [one for one in rest if not one.repaired])
    return replace(
        checked, problems=[replace(one, repaired=one.repaired or done.get(one, "")) for one in checked.problems]
    )


async def _of_ledger(run: Path, problems: Sequence[Problem]) -> dict[Problem, str]:
    """Forget threads of checkpoints, and record documents that are to be walked again."""
    documents_ = sorted({one.subject for one in problems if one.repair is Repair.WALK_AGAIN})
    threads = {f"{MAIN}/{document}" for document in documents_}
    threads |= {one.subject for one in problems if one.repair is Repair.FORGET_THREAD}
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(open_ledger(run))
        config = await asyncio.to_thread(_settings, run, await meta(ledger))
        saver = await stack.enter_async_context(open_run_saver(config.checkpoints, run, ledger))
        await record_walked_again(ledger, documents_)
        for thread in sorted(threads):
            await saver.adelete_thread(thread)
    again = "pending: the next 'autodata run' walks it again, by the replies that are paid for"
    gone = "its checkpoints were deleted: nothing but where it stood was in them"
    return {one: again if one.repair is Repair.WALK_AGAIN else gone for one in problems}


def _set_aside(path: Path) -> str:
    """Rename a file, and what SQLite keeps beside it; return what was done."""
    target = path.with_name(path.name + BAD)
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}{BAD}{number}")
    for side in ("-wal", "-shm"):
        beside = path.with_name(path.name + side)
        if beside.exists():
            beside.rename(target.with_name(target.name + side))
    path.rename(target)
    return f"renamed to {target.name}: unfinished documents start again with the replies already paid for"
