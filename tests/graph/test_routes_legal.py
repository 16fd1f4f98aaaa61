"""Every route of the inner loop in domain `legal`, through the real graph with scripted models."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import CallFailed, UnusableReply
from autodata.checkpoints.ids import document_id
from autodata.checkpoints.records import Candidate, Document, Example
from autodata.corpus.exporters.rows import plain_row
from autodata.domains.domain import LEGAL, Domain
from autodata.domains.tasks.base import Missing
from autodata.domains.tasks.legal_filters import POST_FILTERS
from autodata.domains.tasks.registry import TASK_TYPES
from autodata.domains.tasks.rubric import RubricTask
from autodata.domains.tasks.schemas import Weighted
from autodata.graphs.self_instruct import build_self_instruct
from autodata.models.simulated.world import TOO_HARD
from autodata.runner.config import RunConfig
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents
from tests.graph.legal import draft, extract, improve, judgement, legal
from tests.graph.support import Call, Cut, Script, candidate, scored
from tests.support.runs import generated
from tests.support.stages import first_quick

SOLVED = {"extractor": 1, "challenger": 1, "weak_solver": 5, "strong_solver": 3, "verifier": 8, "loop_judge": 1}
"""Calls of a document accepted in its first round."""
WORD_FOR_WORD = 'Let two rules collide: say "why" the fence stood.\n\n## TOO EASY: 9\n' + "Ask about remedies. " * 40


def packet_of(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call.fenced("packet"))
    return found


async def test_a_first_round_can_be_accepted() -> None:
    bench = legal()
    state = await bench.run()
    assert (state["status"], state["status_reason"], state["n"]) == ("accepted", "", 1)
    assert bench.counts() == SOLVED
    example = Example.model_validate(state["example"])
    assert example.preset == "loop_judge"
    assert [str(score) for score in example.weak_scores] == ["1/10", "1/5", "3/10", "2/5", "0"]
    assert [str(score) for score in example.strong_scores] == ["4/5"] * 3
    assert [(check.name, check.value, check.bound) for check in example.checks] == [
        ("weak mean", "0.20", ""),
        ("strong mean", "0.80", ""),
        ("gap", "0.60", ""),
    ]
    assert example.grpo_suitability == "high"
    assert example.judgement == judgement() | {"layer": 2, "candidate_id": example.candidate_id}
    assert [row["decision"] for row in bench.rows("verdicts")] == ["judge"]
    [candidate] = bench.rows("candidates")
    assert (candidate["kind"], candidate["reference_answer"], candidate["context"]) == ("legal", "", "")


async def test_suitability_and_capabilities_travel_to_the_export() -> None:
    bench = legal({"loop_judge": [judgement(grpo_suitability="medium")]})
    row = plain_row(Example.model_validate((await bench.run())["example"]))
    assert (row["grpo_suitability"], row["target_capabilities"]) == ("medium", ["issue_spotting"])
    assert (row["reference_answer"], row["context"]) == ("", "")
    assert row["rubric"][0].keys() == {"criterion", "category", "capability", "weight_class", "weight"}


async def test_an_unsuitable_document_is_skipped_before_anything_else_is_spent() -> None:
    note = "A summary disposition without reasons."
    found = extract(suitable_for_synthetic_question=False, suitability_note=note, issues=[], facts=[], holdings=[])
    bench = legal({"extractor": [found]})
    state = await bench.run()
    assert (state["status"], state["status_reason"], state["rounds"]) == ("skipped", note, [])
    assert bench.counts() == {"extractor": 1}
    [document] = bench.rows("documents")
    assert (document["status"], document["status_reason"], document["rounds"]) == ("skipped", note, 0)
    assert json.loads(document["extract"]) == found
    assert bench.rows("rounds") == []
    assert [(event["event"], event["skipped"]) for event in bench.events] == [("extract", True)]


@pytest.mark.parametrize("doubt", first_quick({"suitable_for_synthetic_question": None}, {"suitability_note": ""}))
async def test_in_doubt_a_document_goes_on(doubt: dict[str, Any]) -> None:
    bench = legal({"extractor": [extract(suitable_for_synthetic_question=False) | doubt]})
    assert (await bench.run())["status"] == "accepted"


async def test_the_writer_sees_document_and_extract_and_solvers_only_the_question() -> None:
    bench = legal()
    state = await bench.run()
    [writer] = bench.of("challenger")
    assert bench.text in writer.fenced("document")
    assert "- Whoever cuts a neighbour's tree pays three times its worth." in writer.fenced("extract")
    assert "suitab" not in writer.fenced("extract")
    question = state["candidate"]["question"]
    for role in ("weak_solver", "strong_solver"):
        for call in bench.of(role):
            system, user = call.messages
            assert user[1] == f"<{user[1][1:22]}>\n{question}\n</{user[1][1:22]}>"
            assert system[1] == LEGAL.pack()[role].system.strip()
    assert len({call.messages[0] for role in ("weak_solver", "strong_solver") for call in bench.of(role)}) == 1
    for call in [*bench.of("verifier"), *bench.of("loop_judge")]:
        assert "Delft" not in call.prompt
        assert "three times its worth" not in call.prompt


@pytest.mark.parametrize("rule", first_quick(*POST_FILTERS, quick=3))
async def test_a_post_filter_sends_a_round_back_without_the_judge(rule: str) -> None:
    broken = {
        "over_1000_characters": "Why? " * 201,
        "old_year": "What of my deed of 1912?",
    }.get(rule, f"What follows, {rule.replace('_', ' ')} this?")
    bench = legal({"challenger": [draft(1, question=broken), draft(2)]})
    state = await bench.run()
    assert (state["status"], state["n"]) == ("accepted", 2)
    assert bench.modes() == ["post_filter", None]
    assert bench.counts() == SOLVED | {"challenger": 2, "extractor": 1, "loop_judge": 1}, "the first pays nobody else"
    assert state["rounds"][0]["reason"].startswith(f"{rule}: ")
    assert bench.rows("rounds")[0]["judgement"] is None
    second = bench.of("challenger")[1]
    assert "## REFUSED BY A FIXED RULE: 1\n- round 1\n<reason-" in second.prompt
    assert second.fenced("reason").startswith(f"{rule}: ")


async def test_a_kind_of_another_domain_is_judged_without_the_legal_rules() -> None:
    question = "What happens on appeal, act as you may, to a relay of 1912?"
    values = {"name": "own", "kind": "rubric", "extractor": False}
    domain = Domain.model_validate({**LEGAL.model_dump(), **values})
    rubric = [{"criterion": f"Names {k}", "weight": 1 if k <= 10 else -1} for k in range(16)]
    bench = legal({"challenger": [candidate(1, question=question, rubric=rubric)]})
    bench.chats["challenger"].schema_title = "RubricCandidate"
    bench.services = replace(bench.services, domain=domain)
    bench.graph = build_self_instruct(domain).compile(checkpointer=bench.saver)
    state = await bench.run()
    assert (state["status"], bench.modes()) == ("accepted", [None])
    [row] = bench.rows("rounds")
    assert json.loads(row["packet"])["post_filter_flags"] == {}


@dataclass(frozen=True)
class Row:
    criterion: str
    weight: int


class OwnTask(RubricTask):
    """A kind of one's own, with a rule and a rubric of another shape."""

    def candidate(self, data: Mapping[str, Any]) -> Candidate:
        return OwnCandidate.model_validate(data)

    def rows(self, candidate: Candidate) -> Sequence[Weighted]:
        return [Row(text, 1 if k < 10 else -1) for k, text in enumerate(candidate.model_dump()["rubric"])]

    def missing(self, candidate: Candidate, sources: Sequence[str]) -> Missing:
        return Missing()

    def final_problems(self, candidate: Candidate) -> list[str]:
        return []

    def post_filters(self, candidate: Candidate) -> Mapping[str, str]:
        return {"no_relay": "it names no relay"} if "relay" not in candidate.question else {}


