"""One call of the judge for several attempts: what is found, recorded and decided is as with a call for each."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from autodata.checkpoints.errors import BudgetSpent, CallFailed, UserError
from autodata.checkpoints.ids import document_id
from autodata.checkpoints.records import Attempt, Document, Stage
from autodata.domains.tasks.reference import ReferenceTask
from autodata.domains.tasks.schemas import ReferenceCandidate, ReferenceMark, RubricMarks
from autodata.jobs.forecast import RoleUse
from autodata.jobs.known import known_documents
from autodata.models.config import BudgetConfig
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.models.structured import parse_reply, schema_text
from autodata.nodes.together import in_groups, together_schema
from autodata.runner.config import RunConfig, read_config, stored_config
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents
from autodata.runner.rehearsal import rehearse
from tests.graph.support import Answer, Bench, Call, Cut, Script, judge, scored
from tests.support.stages import first_quick

TABLES = ("rounds", "attempts", "marks", "verdicts", "examples", "candidates")
SCORES = ("1/10", "2/10", "4/10", "5/10", "3/10")


def alone(call: Call) -> list[Call]:
    """Return the calls for one answer each that a call for several stands for."""
    answers = re.findall(r"<(answer-\d+-[0-9a-f]+)>\n(.*?)\n</\1>", call.prompt, re.DOTALL)
    rest = re.sub(r"<(answer-\d+-[0-9a-f]+)>\n.*?\n</\1>", "", call.prompt, flags=re.DOTALL)
    one = [f"{rest}\n<answer-0123456789ab>\n{text}\n</answer-0123456789ab>" for _, text in answers]
    return [replace(call, messages=(("human", prompt),)) for prompt in one]


def several(call: Call) -> Answer:
    """Mark one answer or several as the default judge marks one."""
    several = alone(call)
    return {f"answer_{k}": judge(one) for k, one in enumerate(several, 1)} if several else judge(call)


def numbered(call: Call) -> str:
    """Answer an attempt by its number, so that no two are alike."""
    return scored(*SCORES)[(call.number - 1) % len(SCORES)]


def bench(together: int, *, early: bool = True, scripts: dict[str, Script] | None = None, **more: Any) -> Bench:
    scripts = {"verifier": several, "weak_solver": numbered, **(scripts or {})}
    return Bench(scripts, settings={"verifier": {"together": together}}, early=early, **more)


def keys(made: Bench) -> set[str]:
    return {row["key"] for row in made.rows("calls")}


@pytest.mark.parametrize(("together", "calls"), [(2, 4), (3, 2), (5, 2)])
@pytest.mark.parametrize("early", first_quick(True, False))
async def test_marks_verdict_and_example_are_those_of_single_calls(together: int, calls: int, early: bool) -> None:
    one, many = bench(1, early=early), bench(together, early=early)
    assert await one.run() == await many.run()
    assert [one.rows(table) for table in TABLES] == [many.rows(table) for table in TABLES]
    assert one.counts() | {"verifier": calls} == many.counts()
    assert {row["decided_by"] for row in many.rows("attempts")} == {"judge"}


async def test_which_attempts_share_a_call_does_not_depend_on_what_came_first() -> None:
    early, barrier = bench(2), bench(2, early=False)
    assert await early.run() == await barrier.run()
    assert keys(early) == keys(barrier)
    assert {row["idx"] for row in early.rows("calls") if row["role"] == "verifier"} == {
        "weak/0+1",
        "weak/2",
        "strong/0+1",
        "strong/2",
    }


async def test_an_attempt_that_needs_no_judge_is_in_no_prompt_and_a_single_one_is_asked_about_as_ever() -> None:
    weak: list[Answer] = [Cut(), scored("3/10")[0], Cut()]
    one, many = (bench(n, early=False, scripts={"weak_solver": list(weak)}) for n in (1, 3))
    assert await one.run() == await many.run()
    weak_mark = {row["key"] for row in one.rows("calls") if row["idx"].startswith("weak/")}
    assert weak_mark <= keys(many)
    assert {row["decided_by"] for row in many.rows("attempts")} == {"judge", "truncated"}


@pytest.mark.parametrize("reply", ["no JSON at all", {"answer_1": {"marks": []}}])
async def test_where_no_reply_can_be_read_each_attempt_is_marked_alone(reply: Answer) -> None:
    def only_single(call: Call) -> Answer:
        return reply if alone(call) else judge(call)

    one, many = bench(1), bench(3, scripts={"verifier": only_single})
    assert await one.run() == await many.run()
    assert [one.rows(table) for table in TABLES] == [many.rows(table) for table in TABLES]
    assert len(many.of("verifier")) == len(one.of("verifier")) + 2 * 2  # two tries for each of both groups


async def test_a_call_that_fails_is_the_verifiers_error_and_is_asked_for_again() -> None:
    made = bench(3, scripts={"verifier": lambda call: CallFailed("no judge", refused=True)})
    with pytest.raises(CallFailed, match="no judge"):
        await made.run()
    made.script("verifier", several)
    assert (await made.run(resume=True, epoch=1))["status"] == "accepted"
    assert made.counts()["weak_solver"] == made.services.domain.weak_attempts


@pytest.mark.parametrize("most", first_quick(5, 6, 7, 9, quick=2))
async def test_a_budget_ends_it_anywhere_and_nothing_is_paid_twice(most: int) -> None:
    whole = bench(2)
    end = await whole.run()
    made = bench(2, budget=BudgetConfig(max_calls=most))
    with pytest.raises(BudgetSpent):
        await made.run()
    assert len(made.rows("calls")) == most
    made.services.caller.budget.config = BudgetConfig()
    assert await made.run(resume=True) == end
    assert keys(made) == keys(whole)
    assert len(made.calls) == len(whole.calls)


async def test_a_solver_that_fails_begins_no_mark_of_its_group() -> None:
    answers: list[Any] = [scored("3/10")[0], scored("3/10")[0], CallFailed("the server is gone", refused=True)]
    made = bench(3, scripts={"weak_solver": answers})
    with pytest.raises(CallFailed):
        await made.run()
    assert not made.of("verifier")


def attempt(stage: Stage, index: int) -> Attempt:
    name = f"{stage.value}{index}"
    return Attempt(
        attempt_id=name, candidate_id="c", stage=stage, index=index, answer_ref=f"answer/{name}", preview="", chars=0
    )


def test_groups_are_of_one_solver_by_number() -> None:
    weak = [attempt(Stage.WEAK, k) for k in (4, 3, 5)]
    strong = [attempt(Stage.STRONG, k) for k in (0, 1)]
    found = [[one.attempt_id for one in group] for group in in_groups([*strong, *weak], 2)]
    assert found == [["weak3", "weak4"], ["weak5"], ["strong0", "strong1"]]
    assert in_groups([], 3) == []


def test_a_reply_is_read_as_leniently_as_one_for_a_single_answer() -> None:
    schema = together_schema(RubricMarks, 2)
    found = parse_reply('{"Answer 1": {"marks": {"number": 1, "met": "yes"}}, "answer-2": {"marks": []}}', schema)
    first, second = found.of_answers()
    assert (first.marks[0].met, second.marks) == (True, ())
    assert schema.__name__ == "RubricMarksTogether"
    assert '"answer_2"' in schema_text(schema)


def test_a_second_best_reply_is_one_of_every_answer() -> None:
    task_type = ReferenceTask()
    asked = task_type.marks(ReferenceCandidate(question="Which colour?", reference_answer="Deep blue."))
    schema = together_schema(asked, 2)
    assert schema.second_best is together_schema(ReferenceMark, 2)
    rows = [schema.second_best.model_validate(reply(text)) for text in ("one way", "another way")]
    assert rows[0].decided() == rows[1].decided()
    assert rows[0] != rows[1]


def reply(words: str) -> dict[str, Any]:
    said = {"reference_says": words, "answer_says": words, "correct": True}
    return {"answer_1": said, "answer_2": said}


class Own(BaseModel):
    """What a task type of one's own asks for: no ReplyModel."""

    right: bool


