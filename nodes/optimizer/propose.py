"""The middle of an iteration: read the parent's failures, edit its prompts, check the edit (paper, section 6, 3-4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import CallFailed, Stopped, UnusableReply
from autodata.checkpoints.writes import NewPack, record_analysis, record_edit, record_invalid
from autodata.models.call import CallSite
from autodata.models.seeds import seed_for
from autodata.nodes.optimizer.analyst import Analyzed, sample_failures
from autodata.nodes.optimizer.analyst import analyse as ask_analyst
from autodata.nodes.optimizer.checks import Check, checker
from autodata.nodes.optimizer.edit_sandbox import EditSandbox
from autodata.nodes.optimizer.editor import EditSession, edit_session
from autodata.nodes.optimizer.events import AnalysedEvent, EditedEvent
from autodata.nodes.optimizer.failure_digest import cut_middle
from autodata.nodes.optimizer.own_edit import proposed
from autodata.nodes.optimizer.select import is_known, merge_of, plan_of
from autodata.nodes.optimizer.state import OptContext, OptState, Search
from autodata.nodes.optimizer.trajectories import Contrasting, Failure
from autodata.prompts import PromptPack

Asked = TypeVar("Asked")
DEAD = 3
"""Iterations in a row whose analyst or editor gave nothing usable, after which a search pauses."""


async def analyse(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Let the analyst read a bounded sample of the parent's failures, whole, and name their causes with evidence."""
    search, n = runtime.context.search, state["n"]
    failures = await search.trajectories.failures(state["training"], tuple(state["minibatch"]))
    if not failures:
        return {"outcome": "unchanged", "reason": "nothing failed on the minibatch"}
    if search.proposer is not None:
        return {}
    sample = sample_failures(failures, search.settings.failures, seed_for(search.run_seed, "sample", n))
    history, pack = await search.archive.history(state["history"]), await search.archive.pack(state["parent"])
    contrast = await _contrast(search, state)
    excerpts = await _excerpts(search, [*sample, *contrast])

    async def ask(site: CallSite) -> Analyzed:
        prompt = search.prompts["analyst"]
        return await ask_analyst(
            search.caller, site, prompt, sample, history=history, pack=pack, contrast=contrast, excerpts=excerpts
        )

    try:
        found = await _asked(search, search.site("analyse", "analyst", n), ask)
    except (CallFailed, UnusableReply) as error:
        return {"outcome": "errored", "reason": str(error)}
    analysis = found.recorded()
    await record_analysis(search.archive.store, n, analysis)
    search.on_event(AnalysedEvent(n=n, summary=analysis["summary"]))
    return {"analysis": analysis}


async def _asked(search: Search, site: CallSite, ask: Callable[[CallSite], Awaitable[Asked]]) -> Asked:
    """Return what an agent answers. Raises Stopped where it is dead, CallFailed and UnusableReply for one iteration.

    It is dead when it cannot be reached, or when the iterations before failed as this one does. The same command then
    asks it again, in a new epoch: what could not be read before is not read again.
    """
    errored = await search.archive.errored_in_a_row()
    for epoch in count():
        try:
            return await ask(replace(site, epoch=epoch))
        except CallFailed as error:
            if error.refused and errored < DEAD - 1:
                raise
            raise Stopped(f"{site.role}: {error}", failed=True) from error
        except UnusableReply as error:
            if errored < DEAD - 1:
                raise
            if not error.replayed:
                raise Stopped(
                    f"{error}, in {errored + 1} iterations in a row: look at models.{site.role}", failed=True
                ) from error
    raise AssertionError


async def _contrast(search: Search, state: OptState) -> list[Failure]:
    """Return a few accepted rounds of the minibatch, where the trajectories have any."""
    if not search.settings.contrast or not isinstance(search.trajectories, Contrasting):
        return []
    accepted = await search.trajectories.accepted(state["training"], tuple(state["minibatch"]))
    return sample_failures(accepted, search.settings.contrast, seed_for(search.run_seed, "contrast", state["n"]))


async def _excerpts(search: Search, rounds: Sequence[Failure]) -> dict[str, str]:
    """Return the beginnings of the documents of some rounds. They are training documents, all of them."""
    if not search.settings.excerpt:
        return {}
    of_training = {*await search.archive.documents("train")}
    documents = dict.fromkeys(one.document_id for one in rounds if one.document_id in of_training)
    texts = [await search.archive.text(document) for document in documents]
    return {name: cut_middle(text, search.settings.excerpt) for name, text in zip(documents, texts, strict=True)}


async def edit(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Let the editor change a copy of the parent's prompts, the checker's complaints fed back, and keep the result."""
    search, n = runtime.context.search, state["n"]
    parent = await search.archive.pack(state["parent"])
    try:
        session = await _edited(search, state, parent)
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


async def _edited(search: Search, state: OptState, parent: PromptPack) -> EditSession:
    """Return an edit of the parent's prompts: by the editor, or by a proposer of the caller's own."""
    check, proposer = _check(search, parent), search.proposer
    history = await search.archive.history(state["history"])

    async def ask(site: CallSite) -> EditSession:
        if proposer is not None:
            return await proposed(search, proposer, state, parent, check, site)
        return await edit_session(
            search.caller,
            site,
            search.prompts["editor"],
            EditSandbox(parent),
            analysis=state["analysis"] or {},
            history=history,
            check=check,
            turns=search.settings.editor_turns,
        )

    return await _asked(search, search.site("edit", "editor", state["n"]), ask)


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
    if await is_known(search, mutant.version):
        return None
    return NewPack(mutant.version, state["parent"], state["n"], search.baseline.diff(mutant), summary)


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