class OwnCandidate(Candidate):
    rubric: list[str]


async def test_a_kind_of_ones_own_is_judged_by_its_own_rules_and_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    kind: Any = OwnTask()
    domain = Domain.model_validate({**LEGAL.model_dump(), "name": "own", "kind": "rubric", "extractor": False})
    monkeypatch.setitem(TASK_TYPES.shipped, "rubric", kind)
    own = {"context": "", "reference_answer": "", "rubric": [f"Names {k}" for k in range(1, 17)]}
    drafts = [
        {"question": text, **own} for text in ("What follows, on appeal?", "What of a relay, on appeal, in 1912?")
    ]
    bench = legal()
    monkeypatch.setattr(OwnTask, "draft", OwnCandidate)
    bench.services = replace(bench.services, domain=domain)
    bench.graph = build_self_instruct(domain).compile(checkpointer=bench.saver)
    bench.script("challenger", drafts)
    bench.chats["challenger"].schema_title = "OwnCandidate"
    state = await bench.run()
    assert (state["status"], bench.modes()) == ("accepted", ["post_filter", None])
    assert state["rounds"][0]["reason"] == "no_relay: it names no relay"
    found = json.loads(bench.rows("rounds")[1]["packet"])
    assert found["post_filter_flags"] == {}
    assert [row["criterion"] for row in found["criteria"]] == own["rubric"]