def test_marks_of_ones_own_task_type_are_read_too() -> None:
    found = parse_reply('{"answer_1": {"right": true}, "answer_2": {"right": false}}', together_schema(Own, 2))
    assert [one.right for one in found.of_answers()] == [True, False]


CONFIG = """
domain = "cs"
max_rounds = 2
[models.default]
provider = "simulated"
[models.verifier]
together = 3
"""


async def run(text: str, folder: Path) -> list[dict[str, Any]]:
    config = read_config(text, "test")
    texts = [f"Document {k} of momentum, entropy, harmonic boundaries and resonance." for k in range(2)]
    async with open_runner(config, folder) as runner:
        await add_documents(
            runner.ledger, [Document(document_id=document_id(t), name=t[:10], title="", text=t) for t in texts]
        )
        await runner.run()
        return await runner.ledger.read("SELECT role, idx FROM calls ORDER BY key")


async def test_a_run_pays_a_call_for_three_and_another_number_is_another_run(tmp_path: Path) -> None:
    rows = await run(CONFIG, tmp_path / "run")
    marks = [row["idx"] for row in rows if row["role"] == "verifier"]
    assert marks
    assert set(marks) <= {"weak/0+1+2", "strong/0+1+2"}
    assert stored_config(tmp_path / "run" / "config.toml").models.verifier.together == 3
    with pytest.raises(UserError, match=r"models\.verifier\.together: 3 -> 1"):
        await run(CONFIG.replace("together = 3", "together = 1"), tmp_path / "run")


