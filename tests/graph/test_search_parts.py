"""Parts of a search that its caller gives: rules, a proposer, stoppers, callbacks and trackers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from autodata import (
    AnalysedEvent,
    Ask,
    CallFailed,
    Comparison,
    EditedEvent,
    Estimates,
    EvaluatedEvent,
    EvaluatingEvent,
    Evidence,
    IterationEvent,
    Material,
    Proposal,
    RecordedEvent,
    Ruling,
    SearchCallback,
    SearchStanding,
    TrialEvent,
    UserError,
    open_search,
    optimize,
)
from autodata.models import factory
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.models.simulated.world import META_WORLD
from autodata.nodes.optimizer.estimate import MeanEstimator
from autodata.nodes.optimizer.selectors import Greedy
from autodata.runner.events import EndedEvent
from autodata.runner.optimization.archive import LedgerArchive
from autodata.runner.optimization.callbacks import Watchers
from autodata.runner.optimization.own import Own
from autodata.runner.optimization.session import Optimization, OptimizeRunConfig, open_optimization
from autodata.runner.outcome import Outcome
from tests.graph.test_optimizer import (
    FEW,
    SPLITS,
    OneFailure,
    Rates,
    Scripted,
    by_order,
    config,
    editor,
    edits,
    half,
    insert,
)
from tests.graph.test_optimizer import turn as one_turn

__all__ = ["editor"]


@asynccontextmanager
async def opened(
    folder: Path, settings: OptimizeRunConfig, rates: Rates = half, **own: Any
) -> AsyncIterator[Optimization]:
    async with open_optimization(
        settings, folder, evaluator=Scripted(rates), trajectories=OneFailure(), own=Own(**own)
    ) as session:
        await session.add_documents(SPLITS)
        yield session


async def run(
    folder: Path, settings: OptimizeRunConfig, rates: Rates = half, **own: Any
) -> tuple[Outcome, list[dict[str, Any]]]:
    async with opened(folder, settings, rates, **own) as session:
        outcome = await session.run()
        return outcome, await session.ledger.read("select * from iterations order by iteration")


class Halved:
    """An estimator that halves every mean."""

    name = "halved"

    def estimate(self, evidence: Sequence[Evidence]) -> Estimates:
        found = MeanEstimator().estimate(evidence)
        object.__setattr__(found, "means", [mean / 2 for mean in found.means])
        return found


@dataclass
class Never:
    """An acceptance that refuses whatever it sees."""

    name: str = "never"
    shared: bool = False
    seen: list[Comparison] = field(default_factory=list)

    def rule(self, seen: Comparison) -> Ruling:
        self.seen.append(seen)
        return Ruling("rejected", "never")


class Appending:
    """A proposer that asks what to add, and adds it to the challenger's prompt."""

    def __init__(self, role: str = "challenger", replies: Sequence[str] = ()) -> None:
        self.role, self.replies, self.seen = role, list(replies), list[Material]()

    async def propose(self, material: Material) -> Proposal:
        self.seen.append(material)
        said = await material.ask(f"What is to be added? Attempt {len(self.seen)}.") if not self.replies else ""
        added = self.replies.pop(0) if self.replies else said
        text = material.prompts["challenger"]
        return Proposal({self.role: f"{text}{added}\n"}, f"adds\n{added}")


async def test_an_estimator_of_ones_own_gives_the_rates_and_a_folder_keeps_to_it(tmp_path: Path, editor: Any) -> None:
    editor(edits(one_turn(insert("Better sentences."))))
    rates = by_order(4, 8)
    async with opened(tmp_path / "opt", config(1), rates, estimator=Halved()) as session:
        await session.run()
        winner = await session.archive.winner(session._config.optimize)
        figures = await session.archive.figures(winner, session._config.optimize)
        assert figures["iteration"] == 1
        assert figures["score"] == 0.4
        stranger = await LedgerArchive.of(session.ledger, "opt")
        assert await stranger.winner(session._config.optimize) == winner
        assert (await stranger.figures(winner, session._config.optimize))["score"] == 0.8
    with pytest.raises(UserError, match=r"begun with estimator=Halved\(\): go on with the same"):
        await run(tmp_path / "opt", config(2), rates)
    with pytest.raises(UserError, match="begun with no selector of its own"):
        await run(tmp_path / "opt", config(2), rates, estimator=Halved(), selector=Greedy())
    await run(tmp_path / "opt", config(2), rates, estimator=Halved())


