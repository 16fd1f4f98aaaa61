"""The statistics of a calibration: samples, agreement and kappa, noise, flips, guard bands, people's labels."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.records import Stage
from autodata.domains.acceptance.policies import PRESETS, Planned
from autodata.domains.acceptance.rubric_score import rubric_score
from autodata.jobs.calibration import flips
from autodata.jobs.calibration.agreement import agreement_of, cohens_kappa, fleiss_kappa, noise_of
from autodata.jobs.calibration.flips import Marked, attempts_for, guard_band, played
from autodata.jobs.calibration.labels import Label, agreement_with, read_labels
from autodata.jobs.calibration.remark import Remarked
from autodata.jobs.calibration.sample import Sampled, sampled, stratum_of

ONES = (1,) * 10


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw less, of what is drawn for each number of attempts."""
    monkeypatch.setattr(flips, "DRAWN", 60)


def row(number: int, stage: str, score: float) -> dict[str, Any]:
    about = {
        "attempt_id": f"main/d{number}/1/c/{stage}/{number}",
        "round_id": "r",
        "idx": number,
        "answer": "x",
        "n": 1,
    }
    return {**about, "stage": stage, "score_value": score, "document_id": "d", "candidate": "{}", "met": (True, False)}


def test_a_sample_has_every_stratum_and_a_larger_one_holds_a_smaller() -> None:
    rows = [row(k, "weak", 0.1) for k in range(30)] + [row(40, "strong", 0.5), row(41, "strong", 0.9)]
    few, more = sampled(rows, 6, 0), sampled(rows, 12, 0)
    assert {one.stratum for one in few} == {"weak low", "strong middling", "strong high"}
    assert more[: len(few)] == few
    assert sampled(rows, 6, 1) != few
    assert len(sampled(rows, 100, 0)) == len(rows)
    assert stratum_of("weak", 2 / 3) == "weak high"


def test_kappa_as_in_published_tables() -> None:
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    assert cohens_kappa(pairs) == pytest.approx(0.4)
    # Scott's pi of the same table: p_e = 0.55**2 + 0.45**2.
    assert fleiss_kappa(pairs) == pytest.approx((0.7 - 0.505) / (1 - 0.505))
    assert cohens_kappa([(True, True)]) is None
    assert fleiss_kappa([(True, True, True)]) is None


def test_three_findings_agree_pair_by_pair() -> None:
    found = agreement_of([[(True, True, False)], [(True, True, True)]])
    assert found.agreement.value == pytest.approx((1 / 3 + 1) / 2)
    assert found.items == 2


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1, 0.5])
def test_noise_follows_from_disagreement(noise: float) -> None:
    assert noise_of(2 * noise * (1 - noise)) == pytest.approx(noise)


@pytest.mark.parametrize("noise", [0.03, 0.1])
def test_planted_noise_lies_in_the_interval(noise: float) -> None:
    rng = random.Random(3)
    attempts = []
    for _ in range(60):
        truth = [rng.random() < 0.5 for _ in range(12)]
        attempts.append([tuple(one != (rng.random() < noise) for _ in range(4)) for one in truth])
    found = agreement_of(attempts).noise
    assert found.low is not None
    assert found.high is not None
    assert found.low <= noise <= found.high
    assert found.high - found.low < 0.05


def test_a_single_finding_says_nothing() -> None:
    found = agreement_of([[(True,)]])
    assert (found.items, found.agreement.value, found.noise.value) == (0, None, None)


def attempt(met: int) -> Marked:
    marks = tuple(k < met for k in range(10))
    return Marked(rubric_score(ONES, marks), ONES, marks)


def a_round(weak: int, strong: int) -> dict[Stage, tuple[Marked, ...]]:
    return {Stage.WEAK: (attempt(weak),) * 3, Stage.STRONG: (attempt(strong),) * 3}


def test_verdicts_near_a_gate_flip_and_those_far_from_it_hold() -> None:
    turned = {True: 0.1, False: 0.1}
    near, far = played([a_round(4, 7), a_round(1, 10)], PRESETS["paper"], Planned(3, 3), turned)
    assert near.flips > 0.2
    assert far.flips < 0.02
    band, beyond = guard_band([near, far], PRESETS["paper"], Planned(3, 3), 0.05)
    assert band is not None
    assert band >= Fraction(5, 100)
    assert beyond == 1


def test_without_noise_nothing_flips_and_one_attempt_is_enough() -> None:
    rounds = [a_round(1, 9), a_round(6, 9)]
    still = {True: 0.0, False: 0.0}
    assert [one.flips for one in played(rounds, PRESETS["paper"], Planned(3, 3), still)] == [0, 0]
    assert attempts_for(rounds, PRESETS["paper"], still, 0.05)[0] == 1


def test_more_attempts_flip_less() -> None:
    enough, curve = attempts_for([a_round(3, 8)], PRESETS["paper"], {True: 0.15, False: 0.15}, 0.05)
    assert curve[1] > curve[8] > curve[32] or curve[32] == 0
    assert enough is not None
    assert enough > 1
    assert attempts_for([], PRESETS["paper"], {True: 0.1, False: 0.1}, 0.05) == (None, {})


def test_what_code_marked_is_never_turned() -> None:
    by_code = Marked(Fraction(1))
    assert by_code.again({True: 1.0, False: 1.0}, random.Random(0)) == 1


def test_labels_are_read_and_compared(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("attempt_id,criterion,met,who\na,1,yes,me\na,2,no,me\na,9,1,me\nb,1,0,me\n", "utf-8")
    labels = read_labels(file)
    assert labels[0] == Label("a", 1, met=True)
    one = Remarked(Sampled("a", "weak", 0, 1, "d", "x", {}, (True, True), "weak high"), ())
    assert agreement_with([one], labels) == {"findings": 2, "unknown": 2, "agreement": 0.5, "kappa": 0.0}
    assert agreement_with([one], ()) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [("attempt_id,met\na,1\n", "no column criterion"), ("attempt_id,criterion,met\na,x,1\n", "line 2: write")],
)
def test_labels_that_cannot_be_read_are_named(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(text, "utf-8")
    with pytest.raises(UserError, match=said):
        read_labels(file)