async def test_a_judge_of_one_word_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^models\.verifier\.together: .*domain facts\): leave together out$"):
        await run(CONFIG.replace('"cs"', '"facts"'), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_several_judges_mark_attempts_one_by_one() -> None:
    with pytest.raises(UserError, match=r"models\.verifier\.together: one judge .*: leave it or \[judges\] out"):
        read_config(f"{CONFIG}\n[judges]\nasks = 2\n", "test")


def test_other_roles_have_no_such_setting() -> None:
    with pytest.raises(UserError, match=r"weak_solver\.together: a mode of the judge: set it at verifier"):
        read_config(CONFIG.replace("models.verifier", "models.weak_solver"), "test")


def judge_of(together: int) -> RoleUse:
    values = {"models": {"default": {"model": "m", "base_url": "http://a/v1"}, "verifier": {"together": together}}}
    found, _ = known_documents(RunConfig.model_validate(values), 4000)
    return sum((one.roles["verifier"] for one in found), RoleUse())


def test_an_estimate_counts_the_calls_that_are_shared() -> None:
    one, two, three, many = (judge_of(together) for together in (1, 2, 3, 9))
    assert three.calls == pytest.approx(one.calls / 3)
    assert two.calls == pytest.approx(one.calls * 2 / 3)
    assert many == three
    assert three.tokens_out == one.tokens_out
    assert one.tokens_in / 3 < three.tokens_in < two.tokens_in < one.tokens_in


@pytest.mark.parametrize(("readable", "note"), [(True, ""), (False, "so each alone: leave together out")])
async def test_a_rehearsal_marks_as_a_run_does(readable: bool, note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = SimulatedChatModel.reply

    def unread(self: SimulatedChatModel, turns: Any, seed: int) -> tuple[str, str]:
        shared = any("RubricMarksTogether" in turn["content"] for turn in turns)
        return reply(self, turns, seed) if readable or not shared else ("I would rather not.", "stop")

    monkeypatch.setattr(SimulatedChatModel, "reply", unread)
    text = "A document of momentum, entropy, harmonic boundaries and resonance."
    document = Document(document_id=document_id(text), name="one", title="", text=text)
    found = await rehearse(read_config(CONFIG, "test"), document)
    judge = next(part for part in found.parts if part.role == "verifier")
    assert judge.problem == ""
    assert judge.note.endswith(note)
    assert judge.calls == (1 if readable else 3)
