"""A search under its default rules: sequential comparisons, posterior estimates, merges, pauses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import CallFailed, Stopped
from autodata.cli.optimize_show import read_iteration
from autodata.models import factory
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.nodes.optimizer.estimate import PosteriorEstimator
from autodata.nodes.optimizer.evaluate import training_id
from autodata.nodes.optimizer.evaluator import EvaluationRequest, Trial
from autodata.nodes.optimizer.settings import BEFORE, OptimizeConfig
from autodata.nodes.optimizer.validate import compared_of
from autodata.runner.optimization.splits import near_copies
from tests.graph.test_optimizer import (
    DOCUMENTS,
    A,
    OneFailure,
    R,
    Scripted,
    config,
    editor,
    edits,
    half,
    insert,
    searched,
    searching,
    turn,
)
from tests.support.runs import read_tables

__all__ = ["editor"]

DEFAULTS: dict[str, Any] = {
    "estimator": "posterior",
    "accept": "sequential",
    "wave": 5,
    "merge": 0.5,
    "select": "thompson",
}


def rated(request: EvaluationRequest) -> list[Any]:
    """Packs pass more documents the more often their challenger's prompt says `Better`."""
    share = min(9, 3 + 2 * request.pack["challenger"].text.count("Better"))
    return [A if (7 * k + request.block) % 10 < share else R for k in range(len(request.documents))]


def numbered(word: str = "Better") -> Any:
    number = iter(range(1000))
    return lambda prompt: json.dumps(turn(insert(f"{word} sentences of kind {(n := next(number))}.", line=14 + n % 3)))


async def test_a_better_mutant_is_accepted_as_soon_as_that_is_likely(tmp_path: Path, editor: Any) -> None:
    editor(numbered())
    evaluator = Scripted(rated)
    _, rows = await searched(tmp_path / "opt", config(1, **DEFAULTS), evaluator)
    (row,) = rows
    known = compared_of(row)
    assert known is not None
    assert (row["outcome"], row["record"]) == ("accepted", 1)
    assert known["better"] > OptimizeConfig().accept_above
    assert "better with a probability of" in row["reason"]
    tried = [request for request in evaluator.asked if request.split == "validate"]
    assert row["block"] == 1, "never the block that the parent was chosen by"
    assert min(request.block for request in tried if request.pack.version == row["mutant"]) == 1


async def test_no_mutant_is_compared_on_a_block_that_its_parent_was_chosen_by(tmp_path: Path, editor: Any) -> None:
    editor(numbered())
    evaluator = Scripted(rated)
    _, rows = await searched(tmp_path / "opt", config(5, **{**DEFAULTS, "merge": 0}), evaluator)
    asked = evaluator.asked
    accepted = 0
    for row in rows:
        parent = row["parent"]
        begun = [request.evaluation for request in asked].index(training_id(parent, row["iteration"]))
        chosen_by = {one.block for one in asked[:begun] if (one.split, one.pack.version) == ("validate", parent)}
        first = next(one.block for one in asked[begun:] if one.pack.version == row["mutant"])
        assert first > max(chosen_by, default=0)
        accepted += row["parent"] != rows[0]["parent"]
    assert accepted, "no parent was accepted before: nothing is shown"


async def test_what_an_iteration_shows_is_all_that_its_comparison_rests_on(tmp_path: Path, editor: Any) -> None:
    """A comparison that bounds do not settle goes on to the blocks behind its first."""
    editor(numbered("Other"))
    folder, evaluator = tmp_path / "opt", Scripted(half)
    settings = config(1, **{**DEFAULTS, "merge": 0, "accept_above": 0.99, "reject_below": 0.01, "most_documents": 20})
    _, (row,) = await searched(folder, settings, evaluator)
    tried = [one for one in evaluator.asked if (one.split, one.pack.version) == ("validate", row["mutant"])]
    assert {request.block for request in tried} == {1, 2}
    found = await read_iteration(folder, 1)
    made = [one for one in read_tables(folder)["trials"] if f"validate-{row['mutant']}" in str(one)]
    shown = [one for one in found.documents if one["mutant"]]
    assert len(shown) == len(made) == 20
    assert {one["block"] for one in found.documents} == {1, 2}


async def test_a_decision_can_be_made_again_from_the_ledger(tmp_path: Path, editor: Any) -> None:
    """Evaluations belong to the iteration that asked for them: what came later is left out."""
    editor(numbered())
    async with searching(tmp_path / "opt", config(4, **DEFAULTS), Scripted(rated), OneFailure()) as session:
        await session.run()
        rows = await session.ledger.read("select * from iterations order by iteration")
        row = rows[-1]
        evidence = await session.archive.evidence()
        known = compared_of(row)
        assert known is not None
        better = PosteriorEstimator().estimate(evidence).better(row["mutant"], row["parent"])
        assert better == pytest.approx(known["better"])


