"""The first steps of an iteration: choose a parent, and see to it that it is evaluated (paper, section 6, 1-2)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.writes import BegunIteration, record_begun, record_minibatch
from autodata.models.seeds import seed_for
from autodata.nodes.optimizer import population
from autodata.nodes.optimizer.acceptance import exact
from autodata.nodes.optimizer.estimate import Estimates, Evidence
from autodata.nodes.optimizer.evaluate import evaluation_id, examine, training_id
from autodata.nodes.optimizer.events import IterationEvent
from autodata.nodes.optimizer.merge import common_base, merged
from autodata.nodes.optimizer.population import Member
from autodata.nodes.optimizer.racing import cannot_win
from autodata.nodes.optimizer.state import OptContext, OptState, Search
from autodata.prompts import PromptPack

PARTNERS = 10
"""Packs that are tried as a parent's partner in a merge at most, the best first."""


async def select_parent(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Begin an iteration: sample its parent by estimated rate, and write that down before it is used.

    An iteration that the worker has begun before is gone on with. Without any left the worker is over.
    """
    search, worker = runtime.context.search, state.get("lane", 0)
    fresh: dict[str, Any] = {"mutant": "", "summary": "", "outcome": "", "reason": "", "analysis": None}
    fresh |= {"refusals": [], "problems": [], "scores": {}, "record": False, "over": False}
    async with search.selecting:
        row = await search.archive.open_iteration(worker)
        if row is None:
            over, begun = await search.over(), await search.archive.begun()
            if over or begun >= search.settings.iterations or worker >= runtime.context.workers:
                return {"over": True}
            chosen = await _begin(search, worker, begun + 1)
            await record_begun(search.archive.store, chosen)
            row = await search.archive.iteration(chosen.n)
    plan = plan_of(row)
    fresh |= {"partner": plan.get("merged", ""), "source": plan.get("analysis_of", 0)}
    if fresh["source"]:
        fresh["analysis"] = json.loads(row["analysis"])
    search.on_event(IterationEvent(n=row["iteration"], parent=row["parent"]))
    begin = {"n": row["iteration"], "parent": row["parent"], "sampled": row["sampled"]}
    return {**fresh, **begin, "history": json.loads(row["history"])}


def plan_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an iteration was begun to do besides: `merged` or `analysis_of`; empty for an edit of its own."""
    recorded = json.loads(row["edits"] or "[]")
    return {key: recorded[key] for key in ("merged", "analysis_of") if key in recorded} if recorded else {}


async def _begin(search: Search, worker: int, n: int) -> BegunIteration:
    """Sample the parent of a new iteration; of one that uses the last one's analysis again it is the same."""
    history = await search.archive.latest(search.settings.history)
    draw = population.draw_for(search.run_seed, n)
    last = await search.archive.last_of(worker) if search.settings.proposals > 1 else None
    if last and last["analysis"] and last["outcome"] != "errored":
        source = plan_of(last).get("analysis_of", last["iteration"])
        if await search.archive.sharing(source) < search.settings.proposals:
            again = {"plan": {"analysis_of": source}, "analysis": last["analysis"]}
            return BegunIteration(
                n, worker, last["parent"], {last["parent"]: 1.0}, draw, last["sampled"], history, **again
            )
    evidence = await search.archive.evidence()
    # A member without a trial is a baseline that is being validated for the first time: it stands alone.
    members = [one for one in evidence if one.member]
    packs = [one.pack for one in members if one.score is not None or one.validated] or [members[0].pack]
    probabilities, estimates = [1.0], None
    if len(packs) > 1:
        estimates = search.estimator.estimate(evidence)
        probabilities = search.selector.probabilities(packs, estimates, seed_for(search.run_seed, "draws", n))
    parent = packs[population.pick(probabilities, draw)]
    partner = await _partner(search, n, parent, evidence, estimates) if estimates else ""
    return BegunIteration(
        n=n,
        worker=worker,
        parent=parent,
        probabilities={pack: round(p, 6) for pack, p in zip(packs, probabilities, strict=True)},
        draw=draw,
        sampled=await search.archive.sampled(parent) + 1,
        history=history,
        plan={"merged": partner} if partner else {},
    )


async def _partner(search: Search, n: int, parent: str, evidence: Sequence[Evidence], estimates: Estimates) -> str:
    """Return the pack that a parent is merged with in this iteration; empty for none."""
    if seed_for(search.run_seed, "merge", n) / 2**31 >= search.settings.merge:
        return ""
    others = [one.pack for one in evidence if one.member and one.pack != parent and one.parents]
    for other in sorted(others, key=estimates.rate, reverse=True)[:PARTNERS]:
        pack = await merge_of(search, evidence, parent, other)
        if pack is not None and not await is_known(search, pack.version):
            return other
    return ""


async def is_known(search: Search, version: str) -> bool:
    """Return whether a pack was made before, one that was refused included."""
    try:
        await search.archive.pack(version)
    except KeyError:
        return False
    return True


async def merge_of(search: Search, evidence: Sequence[Evidence], one: str, other: str) -> PromptPack | None:
    """Return two packs in one, as `merged` does; None where one descends from the other, too."""
    base = common_base(evidence, one, other)
    if base is None:
        return None
    return merged(*[await search.archive.pack(pack) for pack in (base, one, other)])


async def evaluate_parent(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Run the parent on its minibatch of training documents, and on what it still owes of validation blocks.

    An iteration that edits from an earlier analysis, or merges, needs no minibatch. Nothing is analysed where no
    mutant could be accepted.
    """
    search, n, parent = runtime.context.search, state["n"], state["parent"]
    pack = await search.archive.pack(parent)
    documents: tuple[str, ...] = ()
    if not state.get("partner") and not state.get("source"):
        documents, block = population.minibatch(
            await search.archive.documents("train"),
            search.settings.minibatch,
            state["sampled"],
            seed_for(search.run_seed, "minibatch", parent),
        )
        await examine(search, pack, "train", block, iteration=n, documents=documents)
    block, score, won = await _standing(search, state)
    await record_minibatch(search.archive.store, n, documents, block)
    made: dict[str, Any] = {"minibatch": list(documents), "training": training_id(parent, n) if documents else ""}
    made |= {"block": block, "scores": {"parent": score}}
    if won:
        reason = f"the parent passed every document of block {block}: nothing could be strictly better there"
        return {**made, "outcome": "unchanged", "reason": reason}
    return made


async def _standing(search: Search, state: OptState) -> tuple[int, str, bool]:
    """Return the block to compare on, the parent's score, and whether nothing could be better there.

    It is never a block that the parent was chosen by: where one is shared, the parent buys a fresh one, and where it is
    not, what either is tried on next lies behind all that the parent has.
    """
    parent = state["parent"]
    if search.acceptance.shared:
        member = await _validated(search, state)
        while await _unbeatable(search, member) and len(member.bought) < search.settings.max_blocks:
            member = await _bought(search, state, member)
        block = member.bought[-1]
        return block, str(member.blocks[block]), await _unbeatable(search, member)
    if (await search.archive.member(parent)).iteration == 0:
        await examine(search, await search.archive.pack(parent), "validate", 0, iteration=state["n"])
    row = await search.archive.iteration(state["n"])
    block = row["block"] if row["block"] else await search.archive.next_block(parent)
    estimates = search.estimator.estimate(await search.archive.evidence())
    return block, exact(estimates.rate(parent)), False


async def _unbeatable(search: Search, member: Member) -> bool:
    result = await search.archive.result(evaluation_id("validate", member.pack, member.bought[-1]))
    return result is not None and cannot_win(result.trials)(())


async def _validated(search: Search, state: OptState) -> Member:
    """Buy the blocks that the parent is due; return it with all its scores."""
    settings, parent = search.settings, state["parent"]
    while True:
        member = await search.archive.member(parent)
        due = population.blocks_due(
            state["sampled"],
            reuse=settings.reuse_parent,
            most=settings.max_blocks,
            is_baseline=member.iteration == 0,
        )
        if len(member.bought) >= due:
            return member
        await _bought(search, state, member)


async def _bought(search: Search, state: OptState, member: Member) -> Member:
    """Validate a pack on one further block."""
    pack = await search.archive.pack(member.pack)
    await examine(search, pack, "validate", population.next_block(member), iteration=state["n"])
    return await search.archive.member(member.pack)