async def test_quotes_that_the_document_lacks_are_noted_with_the_round() -> None:
    question = 'They wrote "we never pay for a hedge" to me. What can I ask for?'
    bench = legal({"challenger": [draft(1, question=question)]})
    assert (await bench.run())["status"] == "accepted"
    found = json.loads(bench.rows("rounds")[0]["quality"])
    assert found["quotes_not_in_source"] == [{"where": "question", "quote": "we never pay for a hedge"}]
    assert "passed" not in found


async def test_a_suggestion_reaches_the_next_writer_word_for_word() -> None:
    assert len(WORD_FOR_WORD) > 800
    bench = legal({"loop_judge": [improve(WORD_FOR_WORD), judgement()]})
    state = await bench.run()
    assert (state["status"], state["n"]) == ("accepted", 2)
    assert bench.modes() == ["sent_back_by_judge", None]
    first, second = bench.of("challenger")
    assert "suggestion-" not in first.messages[-1][1]
    assert second.fenced("suggestion") == WORD_FOR_WORD
    assert "## SENT BACK BY THE JUDGE: 1\n" in second.prompt
    rows = bench.rows("rounds")
    assert json.loads(rows[0]["judgement"])["suggestion_for_writer"] == WORD_FOR_WORD
    assert WORD_FOR_WORD in rows[0]["feedback"]
    assert json.loads(rows[1]["judgement"])["verdict"] == "accept"
    events = [event for event in bench.events if event["event"] == "judgement"]
    assert [(event["rejection"] or {}).get("reason") for event in events] == [WORD_FOR_WORD, None]


@pytest.mark.slow
async def test_each_round_has_its_own_suggestion() -> None:
    bench = legal({"loop_judge": [improve("Take the first way."), improve("Take the second way."), judgement()]})
    await bench.run()
    _, second, third = bench.of("challenger")
    assert second.fenced("suggestion") == "Take the first way."
    assert third.fenced("suggestion") == "Take the second way."
    assert "round 1: weak average 0.20, strong average 0.80, gap 0.60\n<reason-" in third.prompt
    assert third.fenced("reason") == "Take the first way."


@pytest.mark.slow
async def test_a_judgement_never_outlives_its_round() -> None:
    """A round that ends before the judge has none, whatever the round before had."""
    bench = legal(
        {"challenger": [draft(1), draft(2, items=5), draft(3)], "loop_judge": [improve("More."), judgement()]}
    )
    state = await bench.run()
    assert bench.modes() == ["sent_back_by_judge", "failed_quality_check", None]
    assert [row["judgement"] is None for row in bench.rows("rounds")] == [False, True, False]
    history = [snapshot async for snapshot in bench.graph.aget_state_history(bench.config)]
    opened = [s.values for s in history if s.next == ("weak_solver",)]
    assert len(opened) == 2
    assert all(values["judgement"] is None for values in opened)
    assert state["judgement"]["verdict"] == "accept"


