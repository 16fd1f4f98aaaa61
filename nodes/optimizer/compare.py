"""The comparison of parent and mutant: what is tried next is the acceptance's to say, and nothing is tried twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from autodata.nodes.optimizer.acceptance import Ask, Comparison, Ruling
from autodata.nodes.optimizer.estimate import Evidence
from autodata.nodes.optimizer.evaluate import evaluation_id, examine
from autodata.nodes.optimizer.evaluator import Trial
from autodata.nodes.optimizer.state import OptState, Search


async def compared(search: Search, state: OptState) -> Ruling:
    """Try parent and mutant as the acceptance asks, until it rules.

    Every answer depends on the ledger alone, so a session that was cut off goes on with the same comparison.
    """
    while True:
        answer = search.acceptance.rule(await _seen(search, state))
        if isinstance(answer, Ruling):
            return answer
        await _tried(search, state, answer)


async def _seen(search: Search, state: OptState) -> Comparison:
    block, versions = state["block"], (state["parent"], state["mutant"])
    parent, mutant = [await _from_block(search, version, block, alone=search.acceptance.shared) for version in versions]
    first = await search.archive.result(evaluation_id("validate", state["mutant"], block))
    evidence = await search.archive.evidence()
    validated = {one.pack: one.validated for one in evidence}
    return Comparison(
        block=block,
        parent=parent,
        mutant=mutant,
        complete=first is not None and first.complete,
        validated=(validated.get(state["parent"], 0), validated.get(state["mutant"], 0)),
        better=partial(_better, search, evidence, state["mutant"], state["parent"]),
    )


def _better(search: Search, evidence: Sequence[Evidence], mutant: str, parent: str) -> float:
    return search.estimator.estimate(evidence).better(mutant, parent)


async def _from_block(search: Search, version: str, block: int, *, alone: bool) -> list[Trial]:
    """Return a pack's trials on a block, and unless `alone` on those that follow it without a gap, in order.

    Where both are compared on one shared block, what either did on another, as an earlier mutant say, does not count.
    """
    found: list[Trial] = []
    for at in count(block):
        result = await search.archive.result(evaluation_id("validate", version, at))
        found += result.trials if result else ()
        if result is None or alone:
            return found
    raise AssertionError


async def _tried(search: Search, state: OptState, ask: Ask) -> None:
    """Try one of the two on further documents: those of the block, and then of the blocks behind it."""
    pack = await search.archive.pack(state[ask.side])
    for block in count(state["block"]):
        known = await search.archive.result(evaluation_id("validate", pack.version, block))
        if known is None or not known.complete:
            break
    made = len(known.trials) if known else 0
    lost = ask.lost if ask.documents is None else enough(made + ask.documents)
    await examine(search, pack, "validate", block, iteration=state["n"], lost=lost)


def enough(documents: int) -> Callable[[Sequence[Trial]], bool]:
    """Return a test that holds once so many documents were tried."""

    def reached(trials: Sequence[Trial]) -> bool:
        return len(trials) >= documents

    return reached
