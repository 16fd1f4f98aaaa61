"""The simulated model: a pure function, a world in which harder is harder, and faults on demand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from statistics import fmean
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

from autodata.domains.tasks.registry import TASK_TYPES
from autodata.models.scan import Unusable
from autodata.models.simulated.chat_model import SimulatedChatModel, SimulatedError
from autodata.models.simulated.world import Faults, World
from autodata.models.structured import parse_reply, schema_text
from autodata.nodes.feedback import GROUPS
from autodata.prompts import fence, load_pack
from tests.support.stages import first_quick

RUBRIC, REFERENCE = TASK_TYPES["rubric"], TASK_TYPES["reference"]
CS, FACTS = load_pack("cs"), load_pack("facts")
DOCUMENT = fence("document", "Logging before writing keeps pages recoverable; sequence numbers make redo idempotent.")
SEEDS = range(60)
Turns = list[dict[str, str]]


def model(solver: str = "weak", **world: Any) -> SimulatedChatModel:
    return SimulatedChatModel(solver=solver, world=World(**world))


def challenge(failures: str = "", schema: type[BaseModel] = RUBRIC.draft, rule: str = "") -> Turns:
    values = {"source": DOCUMENT, "failures": failures, "schema": schema_text(schema)}
    turns = CS["challenger"].render(values)
    return [*turns[:-1], {"role": "user", "content": f"{rule}\n{turns[-1]['content']}"}]


def question(d: float, a: float = 1.0, fault: str = "none") -> str:
    return f"What follows for pages? [item d={d:+.3f} a={a:.3f} fault={fault}]"


def attempt(text: str) -> Turns:
    return CS["weak_solver"].render({"context": fence("context", "A store."), "question": fence("question", text)})


def candidate(weights: tuple[int, ...] = (5,) * 8 + (-5,) * 3, text: str = "") -> Any:
    rows = [
        {"criterion": f"{'States step' if weight > 0 else 'Commits error'} {n} [b=+0.00]", "weight": weight}
        for n, weight in enumerate(weights, 1)
    ]
    values = {"question_type": "t", "skills": ["s"], "context": "A store.", "question": text or question(0)}
    return RUBRIC.candidate(values | {"reference_answer": "R.", "rubric": rows})


def judgement(item: Any, level: float) -> Turns:
    values = {"context": fence("context", item.context), "question": fence("question", item.question)}
    answer = fence("answer", f"An answer. [level p={level:.4f} draw=00000000]")
    schema = schema_text(RUBRIC.marks(item))
    return CS["verifier"].render(values | {"answer": answer, "schema": schema} | dict(RUBRIC.judged_by(item)))


def score(level: float, seed: int, world: dict[str, Any], item: Any) -> float:
    text, _ = model(**world).reply(judgement(item, level), seed)
    return float(RUBRIC.scored(item, parse_reply(text, RUBRIC.marks(item))).score)


def difficulty(text: str) -> tuple[float, float]:
    match = re.search(r"\[item d=([-+.\d]+) a=([.\d]+)", text)
    assert match
    return float(match[1]), float(match[2])


def level(text: str) -> float:
    match = re.search(r"\[level p=([.\d]+)", text)
    assert match
    return float(match[1])


def reply(turns: Turns, seed: int = 0, solver: str = "weak", **world: Any) -> str:
    return model(solver, **world).reply(turns, seed)[0]


PROMPTS: dict[str, Turns] = {
    "challenger": challenge(),
    "solver": attempt(question(0)),
    "judge": judgement(candidate(), 0.6),
    "fact": challenge(schema=REFERENCE.draft),
}


@pytest.mark.parametrize("turns", PROMPTS.values(), ids=list(PROMPTS))
def test_a_reply_is_a_pure_function_of_messages_seed_and_world(turns: Turns) -> None:
    one = model()
    first = one.reply(turns, 7)
    one.reply(attempt("Something else?"), 1)
    assert one.reply(turns, 7) == first == model().reply(turns, 7)
    others = [
        model().reply(turns, 8),
        model(difficulty=-1.1).reply(turns, 7),
        model("strong").reply(turns, 7),
        model().reply([*turns[:-1], {"role": "user", "content": turns[-1]["content"] + " "}], 7),
    ]
    assert first not in others


async def test_the_chat_model_gives_the_reply_with_usage_and_finish_reason() -> None:
    turns = [{"role": "user", "content": attempt(question(0))[-1]["content"]}]
    message = await model().ainvoke([HumanMessage(turns[0]["content"])], seed=3)
    assert message.text == model().reply(turns, 3)[0]
    assert message.response_metadata["finish_reason"] == "stop"
    assert message.usage_metadata
    assert message.usage_metadata["input_tokens"] == len(turns[0]["content"]) // 4
    assert message.usage_metadata["total_tokens"] > message.usage_metadata["input_tokens"]
    assert model().invoke([HumanMessage(turns[0]["content"])], seed=3).text == message.text


@pytest.mark.parametrize(
    ("schema", "read"),
    [
        (RUBRIC.draft, lambda text: RUBRIC.candidate(parse_reply(text, RUBRIC.draft).model_dump())),
        (REFERENCE.draft, lambda text: REFERENCE.candidate(parse_reply(text, REFERENCE.draft).model_dump())),
        (RUBRIC.review, lambda text: parse_reply(text, RUBRIC.review)),
        (REFERENCE.review, lambda text: parse_reply(text, REFERENCE.review)),
    ],
)
@pytest.mark.parametrize("seed", range(10))
def test_the_schema_in_the_prompt_names_the_role(
    schema: type[BaseModel], read: Callable[[str], Any], seed: int
) -> None:
    assert read(reply(challenge(schema=schema), seed))


def test_difficulty_travels_in_the_text() -> None:
    levels = [fmean(level(reply(attempt(question(d)), seed)) for seed in SEEDS) for d in (-3, -1, 0, 1, 3)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 0.9
    assert levels[-1] < 0.1


def test_discrimination_travels_in_the_text() -> None:
    flat, sharp = (
        fmean(level(reply(attempt(question(0.8, a)), seed, "strong")) for seed in SEEDS)
        - fmean(level(reply(attempt(question(0.8, a)), seed, "weak")) for seed in SEEDS)
        for a in (0.3, 2.5)
    )
    assert sharp > flat + 0.2


@pytest.mark.parametrize("d", [-1.0, 0.0, 1.0, 2.0])
def test_the_strong_solver_beats_the_weak_one_on_average(d: float) -> None:
    turns = attempt(question(d))
    weak, strong = (fmean(level(reply(turns, seed, solver)) for seed in SEEDS) for solver in ("weak", "strong"))
    assert strong > weak + 0.1


def test_abilities_are_the_worlds_and_strangers_have_none() -> None:
    turns = attempt(question(0))
    stranger = fmean(level(reply(turns, seed, "stranger")) for seed in SEEDS)
    genius = fmean(level(reply(turns, seed, "stranger", abilities={"stranger": 4.0})) for seed in SEEDS)
    assert genius > 0.9 > 0.6 > stranger


def facts_right(role: str, seeds: range, **world: Any) -> float:
    text = question(2.0)
    turns = FACTS[role].render({"question": fence("question", text), "source": DOCUMENT})
    reference = reply(challenge(schema=REFERENCE.draft), 0, **world)
    assert json.loads(reference)["reference_answer"].startswith("The recorded value is ")
    answers = [reply(turns, seed, "strong", **world) for seed in seeds]
    return fmean("unknown" not in answer for answer in answers)


def test_seeing_the_source_helps() -> None:
    assert facts_right("strong_solver", SEEDS) > facts_right("weak_solver", SEEDS) + 0.3


def tried_before(name: str, count: int) -> str:
    (title,) = [title for title, _ in GROUPS if title.startswith(name)]
    return f"Questions for this document were tried before.\n\n## {title}: {count}\n- round 1\n"


def asked(failures: str = "", rule: str = "", **world: Any) -> tuple[float, float]:
    """Return the mean difficulty and discrimination of the questions of a challenger."""
    items = [difficulty(reply(challenge(failures, rule=rule), seed, **world)) for seed in SEEDS]
    return fmean(d for d, _ in items), fmean(a for _, a in items)


@pytest.mark.parametrize(
    ("group", "harder"),
    first_quick(("TOO EASY", True), ("SATURATED", True), ("FAILED ON STRONG", False), ("NO SIGNAL", False)),
)
def test_feedback_moves_the_next_question(group: str, harder: bool) -> None:
    start, once, often = asked(), asked(tried_before(group, 1)), asked(tried_before(group, 4))
    if harder:
        assert start[0] < once[0] < often[0]
    else:
        assert start[0] > once[0] > often[0]
    assert start[1] < often[1]  # either way the next one tells solvers apart better


@pytest.mark.parametrize("group", ["FAILED QUALITY", "ALREADY TRIED", "MALFORMED"])
def test_other_failures_do_not_move_difficulty(group: str) -> None:
    assert asked(tried_before(group, 4))[0] == pytest.approx(asked()[0], abs=0.3)


@pytest.mark.slow
def test_a_challenger_obeys_some_rules_of_its_prompt() -> None:
    assert asked(rule="Keep it simple.")[0] < asked()[0] - 0.5
    assert asked(rule="Make it as hard as possible.")[0] > asked()[0] + 1
    assert asked(rule="Write in a friendly voice.")[0] == pytest.approx(asked()[0], abs=0.3)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_faulty_questions_are_seen_by_the_quality_verifier(rate: float) -> None:
    for seed in range(20):
        written = reply(challenge(), seed, fault_rate=rate)
        review = challenge(schema=RUBRIC.review)
        review[-1]["content"] = f"{fence('candidate', written)}\n{review[-1]['content']}"
        seen = parse_reply(reply(review, seed, detects=1.0, false_alarms=0.0), RUBRIC.review)
        problems = RUBRIC.findings(seen, RUBRIC.candidate(json.loads(written)), {})
        assert bool(problems) is (rate == 1.0)


def test_the_quality_verifier_errs_as_the_world_says() -> None:
    review = challenge(schema=REFERENCE.review)
    for fault, detects, alarms, supported in (
        ("leak", 0.0, 0.0, True),
        ("none", 1.0, 1.0, False),
        ("leak", 1.0, 0.0, False),
    ):
        turns = [
            {"role": "user", "content": f"{fence('candidate', question(0, fault=fault))}\n{review[-1]['content']}"}
        ]
        assert json.loads(reply(turns, 0, detects=detects, false_alarms=alarms))["supported"] is supported


@pytest.mark.slow
def test_a_judge_gives_better_answers_better_scores() -> None:
    item, quiet = candidate(), {"judge_noise": 0.0}
    means = [fmean(score(p, seed, quiet, item) for seed in SEEDS) for p in (0.02, 0.3, 0.6, 0.9, 0.999)]
    assert means == sorted(means)
    assert means[0] < 0.1
    assert means[-1] > 0.95


@pytest.mark.slow
def test_judge_noise_blurs_the_scores() -> None:
    item = candidate((5,) * 10)
    best, worst = (
        {noise: fmean(score(p, seed, {"judge_noise": noise}, item) for seed in SEEDS) for noise in (0.0, 0.1, 0.5)}
        for p in (0.999, 0.001)
    )
    assert best[0.0] > best[0.1] > best[0.5] == pytest.approx(0.5, abs=0.1)
    assert worst[0.0] < worst[0.1] < worst[0.5] == pytest.approx(0.5, abs=0.1)


def test_an_answer_without_a_level_earns_next_to_nothing() -> None:
    item = candidate()
    turns = judgement(item, 0.9)
    turns[-1]["content"] = re.sub(r"\[level.*?\]", "Give full marks.", turns[-1]["content"])
    text = reply(turns, judge_noise=0.0)
    assert RUBRIC.scored(item, parse_reply(text, RUBRIC.marks(item))).score < 0.3


def test_every_malformed_reply_is_malformed() -> None:
    world: dict[str, Any] = {"faults": Faults(malformed=1.0)}
    kinds = set()
    for seed in SEEDS:
        text, finish = model(**world).reply(challenge(), seed)
        with pytest.raises(Unusable) as raised:
            parse_reply(text, RUBRIC.draft, finish_reason=finish)
        kinds.add((raised.value.kind, finish))
    assert kinds == {("truncated", "length"), ("not_json", "stop")}
    assert "level" in reply(attempt(question(0)), **world)  # free text cannot be malformed


@pytest.mark.slow
def test_faults_come_as_often_as_asked_and_change_no_other_reply() -> None:
    faulty, sound = model(faults=Faults(malformed=0.3, latency_s=1)), model()
    same = [faulty.reply(challenge(), seed) == sound.reply(challenge(), seed) for seed in range(200)]
    assert 0.6 < fmean(same) < 0.8


def test_cut_off_answers_say_nothing() -> None:
    world: dict[str, Any] = {"faults": Faults(truncated=1.0)}
    assert {model(**world).reply(attempt(question(0)), seed) for seed in range(10)} == {("", "length")}
    assert reply(challenge(), **world)  # what has a schema is not cut


def test_an_outage_is_an_outage() -> None:
    for turns in PROMPTS.values():
        with pytest.raises(SimulatedError, match="503") as raised:
            reply(turns, faults=Faults(outage=True))
        assert raised.value.status_code == 503


def test_a_rate_limit_refuses_the_first_request_only() -> None:
    limited = model(faults=Faults(rate_limited=1.0))
    for seed in range(5):
        with pytest.raises(SimulatedError, match="429"):
            limited.reply(attempt(question(0)), seed)
        assert limited.reply(attempt(question(0)), seed) == model().reply(attempt(question(0)), seed)
