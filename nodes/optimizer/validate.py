"""The last steps of an iteration: validate the mutant, decide, record (paper, section 6, 5-7). Code decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Literal

from langgraph.runtime import Runtime

from autodata.checkpoints.writes import (
    EndedIteration,
    Placed,
    record_compared,
    record_ended,
    record_lead,
    record_leader,
)
from autodata.domains.acceptance.bounds import decimal
from autodata.domains.acceptance.rubric_score import mean
from autodata.nodes.optimizer.acceptance import Ruling, Side, Strict, exact
from autodata.nodes.optimizer.compare import compared
from autodata.nodes.optimizer.estimate import leader_of
from autodata.nodes.optimizer.evaluate import evaluation_id, examine
from autodata.nodes.optimizer.events import RecordedEvent
from autodata.nodes.optimizer.population import CONFIRM
from autodata.nodes.optimizer.racing import paired
from autodata.nodes.optimizer.state import OptContext, OptState, Search
from autodata.prompts import PromptPack

SIDES: tuple[Side, Side] = ("parent", "mutant")


async def validate(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Compare the mutant with its parent as the acceptance asks; confirm it on fresh blocks where it leads.

    What was measured of the parent before is part of the comparison.
    """
    search, n = runtime.context.search, state["n"]
    mutant = await search.archive.pack(state["mutant"])
    if search.acceptance.shared and (
        await search.archive.result(evaluation_id("validate", state["parent"], state["block"])) is None
    ):
        raise ValueError(f"pack {state['parent']} was not validated on block {state['block']}")
    known = compared_of(await search.archive.iteration(n))
    ruling = await compared(search, state) if known is None else None
    if isinstance(search.acceptance, Strict):
        return await _strictly(search, state, mutant, ruling)
    if ruling is not None:
        known = {"rule": search.acceptance.name, "outcome": ruling.outcome, "reason": ruling.reason}
        known |= {"better": ruling.better, **await _rates(search, state)}
        await record_compared(search.archive.store, n, known)
    found = known or {}
    scores = {name: found[name] for name in ("parent", "mutant") if found.get(name)}
    if search.settings.confirm and found["outcome"] == "accepted":
        scores |= await _confirmed(search, n, mutant, await _would_lead(search, mutant.version))
    return {"scores": scores}


async def _strictly(search: Search, state: OptState, mutant: PromptPack, ruling: Ruling | None) -> dict[str, Any]:
    """Return the exact scores of both on the shared block, or the outcome where there are none."""
    parent, result = [
        await search.archive.result(evaluation_id("validate", pack, state["block"]))
        for pack in (state["parent"], state["mutant"])
    ]
    scores = dict(state["scores"])
    both = paired(parent.trials, result.trials) if parent and result and result.complete else None
    if both is None or result is None:
        ended = ruling or await compared(search, state)
        return {"scores": scores, "outcome": ended.outcome, "reason": ended.reason}
    scores |= {"parent": str(both[0]), "mutant": str(both[1])}
    if search.settings.confirm and both[1] > both[0]:
        leader = await search.archive.member(await search.archive.incumbent())
        would = leader.score is None or (result.score is not None and result.score > leader.score)
        scores |= await _confirmed(search, state["n"], mutant, would)
    return {"scores": scores}


async def _rates(search: Search, state: OptState) -> dict[str, str]:
    """Return the estimated rates of parent and mutant, as exact fractions."""
    estimates = search.estimator.estimate(await search.archive.evidence())
    return {side: exact(estimates.rate(state[side])) for side in SIDES}


