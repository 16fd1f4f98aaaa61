"""The middle of an iteration: read the parent's failures, edit its prompts, check the edit (paper, section 6, 3-4)."""

from __future__ import annotations

from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import CallFailed, UnusableReply
from autodata.checkpoints.writes import NewPack, record_analysis, record_edit, record_invalid
from autodata.models.seeds import seed_for
from autodata.nodes.optimizer.analyst import analyse as ask_analyst
from autodata.nodes.optimizer.analyst import sample_failures
from autodata.nodes.optimizer.checks import Check, checker
from autodata.nodes.optimizer.edit_sandbox import EditSandbox
from autodata.nodes.optimizer.editor import edit_session
from autodata.nodes.optimizer.events import AnalysedEvent, EditedEvent
from autodata.nodes.optimizer.select import merge_of, plan_of
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
    await record_analysis(search.archive.store, n, analysis)
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
            EditSandbox(parent),
            analysis=state["analysis"] or {},
            history=await search.archive.history(state["history"]),
            check=_check(search, parent),
            turns=search.settings.editor_turns,
        )
    except (CallFailed, UnusableReply) as error:
        return {"outcome": "errored", "reason": str(error)}
    refusals = [f"{one.action} {one.file}: {one.reason}" for one in session.refusals]
    mutant = session.pack
    made = None if mutant.version == parent.version else await _new_pack(search, state, mutant, session.summary)
    plan = plan_of(await search.archive.iteration(n))
    await record_edit(search.archive.store, n, {**plan, **session.recorded()}, made)
    search.on_event(EditedEvent(n=n, summary=session.summary, refusals=refusals))
    return {
        "mutant": mutant.version,
        "summary": session.summary,
        "refusals": refusals[:20],
        "problems": session.problems,
    }


async def merge(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Combine the parent's edits with those of its partner. No model is asked."""
    search, n, partner = runtime.context.search, state["n"], state["partner"]
    mutant = await merge_of(search, await search.archive.evidence(), state["parent"], partner)
    if mutant is None:
        return {"outcome": "unchanged", "reason": f"what pack {partner} changed touches the same lines"}
    made_by = {one.pack: one.iteration for one in await search.archive.evidence()}
    summary = f"merged with the pack of iteration {made_by[partner]}"
    made = await _new_pack(search, state, mutant, summary)
    await record_edit(search.archive.store, n, {"merged": partner, "summary": summary}, made)
    search.on_event(EditedEvent(n=n, summary=summary, refusals=[]))
    return {"mutant": mutant.version, "summary": summary}


async def _new_pack(search: Search, state: OptState, mutant: PromptPack, summary: str) -> NewPack | None:
    """Return a pack that the search has not seen before; None for a known one."""
    try:
        await search.archive.pack(mutant.version)
    except KeyError:
        return NewPack(mutant.version, state["parent"], state["n"], search.baseline.diff(mutant), summary)
    return None


async def check(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Refuse an unsound edit before a validation is paid for: what the editor saw is checked once more."""
    search = runtime.context.search
    if state["mutant"] == state["parent"]:
        why = "; ".join(state.get("refusals", [])[:3]) or "the editor changed nothing"
        return {"outcome": "unchanged", "reason": why}
    parent, mutant = await search.archive.pack(state["parent"]), await search.archive.pack(state["mutant"])
    if problems := _check(search, parent)(mutant):
        await record_invalid(search.archive.store, mutant.version)
        return {"outcome": "invalid", "reason": "; ".join(problems), "problems": problems}
    return {"problems": []}


def _check(search: Search, parent: PromptPack) -> Check:
    return checker(search.baseline, parent, protected=search.protected, growth=search.settings.growth)