async def test_an_acceptance_of_ones_own_decides_and_a_selector_chooses(tmp_path: Path, editor: Any) -> None:
    editor(edits(one_turn(insert("Better sentences."))))
    acceptance = Never()
    _, rows = await run(tmp_path / "opt", config(2), acceptance=acceptance, selector=Greedy())
    assert [row["outcome"] for row in rows] == ["rejected", "rejected"]
    assert [row["reason"] for row in rows] == ["never", "never"]
    assert len(acceptance.seen) == 2


async def test_a_proposer_of_ones_own_sees_the_failures_and_its_edit_is_validated(tmp_path: Path) -> None:
    proposer = Appending(replies=["Ask for more steps."])
    _, (row,) = await run(tmp_path / "opt", config(1), by_order(4, 8), proposer=proposer)
    assert row["outcome"] == "accepted"
    assert row["analysis"] is None
    assert json.loads(row["edits"])["summary"] == "adds Ask for more steps."
    (material,) = proposer.seen
    assert [failure.failure_mode for failure in material.failures] == ["too_easy"]
    assert material.problems({"challenger": material.prompts["challenger"] + "Ask for figures.\n"}) == []
    [refused, _unchanged] = material.problems({"verifier": "x"})
    assert refused == f"verifier.md may not be edited: {', '.join(material.prompts)} may"


@pytest.mark.parametrize(
    ("role", "reply", "said"),
    [
        ("verifier", "x", "verifier.md may not be edited"),
        ("challenger", "{{ odd }}", "challenger.md: {{odd}} is not declared"),
    ],
)
async def test_what_a_proposer_may_not_change_is_refused(tmp_path: Path, role: str, reply: str, said: str) -> None:
    _, (row,) = await run(tmp_path / "opt", config(1), proposer=Appending(role, [reply]))
    assert row["outcome"] == "unchanged"
    assert said in row["reason"].replace("{{ odd }}", "{{odd}}")
    assert len(json.loads(row["edits"])["refusals"]) == 1


async def test_an_unsound_edit_of_a_proposer_is_never_validated(tmp_path: Path) -> None:
    copied = " ".join(SPLITS["validate"][0].text.split()[:30])
    _, (row,) = await run(tmp_path / "opt", config(1), proposer=Appending(replies=[copied]))
    assert row["outcome"] == "invalid"


async def test_what_a_proposer_asks_is_recorded_and_not_paid_for_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Editor(SimulatedChatModel):
        def reply(self, turns: Sequence[Mapping[str, str]], seed: int) -> tuple[str, str]:
            asked.append(turns[-1]["content"])
            return "Ask for a proof.", "stop"

    class Falls(Appending):
        async def propose(self, material: Material) -> Proposal:
            await super().propose(material)
            raise OSError("pulled the plug")

    monkeypatch.setattr(factory, "SimulatedChatModel", Editor)
    Falls.__qualname__ = Appending.__qualname__
    with pytest.raises(OSError, match="plug"):
        await run(tmp_path / "opt", config(1), proposer=Falls())
    _, (row,) = await run(tmp_path / "opt", config(1), by_order(8), proposer=Appending())
    assert row["outcome"] == "accepted"
    assert asked == ["What is to be added? Attempt 1."]


@pytest.mark.parametrize(("refused", "outcomes"), [(False, ["open"]), (True, ["errored", "errored", "open"])])
async def test_a_proposer_whose_model_is_gone_pauses_the_search_and_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: bool, outcomes: list[str]
) -> None:
    there = False

    class Editor(SimulatedChatModel):
        def reply(self, turns: Sequence[Mapping[str, str]], seed: int) -> tuple[str, str]:
            if not there:
                raise CallFailed("the editor gave no reply", refused=refused)
            return "Ask for a proof.", "stop"

    monkeypatch.setattr(factory, "SimulatedChatModel", Editor)
    outcome, rows = await run(tmp_path / "opt", config(6), proposer=Appending())
    assert (outcome.failed, outcome.stopped) == (True, "editor: the editor gave no reply")
    assert [row["outcome"] for row in rows] == outcomes
    there = True
    outcome, rows = await run(tmp_path / "opt", config(len(outcomes)), by_order(8), proposer=Appending())
    assert outcome.stopped == ""
    assert rows[-1]["outcome"] == "accepted"