async def test_a_stop_between_two_batches_changes_nothing_and_pays_nothing_twice(tmp_path: Path, editor: Any) -> None:
    class Stopping(Scripted):
        left = 3

        async def evaluate(self, request: EvaluationRequest) -> tuple[Trial, ...]:
            self.left -= 1
            if self.left < 0:
                raise Stopped("the budget --max-calls 1 is spent")
            return await super().evaluate(request)

    def plain(word: str) -> Any:
        return lambda prompt: json.dumps(turn(insert(f"{word} sentences {len(prompt)}.")))

    editor(plain("Better"))
    await searched(tmp_path / "whole", config(3, **DEFAULTS), Scripted(rated))
    for _ in range(60):
        ending, _ = await searched(tmp_path / "halting", config(3, **DEFAULTS), Stopping(rated))
        if not ending.stopped:
            break
    whole, halting = read_tables(tmp_path / "whole"), read_tables(tmp_path / "halting")
    for table in ("iterations", "packs", "trials", "calls"):
        assert halting[table] == whole[table], table


async def test_two_packs_are_merged_without_asking_a_model(tmp_path: Path, editor: Any) -> None:
    editor(numbered())
    settings = config(8, **{**DEFAULTS, "merge": 1.0, "select": "boltzmann", "temperature": 10.0})
    evaluator = Scripted(rated)
    async with searching(tmp_path / "opt", settings, evaluator, OneFailure()) as session:
        await session.run()
        rows = await session.ledger.read("select * from iterations order by iteration")
        asked = {row["n"] for row in await session.ledger.read("select n from calls")}
    merges = [row for row in rows if '"merged"' in row["edits"]]
    assert {"accepted", "rejected"} & {row["outcome"] for row in merges}, [row["outcome"] for row in rows]
    for row in merges:
        assert row["summary"].split("Edit: ")[1].startswith("merged with the pack of iteration")
        assert json.loads(row["minibatch"]) == []
        assert row["iteration"] not in asked
        if row["outcome"] in {"accepted", "rejected"}:
            assert ("validate", row["mutant"]) in {(one.split, one.pack.version) for one in evaluator.asked}


async def test_several_edits_are_made_from_one_analysis(tmp_path: Path, editor: Any) -> None:
    editor(numbered("Other"))
    evaluator = Scripted(half)
    _, rows = await searched(tmp_path / "opt", config(4, **{**DEFAULTS, "merge": 0, "proposals": 2}), evaluator)
    plans = [json.loads(row["edits"]).get("analysis_of") for row in rows]
    assert plans == [None, 1, None, 3]
    assert rows[0]["analysis"] == rows[1]["analysis"]
    assert rows[0]["parent"] == rows[1]["parent"]
    assert sum(request.split == "train" for request in evaluator.asked) == 2


async def test_a_dead_editor_pauses_the_search_and_the_same_command_asks_it_again(tmp_path: Path, editor: Any) -> None:
    editor(lambda prompt: "I would rather not.")
    ending, rows = await searched(tmp_path / "opt", config(6), Scripted(half))
    assert ending.failed
    assert "in 3 iterations in a row: look at models.editor" in ending.stopped
    assert [row["outcome"] for row in rows] == ["errored", "errored", "open"]
    again, rows = await searched(tmp_path / "opt", config(6), Scripted(half))
    assert again.failed
    assert len(rows) == 3
    editor(edits(turn(insert("Prefer short sentences."))))
    ending, rows = await searched(tmp_path / "opt", config(4), Scripted(half))
    assert ending.stopped == ""
    assert [row["outcome"] for row in rows][:3] == ["errored", "errored", "rejected"]


@pytest.mark.parametrize(("refused", "outcomes"), [(False, ["open"]), (True, ["errored", "errored", "open"])])
async def test_an_editor_that_cannot_be_reached_pauses_the_search_at_once(
    tmp_path: Path, editor: Any, refused: bool, outcomes: list[str]
) -> None:
    """One that refuses a request may take the next one: it has three iterations."""

    def gone(prompt: str) -> str:
        raise CallFailed("the editor gave no reply", refused=refused)

    editor(gone)
    ending, rows = await searched(tmp_path / "opt", config(6), Scripted(half))
    assert ending.failed
    assert ending.stopped == "editor: the editor gave no reply"
    assert [row["outcome"] for row in rows] == outcomes
    editor(edits(turn(insert("Prefer short sentences."))))
    ending, rows = await searched(tmp_path / "opt", config(4), Scripted(half))
    assert ending.stopped == ""
    assert rows[len(outcomes) - 1]["outcome"] == "rejected"
    assert len(rows) == 4


async def test_nothing_is_analysed_where_no_mutant_could_be_accepted(tmp_path: Path, editor: Any) -> None:
    """The paper's rule asks for strictly better, and a parent that passes everything cannot be beaten."""
    editor(numbered())
    settings = config(1, racing="exact", max_blocks=2)
    _, rows = await searched(tmp_path / "opt", settings, Scripted(lambda request: [A] * len(request.documents)))
    assert [row["outcome"] for row in rows] == ["unchanged"]
    assert "nothing could be strictly better there" in rows[0]["reason"]
    assert rows[0]["block"] == 1
    assert read_tables(tmp_path / "opt")["calls"] == []


