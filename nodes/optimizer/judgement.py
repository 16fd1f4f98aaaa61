"""The last steps of an iteration: validate the mutant, decide, record (paper, section 6, 5-7). Code decides."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from langgraph.runtime import Runtime

from autodata.nodes.acceptance import decimal
from autodata.nodes.optimizer.evaluator import Lost
from autodata.nodes.optimizer.examiner import evaluation_id, examine
from autodata.nodes.optimizer.racing import cannot_win, hardly_wins
from autodata.nodes.optimizer.selection import CONFIRM
from autodata.nodes.optimizer.state import OptContext, OptState, Result, Search
from autodata.nodes.rubric import mean
from autodata.prompts import PromptPack


async def validate(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Validate the mutant on the block that its parent was validated on; confirm it on fresh ones where it leads.

    The parent's stored result is the other half of the comparison. Racing may stop a mutant that has lost.
    """
    search = runtime.context.search
    mutant, parent = await search.archive.pack(state["mutant"]), Fraction(state["scores"]["parent"])
    lost = await _racing(search, state, parent)
    result = await examine(search, mutant, "validate", state["block"], iteration=state["n"], lost=lost)
    scores = dict(state["scores"])
    if not result.complete:
        passed = sum(trial.passed for trial in result.trials)
        return {
            "scores": scores,
            "outcome": "rejected",
            "reason": f"given up after {len(result.trials)} documents, {passed} of them passed,"
            f" against the parent's {decimal(parent)} on block {state['block']}",
        }
    if result.score is None:
        return {"scores": scores, "outcome": "errored", "reason": "every validation document of the mutant errored"}
    scores["mutant"] = str(result.score)
    if search.settings.confirm and result.score > parent:
        scores |= await _confirmed(search, state["n"], mutant, result)
    return {"scores": scores}


async def _racing(search: Search, state: OptState, parent: Fraction) -> Lost | None:
    settings, archive = search.settings, search.archive
    if settings.racing == "off":
        return None
    documents = len(await archive.documents("validate"))
    stored = await archive.result(evaluation_id("validate", state["parent"], state["block"]))
    if settings.racing == "exact" or stored is None:
        return cannot_win(parent, documents)
    return hardly_wins(stored.trials, documents, settings.wave, settings.racing_error)


async def _confirmed(search: Search, n: int, mutant: PromptPack, result: Result) -> dict[str, str]:
    """Evaluate a mutant that would lead, and the pack that leads now, on fresh blocks; return both means."""
    leader = await search.archive.pack(await search.archive.record())
    known = next(member for member in await search.archive.members() if member.pack == leader.version)
    if result.score is None or known.score is None or result.score <= known.score:
        return {}
    means: dict[str, str] = {}
    for name, pack in (("record", leader), ("confirmed", mutant)):
        scores = []
        for k in range(search.settings.confirm):
            fresh = await examine(search, pack, "validate", CONFIRM + 100 * n + k, iteration=n)
            if fresh.score is not None:
                scores.append(fresh.score)
        if scores:
            means[name] = str(mean(scores))
    return means if len(means) == 2 else {}


async def decide(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """Accept the mutant only if it is strictly better on the shared block; say whether it leads from now on."""
    if state.get("outcome"):
        return {}
    search = runtime.context.search
    scores = {name: Fraction(score) for name, score in state["scores"].items()}
    mutant, parent = scores["mutant"], scores["parent"]
    told = f"{decimal(mutant)} against the parent's {decimal(parent)} on block {state['block']}"
    if mutant <= parent:
        return {"outcome": "rejected", "reason": told}
    if search.settings.confirm:
        leads = "confirmed" in scores and scores["confirmed"] > scores["record"]
        if "confirmed" in scores:
            told += (
                f"; on {search.settings.confirm} fresh blocks {decimal(scores['confirmed'])}"
                f" against the leader's {decimal(scores['record'])}"
            )
    else:
        members = await search.archive.members()
        leads = all(member.score is None or mutant > member.score for member in members)
    return {"outcome": "accepted", "reason": told, "record": leads}


async def record(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
    """End the iteration: its row, the mutant's place in or out of the population, an entry of the history log."""
    search, n, outcome = runtime.context.search, state["n"], state["outcome"]
    scores = {name: float(Fraction(score)) for name, score in state.get("scores", {}).items()}
    row = {
        "iteration": n,
        "outcome": outcome,
        "reason": state["reason"],
        "summary": history_entry(state),
        "mutant": state.get("mutant") or None,
        "parent_score": scores.get("parent"),
        "mutant_score": scores.get("mutant"),
        "record": int(state.get("record", False)),
        "ended_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    rows: dict[str, list[dict[str, Any]]] = {"iterations": [row]}
    if state.get("mutant") and outcome in {"accepted", "rejected"}:
        rows["packs"] = await _place(search, state["mutant"], outcome)
    await search.archive.save(**rows)
    search.on_event({"event": "recorded", **row, "parent": state["parent"]})
    return {}


async def _place(search: Search, mutant: str, outcome: str) -> list[dict[str, Any]]:
    """Return the mutant's new state. A member stays one: the same edit may come out of two parents."""
    members = {member.pack for member in await search.archive.members()}
    if mutant in members:
        return []
    return [{"pack": mutant, "state": "member" if outcome == "accepted" else "rejected"}]


def history_entry(state: OptState) -> str:
    """Return an iteration's entry of the history log, in one line."""
    scores = {name: decimal(Fraction(score), 3) for name, score in state.get("scores", {}).items()}
    change = " ".join(state.get("summary", "").split()) or "no edit"
    if "mutant" in scores:
        change += f" (validation {scores['parent']} -> {scores['mutant']})"
    why = "" if state["outcome"] == "accepted" else f": {state['reason']}"
    return f"iteration {state['n']}, {state['outcome']}{why}. Edit: {change}"
