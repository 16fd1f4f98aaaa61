"""How a run stands: the funnel, pace, time and money to come, endpoints; on which clock lines are shown."""

from __future__ import annotations

import asyncio
import io
from fractions import Fraction
from typing import Any

import pytest
from rich.console import Console

from autodata.checkpoints.records import Attempt, Decision, DocumentStatus, FailureMode, Mark, Stage, Verdict
from autodata.checkpoints.usage import Usage
from autodata.jobs.progress import Progress
from autodata.jobs.standing import STAGES, EndpointStanding, Standing, bar
from autodata.jobs.watching import LOG_EVERY_SECONDS
from autodata.models.endpoint import Endpoint
from autodata.models.reply import Reply
from autodata.nodes.events import (
    AttemptEvent,
    CandidateEvent,
    FeedbackEvent,
    MarkEvent,
    QualityEvent,
    Rejection,
    ReviewEvent,
    VerdictEvent,
)
from autodata.prompts.roles import ROLE, TABLE
from autodata.runner.events import (
    CallEvent,
    CollectedEvent,
    DrainedEvent,
    EndedEvent,
    ErroredEvent,
    RunEvent,
    StartedEvent,
    WaitingEvent,
)


class Clock:
    """A clock that only moves when somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def watched(total: int = 0, **options: Any) -> tuple[Progress, Clock, io.StringIO]:
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, width=400)
    return Progress(console, total=total, clock=clock, sleep=clock.sleep, **options), clock, out


def standing(**changes: Any) -> Standing:
    funnel = dict.fromkeys(STAGES, 0) | {"waiting": 60, "weak": 20, "accepted": 15, "rejected": 5}
    whole: dict[str, Any] = {
        "funnel": funnel,
        "elapsed": 1800.0,
        "ended": 10,
        "made": 8,
        "used": Usage(1000, 200, 2.0, 40),
        "spent": Usage(2000, 400, 4.0, 80),
    }
    return Standing(**whole | changes)


def test_pace_time_and_money_are_those_of_this_session() -> None:
    now = standing()
    assert (now.accepted, now.left) == (15, 80)
    assert now.accepted_per_hour == 16
    assert now.seconds_left == 1800 * 80 / 10
    assert now.usd_expected == 4.0 + 2.0 * 80 / 10
    assert now.headline() == (
        "accepted 15, documents 20/100, 16 accepted an hour, 4h00m to go, calls 80, tokens 2,400, $4.00 of about $20.00"
    )


def test_whichever_comes_first_ends_it_the_target_or_the_documents() -> None:
    assert standing(target=19).seconds_left == 1800 * 4 / 8
    assert standing(target=19).usd_expected == 4.0 + 2.0 * 4 / 8
    assert standing(target=1000).seconds_left == standing().seconds_left
    assert standing(target=12).seconds_left == 0
    assert "accepted 15 of 19" in standing(target=19).headline()


def test_nothing_is_promised_before_something_has_ended() -> None:
    new = standing(ended=0, made=0, target=19)
    assert (new.accepted_per_hour, new.seconds_left, new.usd_expected) == (None, None, None)
    assert "to go" not in new.headline()
    assert "$4.00" in new.headline()
    assert "$" not in standing(spent=Usage(1, 1, None, 1)).headline()


def test_the_funnel_shows_what_every_run_goes_through_and_what_else_there_is() -> None:
    assert standing().funnel_line() == (
        "waiting 60 > challenge 0 > quality 0 > weak 20 > strong 0 > accepted 15 / rejected 5"
    )
    funnel = dict.fromkeys(STAGES, 0) | {"review": 2, "errored": 1}
    assert standing(funnel=funnel).funnel_line().endswith("strong 0 > review 2 > accepted 0 / errored 1")


def test_each_role_leads_to_a_stage_that_is_shown() -> None:
    assert {role.answered for role in TABLE} <= set(STAGES)
    assert ROLE["challenger"].answered == "quality"


def test_an_endpoint_shows_what_is_in_flight_waits_and_failed_last() -> None:
    assert EndpointStanding("gpt at api", 3).line() == "gpt at api: 3 in flight"
    assert EndpointStanding("gpt", 3, limit=4).line() == "gpt: 3 in flight, at most 4 at once for now"
    alone = EndpointStanding("gpt", 1, limit=1, probing=True)
    assert alone.line() == "gpt: 1 in flight, one request at a time until one is answered"
    line = EndpointStanding("gpt at api", 3, 2, 5, "429\nslow down").line()
    assert line == "gpt at api: 3 in flight, 2 waiting for a retry, 5 failed, the last: 429 slow down"


def attempt(stage: Stage) -> Attempt:
    return Attempt(attempt_id="a", candidate_id="c", stage=stage, index=0, answer_ref="answer/a", preview="", chars=1)


def verdict(stage: Stage, decision: Decision) -> Verdict:
    return Verdict(candidate_id="c", preset="paper", stage=stage, decision=decision)


PLACE = {"document_id": "d", "n": 1}
REFUSED = Rejection(failure_mode=FailureMode.QUALITY, reason="a leak")
WALK: list[tuple[RunEvent, str]] = [
    (StartedEvent("d", "a.md", resumed=False), "challenge"),
    (CandidateEvent(**PLACE, candidate=None, rejection=REFUSED), "challenge"),
    (FeedbackEvent(**PLACE, failure_mode=FailureMode.MALFORMED, reason="", last=False), "challenge"),
    (CandidateEvent(**PLACE, candidate={"question": "Why?"}, rejection=None), "quality"),
    (QualityEvent(**PLACE, quality={}, rejection=REFUSED), "challenge"),
    (CandidateEvent(**PLACE, candidate={"question": "Why?"}, rejection=None), "quality"),
    (QualityEvent(**PLACE, quality={}, rejection=None), "weak"),
    (AttemptEvent(**PLACE, attempt=attempt(Stage.WEAK)), "weak"),
    (MarkEvent(**PLACE, mark=Mark(attempt_id="a", score=Fraction(1, 2), met=()), stage=Stage.WEAK), "weak"),
    (VerdictEvent(**PLACE, verdict=verdict(Stage.WEAK, Decision.STRONG)), "strong"),
    (AttemptEvent(**PLACE, attempt=attempt(Stage.STRONG)), "strong"),
    (VerdictEvent(**PLACE, verdict=verdict(Stage.STRONG, Decision.REJECT)), "strong"),
    (FeedbackEvent(**PLACE, failure_mode=FailureMode.FAILED_ON_STRONG, reason="", last=False), "challenge"),
    (ReviewEvent(**PLACE, question={}), "review"),
]


def test_a_document_is_in_one_stage_at_a_time_from_its_start_to_its_end() -> None:
    progress, _, _ = watched(3)
    assert progress.standing().funnel["waiting"] == 3
    for event, place in WALK:
        progress.on_event(event)
        funnel = progress.standing().funnel
        assert {stage: count for stage, count in funnel.items() if count} == {"waiting": 2, place: 1}, event
    progress.on_event(WaitingEvent("d"))
    assert progress.standing().funnel["review"] == 1
    progress.on_event(StartedEvent("e", "b.md", resumed=False))
    progress.on_event(FeedbackEvent(document_id="e", n=1, failure_mode=FailureMode.TOO_EASY, reason="", last=True))
    progress.on_event(EndedEvent("e"))
    progress.on_event(StartedEvent("f", "c.md", resumed=False))
    progress.on_event(ErroredEvent("f", "c.md", "call_failed: no reply"))
    shown = {stage: count for stage, count in progress.standing().funnel.items() if count}
    assert shown == {"review": 1, "rejected": 1, "errored": 1}


@pytest.mark.parametrize(("target", "counted"), [(9, 3), (None, 5)])
def test_with_a_target_an_example_that_repeats_another_is_not_counted(target: int | None, counted: int) -> None:
    progress, clock, _ = watched(4, target=target)
    progress.began(statuses={"accepted": 2}, spent=Usage(), asked=["one"] if target else None)
    for document_id, asked in (("a", "one"), ("b", "two"), ("c", "three")):
        progress.on_event(StartedEvent(document_id, "a.md", resumed=False))
        progress.on_event(CollectedEvent(document_id, 1, DocumentStatus.ACCEPTED, asked))
        progress.on_event(EndedEvent(document_id))
    clock.now += 3600
    now = progress.standing()
    assert now.accepted == counted
    assert now.accepted_per_hour == (2 if target else 3)
    assert now.funnel["accepted"] == 5


def test_without_a_quality_check_a_question_goes_straight_to_the_weak_solver() -> None:
    progress, _, _ = watched(1)
    progress.began(statuses={}, spent=Usage(), quality=False)
    progress.on_event(StartedEvent("d", "a.md", resumed=False))
    progress.on_event(CandidateEvent(**PLACE, candidate={"question": "Why?"}, rejection=None))
    assert progress.standing().funnel["weak"] == 1


def test_a_session_that_goes_on_counts_what_is_there_and_a_drained_document_waits() -> None:
    progress, clock, _ = watched(2, target=5)
    clock.now += 100  # a model is loaded
    progress.began(statuses={"accepted": 3, "rejected": 1, "pending": 2}, spent=Usage(10, 10, 1.0, 2))
    progress.on_event(StartedEvent("d", "a.md", resumed=True))
    progress.on_event(CallEvent("d", "challenger", Reply("", "stop", 5, 5, 0.5)))
    progress.on_event(DrainedEvent("d"))
    clock.now += 60
    now = progress.standing()
    assert now.funnel["waiting"] == 2
    assert (now.accepted, now.made, now.ended, now.elapsed) == (3, 0, 0, 60)
    assert (now.used.calls, now.spent.calls, now.spent.usd) == (1, 3, 1.5)


async def test_a_log_has_a_line_every_thirty_seconds_whether_anything_happens_or_not() -> None:
    progress, clock, out = watched(4)
    assert LOG_EVERY_SECONDS == 30
    with progress:
        for _ in range(3):
            await asyncio.sleep(0)
    lines = out.getvalue().splitlines()
    assert set(clock.slept) == {30.0}
    assert [line[:7] for line in lines[:2]] == ["[30s] a", "[1m00s]"]
    assert "documents 0/4" in lines[0]
    assert "waiting 4 > challenge 0" in lines[0]


def test_lines_about_documents_do_not_put_the_figures_off() -> None:
    progress, clock, out = watched(9)
    for k in range(8):
        clock.now += 8
        progress.on_event(StartedEvent(str(k), f"{k}.md", resumed=False))
        progress.on_event(ErroredEvent(str(k), f"{k}.md", "call_failed: no reply"))
    assert sum("waiting" in line for line in out.getvalue().splitlines()) == 2, out.getvalue()


async def test_a_function_of_the_callers_is_called_now_and_then_and_at_the_end() -> None:
    reported: list[Standing] = []
    progress, clock, _ = watched(5, reported=reported.append)
    with progress:
        for k in range(5):
            progress.on_event(StartedEvent(str(k), f"{k}.md", resumed=False))
            clock.now += 0.4
    assert [one.funnel["waiting"] for one in reported] == [1, 0]


async def test_a_function_that_fails_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fails(now: Standing) -> None:
        raise RuntimeError("mine")

    progress, clock, _ = watched(1, reported=fails)
    with progress:
        clock.now += 10
        progress.on_event(StartedEvent("d", "a.md", resumed=False))
        progress.on_event(EndedEvent("d"))
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "the progress function failed, and is not called again"
    ]


def test_endpoints_are_shown_as_they_are_now() -> None:
    progress, _, _ = watched(1)
    endpoint = Endpoint("gpt at api.example.com", 4)
    progress.began(statuses={}, spent=Usage(), endpoints=[endpoint])
    with endpoint.health.request(), endpoint.health.retry():
        endpoint.health.failed("429: slow down")
        assert progress.figures()[2] == (
            "gpt at api.example.com: 1 in flight, 1 waiting for a retry, 1 failed, the last: 429: slow down"
        )
    assert progress.standing().endpoints[0].in_flight == 0


@pytest.mark.parametrize(
    ("funnel", "target", "share"),
    [
        ({}, None, 0.0),
        ({"waiting": 3, "accepted": 1}, None, 0.25),
        ({"waiting": 3, "weak": 1, "rejected": 2, "errored": 2}, None, 0.5),
        ({"waiting": 8, "accepted": 2}, 4, 0.5),
        ({"waiting": 1, "rejected": 9}, 4, 0.9),
        ({"waiting": 1, "accepted": 9}, 4, 1.0),
    ],
)
def test_the_share_done_is_of_documents_or_of_the_target(
    funnel: dict[str, int], target: int | None, share: float
) -> None:
    standing = Standing(funnel, 1.0, ended=0, made=0, used=Usage(), spent=Usage(), target=target)
    assert standing.share_done == pytest.approx(share)


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "░░░░ 0%"), (0.26, "█░░░ 26%"), (0.999, "███░ 99%"), (1.0, "████ 100%")],
)
def test_a_bar_is_full_only_at_the_end(share: float, shown: str) -> None:
    assert bar(share, 4) == shown