def compared_of(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how an iteration's parent and mutant compared, where that is recorded."""
    found: dict[str, Any] = json.loads(row["confirmed"] or "{}")
    return found.get("compared")


async def _would_lead(search: Search, mutant: str) -> bool:
    """Whether a mutant that joined now would be the best by estimate."""
    evidence = [replace(one, member=True) if one.pack == mutant else one for one in await search.archive.evidence()]
    return leader_of(evidence, search.estimator.estimate(evidence)) == mutant


async def _confirmed(search: Search, n: int, mutant: PromptPack, would: bool) -> dict[str, str]:
    """Evaluate a mutant that would lead, and the pack that leads now, on fresh blocks; return both means.

    Whom it is compared with is written down before it is paid for, so that a session that was cut off goes on with the
    same comparison. Workers take turns: a leader that was overtaken meanwhile is compared with anew.
    """
    archive = search.archive
    async with search.leading:
        row = await archive.iteration(n)
        if row["led"]:
            return {name: mean for name, mean in json.loads(row["confirmed"]).items() if name != "compared"}
        leader = row["leader"]
        if leader is None:
            leader = await archive.incumbent() if would else ""
            await record_leader(archive.store, n, leader)
        while leader:
            means = await _on_fresh_blocks(search, n, await archive.pack(leader), mutant)
            present = await archive.incumbent()
            if present != leader:
                leader = present
                await record_leader(archive.store, n, leader)
                continue
            if means and Fraction(means["confirmed"]) > Fraction(means["record"]):
                led = await archive.leads() + 1
                kept = json.loads((await archive.iteration(n))["confirmed"] or "{}")
                await record_lead(archive.store, n, mutant.version, led, confirmed={**kept, **means})
            return means
        return {}


async def _on_fresh_blocks(search: Search, n: int, leader: PromptPack, mutant: PromptPack) -> dict[str, str]:
    """Return the means of both packs over the iteration's fresh blocks, paired; empty when nothing can be compared."""
    pairs = []
    for k in range(search.settings.confirm):
        block = CONFIRM + 100 * n + k
        results = [await examine(search, pack, "validate", block, iteration=n) for pack in (leader, mutant)]
        pairs.append(paired(results[0].trials, results[1].trials))
    both = [pair for pair in pairs if pair is not None]
    if not both:
        return {}
    return {"record": str(mean([one for one, _ in both])), "confirmed": str(mean([other for _, other in both]))}


async def decide(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Accept the mutant if the comparison says so; say whether it leads from now on."""
    if state.get("outcome"):
        return {}
    search, n = runtime.context.search, state["n"]
    scores = {name: Fraction(score) for name, score in state["scores"].items()}
    known = compared_of(await search.archive.iteration(n))
    comparison = f"{decimal(scores['mutant'])} against the parent's {decimal(scores['parent'])}"
    comparison += f" on block {state['block']}" if known is None else f", {known['reason']}"
    accepted = scores["mutant"] > scores["parent"] if known is None else known["outcome"] == "accepted"
    if not accepted:
        return {"outcome": "rejected" if known is None else known["outcome"], "reason": comparison}
    if "confirmed" in scores:
        comparison += (
            f"; on {search.settings.confirm} fresh blocks {decimal(scores['confirmed'])}"
            f" against the leader's {decimal(scores['record'])}"
        )
    if not search.settings.confirm:
        await _take_the_lead(search, n, state["mutant"], scores["mutant"])
    return {"outcome": "accepted", "reason": comparison, "record": bool((await search.archive.iteration(n))["led"])}


async def _take_the_lead(search: Search, n: int, pack: str, score: Fraction) -> None:
    """Note that a mutant leads from now on, if its score is above every mean of the population, or its estimate is."""
    archive = search.archive
    async with search.leading:
        if isinstance(search.acceptance, Strict) and search.settings.estimator == "mean":
            members = [member for member in await archive.members() if member.pack != pack]
            leads = all(member.score is None or score > member.score for member in members)
        else:
            leads = await _would_lead(search, pack)
        if leads:
            led = (await archive.iteration(n))["led"] or await archive.leads() + 1
            await record_lead(archive.store, n, pack, led)


async def record(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """End the iteration: its row, the mutant's place in or out of the population, an entry of the history log."""
    search, n, outcome = runtime.context.search, state["n"], state["outcome"]
    scores = {name: float(Fraction(score)) for name, score in state.get("scores", {}).items()}
    ended = EndedIteration(
        n=n,
        outcome=outcome,
        reason=state["reason"],
        summary=history_entry(state),
        mutant=state.get("mutant") or None,
        parent_score=scores.get("parent"),
        mutant_score=scores.get("mutant"),
        record=state.get("record", False),
        ended_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    judged = state.get("mutant") and outcome in {"accepted", "rejected"}
    await record_ended(search.archive.store, ended, await _placed(search, state) if judged else None)
    search.on_event(
        RecordedEvent(
            iteration=n,
            outcome=outcome,
            reason=ended.reason,
            summary=ended.summary,
            mutant=ended.mutant,
            parent_score=ended.parent_score,
            mutant_score=ended.mutant_score,
            record=int(ended.record),
            ended_at=ended.ended_at,
            parent=state["parent"],
        )
    )
    return {}


async def _placed(search: Search, state: OptState) -> Placed | None:
    """Return what becomes of the mutant. A member stays one: the same edit may come out of two parents.

    One that was rejected before and is accepted now is the work of the iteration that accepted it.
    """
    mutant, outcome = state["mutant"], state["outcome"]
    members = {member.pack for member in await search.archive.members()}
    if mutant in members:
        return None
    becomes: Literal["member", "rejected"] = "rejected" if outcome == "rejected" else "member"
    return Placed(mutant, becomes, parent=state["parent"], n=state["n"], summary=state.get("summary", ""))


def history_entry(state: OptState) -> str:
    """Return an iteration's entry of the history log, in one line."""
    scores = {name: decimal(Fraction(score), 3) for name, score in state.get("scores", {}).items()}
    change = " ".join(state.get("summary", "").split()) or "no edit"
    if "mutant" in scores:
        change += f" (validation {scores['parent']} -> {scores['mutant']})"
    why = "" if state["outcome"] == "accepted" else f": {state['reason']}"
    return f"iteration {state['n']}, {state['outcome']}{why}. Edit: {change}"