async def test_a_search_ends_without_improvement_and_opens_its_test(tmp_path: Path, editor: Any) -> None:
    editor(edits(one_turn(insert("Worse sentences."))))
    outcome, rows = await run(tmp_path / "opt", config(9, patience=2))
    assert (len(rows), outcome.ended, outcome.stopped) == (2, "no new leader in 2 iterations", "")
    assert len(outcome.held_out) == 1
    outcome, rows = await run(tmp_path / "opt", config(9, patience=3))
    assert len(rows) == 3


async def test_a_search_ends_once_the_rate_is_reached(tmp_path: Path, editor: Any) -> None:
    editor(edits(one_turn(insert("Better sentences."))))
    outcome, rows = await run(tmp_path / "opt", config(9, reach=0.7), by_order(4, 8))
    assert len(rows) == 1
    assert outcome.ended == "the leader's pass rate is estimated at 0.800, and 0.7 was to be reached"


async def test_a_stopper_of_ones_own_ends_it_before_anything_is_paid(tmp_path: Path, editor: Any) -> None:
    editor(edits(one_turn(insert("Better sentences."))))
    seen: list[SearchStanding] = []

    def after_two(standing: SearchStanding) -> str:
        seen.append(standing)
        return "enough" if standing.ended >= 2 else ""

    outcome, rows = await run(tmp_path / "opt", config(9), stoppers=[after_two])
    assert (len(rows), outcome.ended) == (2, "enough")
    assert [one.ended for one in seen] == [0, 1, 2]
    assert seen[0].rate is None
    assert seen[2].baseline_rate == 0.5
    assert seen[2].usage.calls > seen[1].usage.calls > 0
    outcome, rows = await run(tmp_path / "opt", config(9), stoppers=[after_two])
    assert len(rows) == 2


async def test_a_stop_file_pauses_a_search_and_the_same_call_goes_on(tmp_path: Path, editor: Any) -> None:
    editor(edits(one_turn(insert("Worse sentences."))))
    file = tmp_path / "stop"

    class Stops(SearchCallback):
        def on_recorded(self, event: RecordedEvent) -> None:
            file.touch()

    settings = config(3, stop_file=str(file))
    outcome, rows = await run(tmp_path / "opt", settings, callbacks=[Stops()])
    assert len(rows) <= 2
    assert rows[0]["outcome"] == "rejected"
    assert outcome.stopped == f"the stop file {file} is there: remove it to go on"
    assert (outcome.failed, outcome.held_out) == (False, [])
    again, rows = await run(tmp_path / "opt", settings)
    assert again.stopped == outcome.stopped
    assert len(rows) <= 2
    file.unlink()
    outcome, rows = await run(tmp_path / "opt", settings)
    assert (len(rows), outcome.stopped) == (3, "")
    assert outcome.held_out


class Counted:
    """An estimator of one's own, and its estimates: passed trials, one added to either side."""

    name = "counted"

    def __init__(self, rates: Mapping[str, float] | None = None) -> None:
        self.rates = rates or {}

    def estimate(self, evidence: Sequence[Evidence]) -> Counted:
        counts = {one.pack: sum(passed for passed, _ in one.counts.values()) for one in evidence}
        return Counted({one.pack: (counts[one.pack] + 1) / (one.tried + 2) for one in evidence})

    def rate(self, pack: str) -> float:
        return self.rates[pack]

    def interval(self, pack: str) -> tuple[float, float]:
        return self.rates[pack] / 2, self.rates[pack]

    def better(self, one: str, other: str) -> float:
        return float(self.rates[one] > self.rates[other])

    def draw(self, packs: Sequence[str], seed: int, count: int) -> list[list[float]]:
        return [[self.rates[pack] for pack in packs]] * count


class Youngest:
    """A selector of one's own."""

    def probabilities(self, packs: Sequence[str], estimates: Estimates, seed: int) -> list[float]:
        return [float(at == len(packs) - 1) for at in range(len(packs))]


