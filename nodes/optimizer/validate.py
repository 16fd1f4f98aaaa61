"""The last steps of an iteration: validate the mutant, decide, record (paper, section 6, 5-7). Code decides."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Literal

from langgraph.runtime import Runtime

from autodata.checkpoints.writes import EndedIteration, Placed, record_ended, record_lead, record_leader
from autodata.domains.acceptance.bounds import decimal
from autodata.domains.acceptance.rubric_score import mean
from autodata.nodes.optimizer.evaluate import evaluation_id, examine
from autodata.nodes.optimizer.evaluator import Lost
from autodata.nodes.optimizer.events import RecordedEvent
from autodata.nodes.optimizer.population import CONFIRM
from autodata.nodes.optimizer.racing import cannot_win, hardly_wins, paired
from autodata.nodes.optimizer.state import OptContext, OptState, Result, Search
from autodata.prompts import PromptPack


async def validate(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Validate the mutant on the block that its parent was validated on; confirm it on fresh ones where it leads.

    The parent's stored result is the other half of the comparison. Racing may stop a mutant that has lost.
    """
    search = runtime.context.search
    mutant = await search.archive.pack(state["mutant"])
    parent = await search.archive.result(evaluation_id("validate", state["parent"], state["block"]))
    if parent is None:
        raise ValueError(f"pack {state['parent']} was not validated on block {state['block']}")
    lost = _racing(search, parent)
    result = await examine(search, mutant, "validate", state["block"], iteration=state["n"], lost=lost)
    scores = dict(state["scores"])
    if not result.complete:
        passed = sum(trial.passed for trial in result.trials)
        return {
            "scores": scores,
            "outcome": "rejected",
            "reason": f"given up after {len(result.trials)} documents, {passed} of them passed,"
            f" against the parent's {decimal(Fraction(scores['parent']))} on block {state['block']}",
        }
    both = paired(parent.trials, result.trials)
    if both is None:
        return {
            "scores": scores,
            "outcome": "errored",
            "reason": "parent and mutant share no document without an error",
        }
    scores |= {"parent": str(both[0]), "mutant": str(both[1])}
    if search.settings.confirm and both[1] > both[0]:
        scores |= await _confirmed(search, state["n"], mutant, result)
    return {"scores": scores}


def _racing(search: Search, parent: Result) -> Lost | None:
    settings = search.settings
    if settings.racing == "off":
        return None
    if settings.racing == "exact":
        return cannot_win(parent.trials)
    return hardly_wins(parent.trials, settings.wave, settings.racing_error)


async def _confirmed(search: Search, n: int, mutant: PromptPack, result: Result) -> dict[str, str]:
    """Evaluate a mutant that would lead, and the pack that leads now, on fresh blocks; return both means.

    Whom it is compared with is written down before it is paid for, so that a session that was cut off goes on with the
    same comparison. Workers take turns: a leader that was overtaken meanwhile is compared with anew.
    """
    archive = search.archive
    async with search.leading:
        row = await archive.iteration(n)
        if row["led"]:
            kept: dict[str, str] = json.loads(row["confirmed"])
            return kept
        leader = row["leader"]
        if leader is None:
            known = await archive.member(await archive.incumbent())
            would = known.score is None or (result.score is not None and result.score > known.score)
            leader = known.pack if would else ""
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
                await record_lead(archive.store, n, mutant.version, led, confirmed=means)
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
    """Accept the mutant only if it is strictly better on the shared block; say whether it leads from now on."""
    if state.get("outcome"):
        return {}
    search, n = runtime.context.search, state["n"]
    scores = {name: Fraction(score) for name, score in state["scores"].items()}
    mutant, parent = scores["mutant"], scores["parent"]
    comparison = f"{decimal(mutant)} against the parent's {decimal(parent)} on block {state['block']}"
    if mutant <= parent:
        return {"outcome": "rejected", "reason": comparison}
    if "confirmed" in scores:
        comparison += (
            f"; on {search.settings.confirm} fresh blocks {decimal(scores['confirmed'])}"
            f" against the leader's {decimal(scores['record'])}"
        )
    if not search.settings.confirm:
        await _take_the_lead(search, n, state["mutant"], mutant)
    return {"outcome": "accepted", "reason": comparison, "record": bool((await search.archive.iteration(n))["led"])}


async def _take_the_lead(search: Search, n: int, pack: str, score: Fraction) -> None:
    """Note that a mutant leads from now on, if its score is above every mean of the population."""
    archive = search.archive
    async with search.leading:
        members = await archive.members()
        if all(member.score is None or score > member.score for member in members if member.pack != pack):
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