@pytest.mark.parametrize("max_rounds", first_quick(1, 3))
async def test_a_document_ends_rejected_after_its_last_round(max_rounds: int) -> None:
    bench = legal({"loop_judge": lambda call: improve(f"Suggestion {call.number}.")}, max_rounds=max_rounds)
    state = await bench.run()
    assert (state["status"], state["status_reason"], state["n"]) == ("rejected", "max_rounds", max_rounds)
    assert bench.modes() == ["sent_back_by_judge"] * max_rounds
    assert bench.counts() == {role: n * max_rounds for role, n in SOLVED.items()} | {"extractor": 1}
    assert (state.get("example"), bench.rows("examples")) == (None, [])


def test_a_run_ends_after_fifteen_rounds_unless_it_says_otherwise() -> None:
    assert RunConfig(domain="legal").max_rounds == 15


@pytest.mark.parametrize(
    ("written", "reason"),
    first_quick(
        (draft(1, items=14), "the rubric has 14 items, at least 15 allowed"),
        (draft(1, items=26), "the rubric has 26 items, at most 25 allowed"),
        (draft(1, items=10), "the rubric has 10 items, at least 15 allowed; the rubric has 0 negative items"),
    ),
)
async def test_counts_are_checked_before_a_solver_is_paid(written: dict[str, Any], reason: str) -> None:
    bench = legal({"challenger": [written, draft(2)]})
    state = await bench.run()
    assert bench.modes() == ["failed_quality_check", None]
    assert state["rounds"][0]["reason"].startswith(reason)
    assert bench.counts() == SOLVED | {"challenger": 2}


async def test_a_rubric_of_wrong_structure_is_a_rejected_round_after_all_repairs() -> None:
    wrong = draft(1)
    wrong["rubric"][3]["weight"] = 1
    bench = legal({"challenger": [wrong, wrong, draft(2)]})
    state = await bench.run()
    assert bench.modes() == ["malformed_candidate", None]
    assert "weight +1 is not in the band of 'important'" in state["rounds"][0]["reason"]
    assert "is not in the band" in bench.of("challenger")[1].prompt


@pytest.mark.parametrize("weak", first_quick("0/10", "9/10"))
async def test_the_strong_solver_always_runs_and_no_bound_decides(weak: str) -> None:
    bench = legal({"weak_solver": lambda call: scored(weak)[0], "strong_solver": lambda call: scored("0/10")[0]})
    state = await bench.run()
    assert state["status"] == "accepted"
    assert bench.counts() == SOLVED


async def test_numbers_and_levels_of_the_judge_decide_nothing() -> None:
    said = judgement(grpo_suitability="low", weak_pattern="mean 0.99", verdict_reason="the gap is -3")
    state = await legal({"loop_judge": [said]}).run()
    assert (state["status"], state["example"]["grpo_suitability"], state["example"]["gap"]) == (
        "accepted",
        "low",
        "3/5",
    )


