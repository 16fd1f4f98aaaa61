"""The first two steps of an iteration: sample a parent, and see to it that it is evaluated (paper, section 6, 1-2)."""

from __future__ import annotations

import json
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.writes import BegunIteration, record_begun, record_minibatch
from autodata.models.seeds import seed_for
from autodata.nodes.optimizer import population
from autodata.nodes.optimizer.evaluate import examine, training_id
from autodata.nodes.optimizer.events import IterationEvent
from autodata.nodes.optimizer.population import Member
from autodata.nodes.optimizer.state import OptContext, OptState, Search


async def select_parent(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Begin an iteration: sample its parent by mean validation score, and write that down before it is used.

    An iteration that the worker has begun before is gone on with. Without any left the worker is over.
    """
    search, worker = runtime.context.search, state.get("lane", 0)
    fresh: dict[str, Any] = {"mutant": "", "summary": "", "outcome": "", "reason": "", "analysis": None}
    fresh |= {"refusals": [], "problems": [], "scores": {}, "record": False, "over": False}
    async with search.selecting:
        row = await search.archive.open_iteration(worker)
        if row is None:
            begun = await search.archive.begun()
            if begun >= search.settings.iterations or worker >= runtime.context.workers:
                return {"over": True}
            chosen = await _begin(search, worker, begun + 1)
            await record_begun(search.archive.store, chosen)
            n, parent, sampled, history = chosen.n, chosen.parent, chosen.sampled, list(chosen.history)
        else:
            n, parent, sampled, history = row["iteration"], row["parent"], row["sampled"], json.loads(row["history"])
    search.on_event(IterationEvent(n=n, parent=parent))
    return {**fresh, "n": n, "parent": parent, "sampled": sampled, "history": history}


async def _begin(search: Search, worker: int, n: int) -> BegunIteration:
    """Sample the parent of a new iteration."""
    members = await search.archive.members()
    # A member without a score is a baseline that is being validated for the first time: it stands alone.
    scored = [member for member in members if member.score is not None] or members[:1]
    scores = [float(member.score or 0) for member in scored]
    probabilities = population.boltzmann(scores, search.settings.temperature)
    draw = population.draw_for(search.run_seed, n)
    parent = scored[population.pick(probabilities, draw)]
    return BegunIteration(
        n=n,
        worker=worker,
        parent=parent.pack,
        probabilities={member.pack: round(p, 6) for member, p in zip(scored, probabilities, strict=True)},
        draw=draw,
        sampled=await search.archive.sampled(parent.pack) + 1,
        history=await search.archive.latest(search.settings.history),
    )


async def evaluate_parent(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Run the parent on its minibatch of training documents, and on what it still owes of validation blocks."""
    search, n, parent = runtime.context.search, state["n"], state["parent"]
    pack = await search.archive.pack(parent)
    documents, block = population.minibatch(
        await search.archive.documents("train"),
        search.settings.minibatch,
        state["sampled"],
        seed_for(search.run_seed, "minibatch", parent),
    )
    await examine(search, pack, "train", block, iteration=n, documents=documents)
    member = await _validated(search, state)
    block = member.bought[-1]
    await record_minibatch(search.archive.store, n, documents, block)
    return {
        "minibatch": list(documents),
        "training": training_id(parent, n),
        "block": block,
        "scores": {"parent": str(member.blocks[block])},
    }


async def _validated(search: Search, state: OptState) -> Member:
    """Buy the blocks that the parent is due; return it with all its scores."""
    settings, parent = search.settings, state["parent"]
    pack = await search.archive.pack(parent)
    while True:
        member = next(member for member in await search.archive.members() if member.pack == parent)
        due = population.blocks_due(
            state["sampled"],
            reuse=settings.reuse_parent,
            most=settings.max_blocks,
            is_baseline=member.iteration == 0,
        )
        if len(member.bought) >= due:
            return member
        await examine(search, pack, "validate", population.next_block(member), iteration=state["n"])
