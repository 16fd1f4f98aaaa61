"""The middle of an iteration: read the parent's failures, edit its prompts, check the edit (paper, section 6, 3-4)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import CallFailed, UnusableReply
from autodata.checkpoints.ids import canonical_json
from autodata.models.seeds import seed_for
from autodata.nodes.optimizer.analyst import analyse as ask_analyst
from autodata.nodes.optimizer.analyst import sample_failures
from autodata.nodes.optimizer.checks import Check, checker
from autodata.nodes.optimizer.edit_sandbox import Workbench
from autodata.nodes.optimizer.editor import edit_session
from autodata.nodes.optimizer.events import AnalysedEvent, EditedEvent
from autodata.nodes.optimizer.state import OptContext, OptState, Search
from autodata.prompts import PromptPack


async def analyse(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Let the analyst read a bounded sample of the parent's failures, whole, and name their causes with evidence."""
    search, n = runtime.context.search, state["n"]
    failures = await search.trajectories.failures(state["training"], tuple(state["minibatch"]))
    if not failures:
        return {"outcome": "unchanged", "reason": "nothing failed on the minibatch"}
    sample = sample_failures(failures, search.settings.failures, seed_for(search.run_seed, "sample", n))
    try:
        found = await ask_analyst(
            search.caller,
            search.site("analyse", "analyst", n),
            search.prompts["analyst"],
            sample,
            history=await search.archive.history(state["history"]),
            pack=await search.archive.pack(state["parent"]),
        )
    except (CallFailed, UnusableReply) as error:
        return {"outcome": "errored", "reason": str(error)}
    analysis = found.recorded()
    await search.archive.save(iterations=[{"iteration": n, "analysis": canonical_json(analysis)}])
    search.on_event(AnalysedEvent(n=n, summary=analysis["summary"]))
    return {"analysis": analysis}


async def edit(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Let the editor change a copy of the parent's prompts, the checker's complaints fed back, and keep the result."""
    search, n = runtime.context.search, state["n"]
    parent = await search.archive.pack(state["parent"])
    try:
        session = await edit_session(
            search.caller,
            search.site("edit", "editor", n),
            search.prompts["editor"],
            Workbench(parent),
            analysis=state["analysis"] or {},
            history=await search.archive.history(state["history"]),
            check=_check(search, parent),
            turns=search.settings.editor_turns,
        )
    except (CallFailed, UnusableReply) as error:
        return {"outcome": "errored", "reason": str(error)}
    refusals = [f"{one.action} {one.file}: {one.reason}" for one in session.refusals]
    rows: dict[str, list[dict[str, Any]]] = {
        "iterations": [{"iteration": n, "edits": canonical_json(session.recorded())}]
    }
    mutant = session.pack
    if mutant.version != parent.version:
        rows |= await _candidate(search, state, mutant, session.summary)
    await search.archive.save(**rows)
    search.on_event(EditedEvent(n=n, summary=session.summary, refusals=refusals))
    return {
        "mutant": mutant.version,
        "summary": session.summary,
        "refusals": refusals[:20],
        "problems": session.problems,
    }


async def _candidate(
    search: Search, state: OptState, mutant: PromptPack, summary: str
) -> dict[str, list[dict[str, Any]]]:
    """Return the row of a pack that the search has not seen before; of a known one, none."""
    try:
        await search.archive.pack(mutant.version)
    except KeyError:
        row = {
            "pack": mutant.version,
            "parent": state["parent"],
            "iteration": state["n"],
            "state": "candidate",
            "diff": search.baseline.diff(mutant),
            "summary": summary,
            "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        return {"packs": [row]}
    return {}


async def check(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Refuse an unsound edit before a validation is paid for: what the editor was told, looked at once more."""
    search = runtime.context.search
    if state["mutant"] == state["parent"]:
        why = "; ".join(state.get("refusals", [])[:3]) or "the editor changed nothing"
        return {"outcome": "unchanged", "reason": why}
    parent, mutant = await search.archive.pack(state["parent"]), await search.archive.pack(state["mutant"])
    if problems := _check(search, parent)(mutant):
        await search.archive.save(packs=[{"pack": mutant.version, "state": "invalid"}])
        return {"outcome": "invalid", "reason": "; ".join(problems), "problems": problems}
    return {"problems": []}


def _check(search: Search, parent: PromptPack) -> Check:
    return checker(search.baseline, parent, protected=search.protected, growth=search.settings.growth)