async def test_the_judge_is_given_the_whole_packet() -> None:
    bench = legal(
        {
            "challenger": [draft(1), draft(2, items=15)],
            "weak_solver": lambda call: Cut() if call.number == 7 else scored(f"{call.number % 5}/10")[0],
            "loop_judge": [improve("Vary."), judgement()],
        }
    )
    await bench.run()
    first, second = map(packet_of, bench.of("loop_judge"))
    assert (first["earlier_verdicts"], first["eased_since_last_round"]) == ([], None)
    assert [row["score"]["exact"] for row in first["weak"]["attempts"]] == ["1/10", "1/5", "3/10", "2/5", "0"]
    assert first["gap"] == {"exact": "3/5", "value": 0.6}
    assert len(first["criteria"]) == 16
    assert (first["criteria"][0]["weak"], first["criteria"][0]["weak_passed"]) == ([1, 1, 1, 1, 0], 4)
    assert second["earlier_verdicts"][0]["reason"] == "Vary."
    assert second["eased_since_last_round"]["fewer_items"]
    assert not second["eased_since_last_round"]["lower_positive_total"]
    assert [row["cut_off"] for row in second["weak"]["attempts"]] == [False, True, False, False, False]
    assert second["criteria"][0]["weak"][1] is None
    assert [json.loads(row["packet"]) for row in bench.rows("rounds")] == [first, second]


@pytest.mark.slow
async def test_a_verdict_without_a_suggestion_is_asked_for_again_and_never_guessed() -> None:
    bench = legal({"loop_judge": [improve(""), improve("Now with one."), judgement()]})
    await bench.run()
    assert "needs a suggestion_for_writer" in bench.of("loop_judge")[1].prompt
    assert bench.modes() == ["sent_back_by_judge", None]
    bench = legal({"loop_judge": lambda call: improve(" ")})
    with pytest.raises(UnusableReply):
        await bench.run()
    assert bench.modes() == [None], "the round stays open"


@pytest.mark.slow
async def test_the_extract_is_made_once_across_rounds_and_resumes() -> None:
    failing: list[Any] = [improve("More."), RuntimeError("a defect"), judgement()]
    bench = legal({"loop_judge": failing})
    with pytest.raises(RuntimeError):
        await bench.run()
    state = await bench.run(resume=True, epoch=1)
    assert (state["status"], state["n"]) == ("accepted", 2)
    assert len(bench.of("extractor")) == 1
    assert bench.counts()["challenger"] == 2
    shown = [call.fenced("extract") for call in bench.of("challenger")]
    assert shown[0] == shown[1]


async def test_an_extractor_out_of_reach_is_no_skip() -> None:
    bench = legal({"extractor": [ConnectionError("no route"), ConnectionError("no route"), extract()]})
    with pytest.raises(CallFailed):
        await bench.run()
    assert (await bench.state())["status"] == ""
    assert (await bench.run(resume=True, epoch=1))["status"] == "accepted"


@pytest.mark.parametrize("node", first_quick("strong_solver", "loop_judge", "accept"))
async def test_only_the_candidate_of_the_round_goes_on(node: str) -> None:
    """Nobody may change the question after its attempts, and nobody but the judge may accept it."""
    bench = legal()
    halted = bench.graph
    halted.interrupt_before_nodes = [node]
    await bench.run()
    edited = (await bench.state())["candidate"] | {"question": "An easier one?"}
    await halted.aupdate_state(bench.config, {"candidate": edited})
    halted.interrupt_before_nodes = []
    with pytest.raises(
        ValueError, match=r"only the exact candidate|no marked attempt of the weak solver at this candidate"
    ):
        await bench.run(resume=True)


async def test_what_the_judge_did_not_accept_cannot_be_accepted() -> None:
    bench = legal()
    bench.graph.interrupt_before_nodes = ["accept"]
    await bench.run()
    await bench.graph.aupdate_state(bench.config, {"judgement": improve("No.")})
    bench.graph.interrupt_before_nodes = []
    with pytest.raises(ValueError, match="the loop judge accepted"):
        await bench.run(resume=True)