@pytest.mark.slow
async def test_the_analyst_reads_accepted_rounds_and_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Reading(SimulatedChatModel):
        def reply(self, turns: Sequence[Mapping[str, str]], seed: int) -> tuple[str, str]:
            asked.append("\n\n".join(turn["content"] for turn in turns))
            return super().reply(turns, seed)

    monkeypatch.setattr(factory, "SimulatedChatModel", Reading)
    async with searching(tmp_path / "opt", config(1, contrast=2, excerpt=300, minibatch=3)) as session:
        await session.run()
    (prompt,) = [prompt for prompt in asked if "The failed rounds:" in prompt]
    assert "## Accepted, for contrast" in prompt
    assert "## How document 1 reads, in part" in prompt
    assert any(document.text[:40] in prompt for document in DOCUMENTS[:3])
    assert '"enum":["r1"' in prompt


async def test_text_of_a_training_document_is_refused(tmp_path: Path, editor: Any) -> None:
    """The editor has seen it, in the analyst's words or in an excerpt, and a prompt that holds it fits one document."""
    editor(edits(turn(insert(DOCUMENTS[3].text.split(".")[0]))))
    evaluator = Scripted(half)
    _, rows = await searched(tmp_path / "opt", config(1, editor_turns=2, **DEFAULTS), evaluator)
    assert [row["outcome"] for row in rows] == ["invalid"]
    assert "stands in a document of the search" in rows[0]["reason"]
    assert {request.pack.version for request in evaluator.asked} == {rows[0]["parent"]}


async def test_a_search_from_before_goes_on_by_the_rules_of_then(tmp_path: Path, editor: Any) -> None:
    editor(numbered())
    folder = tmp_path / "opt"
    _, rows = await searched(folder, config(1, **BEFORE), Scripted(rated))
    kept = json.loads(next(str(row[1]) for row in read_tables(folder)["meta"] if row[0] == "bearing"))
    assert "optimize.temperature" in kept
    assert not [name for name in BEFORE if f"optimize.{name}" in kept], "a search from before has none of them"
    begun = config(3)
    unnamed = {name: value for name, value in begun.optimize.model_dump(exclude_unset=True).items() if name != "merge"}
    unnamed = {name: value for name, value in unnamed.items() if name not in {"estimator", "accept"}}
    today = begun.model_copy(update={"optimize": OptimizeConfig.model_validate(unnamed)})
    assert (today.optimize.estimator, today.optimize.accept) == ("posterior", "sequential")
    _, rows = await searched(folder, today, Scripted(rated))
    assert len(rows) == 3
    assert [compared_of(row) for row in rows] == [None] * 3, "the paper's rule compares exact scores"
    assert all(" on block " in row["reason"] for row in rows)


async def test_an_unsound_merge_is_refused_unpaid_and_not_made_again(tmp_path: Path, editor: Any) -> None:
    """Either edit keeps to the longest prompt that is allowed, and both in one do not."""
    number = iter(range(1000))
    filler = "sentences of many words stand here, one behind the other, and on they go. " * 23
    editor(lambda prompt: json.dumps(turn(insert(f"Better {filler} {(n := next(number))}", line=14 + n % 3))))
    evaluator = Scripted(rated)
    settings = config(14, **{**DEFAULTS, "merge": 1.0, "select": "boltzmann", "temperature": 10.0, "growth": 1.5})
    _, rows = await searched(tmp_path / "opt", settings, evaluator)
    merges = [row for row in rows if '"merged"' in row["edits"]]
    assert merges, [(row["outcome"], row["reason"]) for row in rows]
    assert {row["outcome"] for row in merges} == {"invalid"}
    assert all("characters are too many" in row["reason"] for row in merges)
    assert not {row["mutant"] for row in merges} & {request.pack.version for request in evaluator.asked}
    assert len({row["mutant"] for row in merges}) == len(merges)


async def test_training_trials_are_evidence_on_a_rate(tmp_path: Path, editor: Any) -> None:
    editor(numbered("Other"))
    estimated: list[float] = []
    for passed in (R, A):

        def rates(request: EvaluationRequest, passed: Any = passed) -> list[Any]:
            return [passed] * len(request.documents) if request.split == "train" else half(request)

        settings = config(2, **{**DEFAULTS, "merge": 0})
        async with searching(tmp_path / str(passed), settings, Scripted(rates), OneFailure()) as session:
            await session.run()
            evidence = await session.archive.evidence()
            assert evidence[0].tried > evidence[0].validated, "the baseline was tried on training documents, too"
            estimated.append(PosteriorEstimator().estimate(evidence).rate(evidence[0].pack))
    assert estimated[0] < estimated[1]


def test_near_copies_across_splits_are_named() -> None:
    first = DOCUMENTS[0]
    copy = DOCUMENTS[1].model_copy(update={"text": first.text + " One more sentence.", "name": "copy.md"})
    (line,) = near_copies({"train": [first], "validate": [DOCUMENTS[2], copy]})
    assert line.startswith(f"copy.md of --validate is nearly the same as {first.name} of --train")
    assert near_copies({"train": [first, copy], "validate": [DOCUMENTS[2]]}) == []
