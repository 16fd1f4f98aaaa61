"""The diagnostic packet, against an example that was computed by hand."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

import pytest

from autodata.checkpoints.records import Attempt, FailureMode, Mark, Round, RubricFigures, Stage
from autodata.domains.acceptance.rubric_score import rubric_figures
from autodata.domains.tasks.legal_filters import flags
from autodata.nodes.loop_judge_packet import Pattern, eased, packet, shown

CRITERIA: list[dict[str, Any]] = [
    {"criterion": "Asserts A", "category": "rule", "capability": "spotting", "weight_class": "critical", "weight": 8},
    {"criterion": "Asserts B", "category": "rule", "capability": "applying", "weight_class": "slight", "weight": 2},
    {"criterion": "Asserts C", "category": "error", "capability": "applying", "weight_class": "negative", "weight": -5},
]
CUT = (Stage.WEAK, 2)


def attempt(stage: Stage, index: int, *met: bool) -> Attempt:
    score = max(0, sum(row["weight"] for row, is_met in zip(CRITERIA, met, strict=False) if is_met))
    identity = f"r/{stage.value}/{index}"
    return Attempt(
        attempt_id=identity,
        candidate_id="c",
        stage=stage,
        index=index,
        answer_ref=f"answer/{identity}",
        preview="",
        chars=100 + index,
        truncated=(stage, index) == CUT,
        answered=(stage, index) != CUT,
        mark=Mark(attempt_id=identity, score=Fraction(score, 10), met=met),
    )


def closed(n: int, mode: FailureMode | None, reason: str, *, rubric: RubricFigures | None = None) -> Round:
    means = {"weak_mean": Fraction(1, 6), "strong_mean": Fraction(2, 3), "gap": Fraction(1, 2)} if rubric else {}
    return Round(
        n=n, round_id=str(n), candidate_id="c", question="Q", failure_mode=mode, reason=reason, rubric=rubric, **means
    )


# Weak scores: 8/10, (2 - 5 clipped) 0, cut off 0, 2/10. Strong scores: 10/10, 5/10.
ATTEMPTS = [
    attempt(Stage.STRONG, 1, True, True, True),
    attempt(Stage.STRONG, 0, True, True, False),
    attempt(Stage.WEAK, 0, True, False, False),
    attempt(Stage.WEAK, 1, False, True, True),
    attempt(Stage.WEAK, 2),
    attempt(Stage.WEAK, 3, False, True, False),
]
ROUNDS = [
    closed(1, FailureMode.MALFORMED, "no rubric at all"),
    closed(2, FailureMode.SENT_BACK, "vary more", rubric=rubric_figures([9, 9, 3, 3, -1])),
    closed(3, FailureMode.DUPLICATE, "tried before"),
]
QUESTION = "I lost on appeal. What now?"
FOUND = packet(Pattern(QUESTION, CRITERIA, ATTEMPTS, ROUNDS, flags(QUESTION)))


def number(exact: str, value: float) -> dict[str, Any]:
    return {"exact": exact, "value": value}


def test_means_gap_and_every_score() -> None:
    assert FOUND["weak"]["mean"] == number("1/4", 0.25)
    assert FOUND["strong"]["mean"] == number("3/4", 0.75)
    assert FOUND["gap"] == number("1/2", 0.5)
    weak = FOUND["weak"]["attempts"]
    assert [row["attempt"] for row in weak] == [1, 2, 3, 4]
    assert [row["score"]["exact"] for row in weak] == ["4/5", "0", "0", "1/5"]
    assert [row["score"]["value"] for row in FOUND["strong"]["attempts"]] == [1.0, 0.5]
    assert [row["cut_off"] for row in weak] == [False, False, True, False]
    assert [row["chars"] for row in weak] == [100, 101, 102, 103]


def test_the_spread_of_the_attempts() -> None:
    # (0.55^2 + 0.25^2 + 0.25^2 + 0.05^2) / 4 = 0.1075, of which the root is 0.32787
    assert FOUND["weak"]["variance"] == "43/400"
    assert FOUND["weak"]["std_points"] == 32.79
    assert (FOUND["strong"]["variance"], FOUND["strong"]["std_points"]) == ("1/16", 25.0)


def test_marks_and_pass_counts_of_every_criterion() -> None:
    assert FOUND["criteria"] == [
        {
            **{"number": 1, "category": "rule", "capability": "spotting", "weight_class": "critical", "weight": 8},
            **{"weak": [1, 0, None, 0], "strong": [1, 1], "weak_passed": 1, "strong_passed": 2},
            "criterion": "Asserts A",
        },
        {
            **{"number": 2, "category": "rule", "capability": "applying", "weight_class": "slight", "weight": 2},
            **{"weak": [0, 1, None, 1], "strong": [1, 1], "weak_passed": 2, "strong_passed": 2},
            "criterion": "Asserts B",
        },
        {
            **{"number": 3, "category": "error", "capability": "applying", "weight_class": "negative", "weight": -5},
            **{"weak": [0, 1, None, 0], "strong": [0, 1], "weak_passed": 2, "strong_passed": 1},
            "criterion": "Asserts C",
        },
    ]


def test_capabilities() -> None:
    spotting, applying = FOUND["capabilities"]
    assert spotting == {
        **{"capability": "spotting", "n": 1},
        **{"weak": number("1/4", 0.25), "strong": number("1", 1.0), "gap": number("3/4", 0.75)},
    }
    assert applying == {
        **{"capability": "applying", "n": 2},
        **{"weak": number("1/2", 0.5), "strong": number("3/4", 0.75), "gap": number("1/4", 0.25)},
    }


def test_length_and_flags() -> None:
    assert FOUND["body_chars"] == len(QUESTION)
    assert FOUND["post_filter_flags"] == {"on_appeal": "it says 'on appeal'"}


def test_a_kind_without_fixed_rules_has_no_flags() -> None:
    assert packet(Pattern(QUESTION, CRITERIA, ATTEMPTS))["post_filter_flags"] == {}


def test_earlier_verdicts() -> None:
    first, second, third = FOUND["earlier_verdicts"]
    assert (first["round"], first["verdict"], first["rubric"], first["gap"]) == (1, "malformed_candidate", None, None)
    assert (second["verdict"], second["reason"]) == ("sent_back_by_judge", "vary more")
    assert (second["weak_mean"], second["gap"]) == (number("1/6", 0.1667), number("1/2", 0.5))
    assert (second["rubric"]["items"], second["rubric"]["positive_total"]) == (5, 24)
    assert third["verdict"] == "duplicate_question"


def test_an_eased_rubric_is_measured_against_the_last_one_there_was() -> None:
    assert FOUND["rubric"] == {
        **{"items": 3, "positive_items": 2, "positive_total": 10},
        "positive_mean": number("5", 5.0),
    }
    assert FOUND["eased_since_last_round"] == {
        **{"fewer_items": True, "lower_positive_total": True, "lower_positive_mean": True},
        "before": {"items": 5, "positive_items": 4, "positive_total": 24, "positive_mean": number("6", 6.0)},
    }


@pytest.mark.parametrize(
    ("before", "now", "changes"),
    [
        ([5, 5], [5, 5], (False, False, False)),
        ([5, 5], [5, 5, -1], (False, False, False)),
        ([5, 5, -1], [5, 5], (True, False, False)),
        ([5, 5], [5, 4], (False, True, True)),
        ([9, 1], [5, 5, 5], (False, False, False)),
        ([9, 9], [9, 9, 2], (False, False, True)),
        ([9, 2, 2], [9, 3], (True, True, False)),
    ],
)
def test_every_way_to_ease_a_rubric(before: list[int], now: list[int], changes: tuple[bool, ...]) -> None:
    found = eased([closed(1, FailureMode.SENT_BACK, "", rubric=rubric_figures(before))], rubric_figures(now))
    assert found is not None
    assert (found["fewer_items"], found["lower_positive_total"], found["lower_positive_mean"]) == changes


def test_without_a_rubric_before_there_is_nothing_to_compare() -> None:
    assert eased([], rubric_figures([5])) is None
    assert packet(Pattern(QUESTION, CRITERIA, ATTEMPTS))["eased_since_last_round"] is None


def test_it_is_plain_json_and_shown_whole() -> None:
    assert json.loads(json.dumps(FOUND, allow_nan=False)) == FOUND
    text = shown(FOUND, QUESTION)
    match = re.search(r"<(packet-\w+)>\n(.*)\n</\1>", text, re.DOTALL)
    assert match is not None
    assert json.loads(match[2]) == FOUND
    assert f"\n{QUESTION}\n" in text


def test_criteria_without_tags_have_no_capabilities() -> None:
    bare = [{"criterion": row["criterion"], "weight": row["weight"]} for row in CRITERIA]
    found = packet(Pattern(QUESTION, bare, ATTEMPTS))
    assert found["capabilities"] == []
    assert found["criteria"][0].keys() == {
        *("number", "weight", "weak", "strong", "weak_passed", "strong_passed", "criterion")
    }