@pytest.mark.parametrize(
    ("domain", "acceptance", "said"),
    [("cs", "loop_judge", "has no loop judge"), ("legal", "paper", "has a loop judge")],
)
def test_a_judge_s_preset_goes_with_a_judge(domain: str, acceptance: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RunConfig(domain=domain, acceptance=acceptance)


def text(chars: int, start: str) -> str:
    words = "the tenant gave notice late and the landlord had already let the house to somebody else for the summer "
    return (start + words * (chars // len(words) + 1))[: chars - 1] + "."


@pytest.mark.slow
async def test_state_stays_small_over_fifteen_rounds() -> None:
    """Sizes as in the paper: questions of 900 characters, 17 criteria, and a suggestion of 500 each round."""

    def written(call: Call) -> dict[str, Any]:
        made = draft(call.number, items=17, question=text(900, f"Question {call.number}: "))
        for row in made["rubric"]:
            row["criterion"] = text(130, f"Asserts {row['number']} of {call.number}: ")
        return made

    points = {name: [text(200, f"{name} {k}: ") for k in range(5)] for name in ("issues", "facts", "holdings")}
    scripts: dict[str, Script] = {
        "extractor": lambda call: extract(**points),
        "challenger": written,
        "loop_judge": lambda call: improve(text(500, f"Suggestion {call.number}: ")),
    }
    bench = legal(scripts)
    state = await bench.run()
    assert (state["status"], state["n"]) == ("rejected", 15)
    largest = 0
    async for snapshot in bench.graph.aget_state_history(bench.config):
        encoded = json.dumps(snapshot.values, allow_nan=False)
        assert json.loads(encoded) == snapshot.values
        assert bench.text[300:400] not in encoded
        largest = max(largest, len(encoded.encode()))
    assert largest <= 40 * 1024, largest


async def test_events_have_their_names_and_values() -> None:
    bench = legal({"loop_judge": [improve("More."), judgement()]})
    await bench.run()
    names = [event["event"] for event in bench.events]
    a_round = ["candidate", *["attempt"] * 5, *["mark"] * 5, *["attempt"] * 3, *["mark"] * 3, "verdict", "judgement"]
    assert names == ["extract", *a_round, "feedback", *a_round, "accepted"]
    assert json.loads(json.dumps(bench.events)) == bench.events


async def simulated(folder: Path, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    models = {"default": {"provider": "simulated", "model": "weak"}, "strong_solver": {"model": "strong"}}
    config = RunConfig.model_validate({"domain": "legal", "models": models, "simulated": TOO_HARD.model_dump()})
    async with open_runner(config, folder) as runner:
        unfit = "The order is a summary disposition. It is affirmed without more words by the bench of three."
        order = Document(document_id=document_id(unfit), name="order.txt", title="An order", text=unfit)
        await add_documents(runner.ledger, [*generated(count), order])
        outcome = await runner.run()
        assert (outcome.stopped, outcome.errored) == ("", [])
        rounds = await runner.ledger.read("select * from rounds order by document_id, n")
        return rounds, await runner.ledger.read("select * from documents order by document_id")


@pytest.mark.slow
async def test_the_simulated_world_plays_the_domain(tmp_path: Path) -> None:
    rounds, documents = await simulated(tmp_path / "run", 24)
    assert {row["status"] for row in documents} <= {"accepted", "rejected", "skipped"}
    [skipped] = [row for row in documents if row["status"] == "skipped"]
    assert (skipped["name"], skipped["status_reason"]) == ("order.txt", "it says 'summary disposition'")
    modes = {row["failure_mode"] for row in rounds}
    assert modes >= {None, "sent_back_by_judge", "post_filter"}
    first = [json.loads(row["packet"]) for row in rounds if row["n"] == 1 and row["packet"]]
    mean = sum(found["weak"]["mean"]["value"] for found in first) / len(first)
    assert 0.05 < mean < 0.3, "the world starts too hard"
    again, _ = await simulated(tmp_path / "again", 24)
    assert [row["judgement"] for row in again] == [row["judgement"] for row in rounds]


def test_prompts_name_no_phrase_that_code_refuses_to_the_client() -> None:
    """The writer's prompt never quotes a forbidden phrase: models copy what they are shown."""
    instructions = LEGAL.pack()["challenger"].text
    broken = [name for name, rule in POST_FILTERS.items() if name != "over_1000_characters" and rule(instructions)]
    assert broken == []
    assert not re.search(r"\b(?:weak|strong)\b", instructions), "the writer does not know who will answer"