class TwoDocuments:
    """An acceptance of one's own: everything joins after two documents."""

    name = "two"
    shared = False

    def rule(self, seen: Comparison) -> Ask | Ruling:
        return Ruling("accepted", "joins") if len(seen.mutant) >= 2 else Ask("mutant", 2)


class Adding:
    """A proposer of one's own that asks no model."""

    async def propose(self, material: Material) -> Proposal:
        added = f"Ask for {material.iteration + 2} steps."
        return Proposal({"challenger": f"{material.prompts['challenger']}{added}\n"}, added)


@pytest.mark.slow
def test_a_search_of_ones_own_parts_alone_from_outside(tmp_path: Path) -> None:
    """Nothing of the package is inherited but by the callback, and nothing imported that is not public."""
    records, seen = Records(), list[SearchStanding]()

    def enough(standing: SearchStanding) -> str:
        seen.append(standing)
        return "enough" if standing.ended == 2 else ""

    documents = [{"text": one.text, "id": one.name} for one in FEW["train"][:2] + FEW["validate"][:2]]
    given: dict[str, Any] = {
        "models": {"default": "simulated:strong", "weak_solver": "simulated:weak"},
        "config": {"simulated": META_WORLD.model_dump() | {"fault_rate": 0.9}, "optimize": {"wave": 2}},
        "max_rounds": 1,
        "progress": False,
    }
    result = optimize(
        documents[:2],
        documents[2:],
        out=tmp_path / "opt",
        estimator=Counted(),
        selector=Youngest(),
        acceptance=TwoDocuments(),
        proposer=Adding(),
        callbacks=[records],
        stoppers=[enough],
        **given,
    )
    assert (result.status, result.stopped) == ("complete", "enough")
    assert [(row["outcome"], row["edits"]["summary"]) for row in result.iterations] == [
        ("accepted", "Ask for 3 steps."),
        ("accepted", "Ask for 4 steps."),
    ]
    assert result.iterations[1]["parent"] == result.iterations[0]["mutant"]
    assert [name for name, _ in records.seen].count("recorded") == 2
    assert result.rate == seen[-1].rate
    assert result.rate is not None
    assert result.interval == (result.rate / 2, result.rate)
    assert open_search(tmp_path / "opt", estimator=Counted()).rate == result.rate


@pytest.mark.parametrize("bound", [{"max_calls": 1}, {"max_tokens": 1}, {"max_usd": 1e-9}, {"max_seconds": 1e-6}])
async def test_each_budget_stops_a_search_which_goes_on_with_more(
    tmp_path: Path, editor: Any, bound: dict[str, float]
) -> None:
    editor(edits(one_turn(insert("Better sentences."))))
    given = config(2).model_dump(exclude_unset=True)
    given["models"]["default"] |= {"price_in": 1.0, "price_out": 4.0}
    bounded, free = [OptimizeRunConfig.model_validate({**given, "budget": budget}) for budget in (bound, {})]
    outcome, rows = await run(tmp_path / "opt", bounded)
    (name,) = bound
    assert f"--{name.replace('_', '-')}" in outcome.stopped
    assert (outcome.failed, outcome.held_out) == (False, [])
    assert all(row["outcome"] == "open" for row in rows)
    outcome, rows = await run(tmp_path / "opt", free)
    assert (len(rows), outcome.stopped) == (2, "")
    assert outcome.held_out


class Records(SearchCallback):
    """Notes what it is given, by method."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def on_iteration(self, event: IterationEvent) -> None:
        self.seen.append(("iteration", event))

    def on_evaluating(self, event: EvaluatingEvent) -> None:
        self.seen.append(("evaluating", event))

    def on_evaluated(self, event: EvaluatedEvent) -> None:
        self.seen.append(("evaluated", event))

    def on_analysed(self, event: AnalysedEvent) -> None:
        self.seen.append(("analysed", event))

    def on_edited(self, event: EditedEvent) -> None:
        self.seen.append(("edited", event))

    def on_recorded(self, event: RecordedEvent) -> None:
        self.seen.append(("recorded", event))

    def on_trial(self, event: TrialEvent) -> None:
        self.seen.append(("trial", event))

    def on_standing(self, standing: SearchStanding) -> None:
        self.seen.append(("standing", standing))


async def test_each_method_of_a_callback_is_given_its_own_events(tmp_path: Path, editor: Any) -> None:
    editor(edits(one_turn(insert("Better sentences."))))
    records = Records()
    await run(tmp_path / "opt", config(1), callbacks=[records])
    assert [name for name, _ in records.seen if not name.startswith("evaluat")] == [
        "standing",
        "iteration",
        "analysed",
        "edited",
        "recorded",
        "standing",
    ]
    assert {name: type(event).__name__ for name, event in records.seen} == {
        "standing": "SearchStanding",
        "iteration": "IterationEvent",
        "evaluating": "EvaluatingEvent",
        "evaluated": "EvaluatedEvent",
        "analysed": "AnalysedEvent",
        "edited": "EditedEvent",
        "recorded": "RecordedEvent",
    }


def test_a_callback_is_given_what_happens_to_documents() -> None:
    records = Records()
    Watchers([records], []).event(TrialEvent("train-p-i1", EndedEvent("d")))
    assert [name for name, _ in records.seen] == ["trial"]


async def test_a_callback_that_raises_is_left_out_and_the_search_goes_on(tmp_path: Path, editor: Any) -> None:
    editor(edits(one_turn(insert("Better sentences."))))

    class Breaks(SearchCallback):
        def on_evaluated(self, event: EvaluatedEvent) -> None:
            raise ValueError("no\nroom")

    records = Records()
    outcome, rows = await run(tmp_path / "opt", config(2), callbacks=[Breaks(), records])
    assert len(rows) == 2
    assert outcome.notes == ["Breaks is not called again: it raised ValueError: no room"]
    assert sum(name == "recorded" for name, _ in records.seen) == 2


@dataclass
class Kept:
    """A tracker that keeps what it is sent; `broken` names the method that raises."""

    name: str = "kept"
    broken: str = ""
    sent: list[tuple[Any, ...]] = field(default_factory=list)

    def begin(self, run: str, settings: Mapping[str, str], earlier: str) -> str:
        self._note("begin", run, dict(settings), earlier)
        return earlier or "run-7"

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self._note("log", dict(figures), step)

    def end(self) -> None:
        self._note("end")

    def _note(self, method: str, *values: Any) -> None:
        if method == self.broken:
            raise ConnectionError("no\nserver")
        self.sent.append((method, *values))


async def test_a_tracker_is_sent_settings_and_figures_and_goes_on_with_its_run(tmp_path: Path, editor: Any) -> None:
    editor(edits(one_turn(insert("Better sentences."))))
    tracker = Kept()
    await run(tmp_path / "opt", config(1), by_order(4, 8), trackers=[tracker])
    (begun, name, settings, earlier), *logged, ended = tracker.sent
    assert (begun, name, earlier, ended) == ("begin", "opt", "", ("end",))
    assert settings["optimize.iterations"] == "1"
    assert settings["models.editor"] == "simulated:strong"
    assert not [key for key in settings if "url" in key or "key" in key or "file" in key]
    assert [step for _, _, step in logged] == [0, 1, 1]
    assert logged[1][1] == {"parent_score": 0.4, "mutant_score": 0.8}
    last = logged[2][1]
    assert (last["iterations"], last["accepted"], last["rate"], last["baseline_rate"]) == (1, 1, 0.8, 0.4)
    assert last["rate_low"] < 0.8 < last["rate_high"]
    again = Kept()
    await run(tmp_path / "opt", config(2), by_order(4, 8), trackers=[again])
    assert again.sent[0][3] == "run-7"


@pytest.mark.parametrize("broken", ["begin", "log", "end"])
async def test_a_tracker_that_fails_costs_the_search_nothing(tmp_path: Path, editor: Any, broken: str) -> None:
    editor(edits(one_turn(insert("Better sentences."))))
    outcome, rows = await run(tmp_path / "opt", config(2), trackers=[Kept(broken=broken), whole := Kept("whole")])
    assert len(rows) == 2
    assert outcome.notes == ["kept failed and gets no more figures: ConnectionError: no server"]
    assert whole.sent[-1] == ("end",)


async def test_two_trackers_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two trackers are called 'kept'"):
        await run(tmp_path / "opt", config(1), trackers=[Kept(), Kept()])
