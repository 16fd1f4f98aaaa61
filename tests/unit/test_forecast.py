"""The arithmetic of estimates: what is still to come, from what was measured, with an interval."""

from __future__ import annotations

import random
from statistics import mean

import pytest

from autodata.corpus.intervals import students_t
from autodata.jobs.forecast import MOST_DRAWN, Measured, Plan, Range, RoleUse, forecast


def document(calls: float, *, accepted: bool = True, rounds: float = 1, seconds: float = 0.0) -> Measured:
    return Measured(accepted, rounds, seconds, {"challenger": RoleUse(calls, 100 * calls, 10 * calls)})


def priced(role: str, tokens_in: float, tokens_out: float) -> float:
    return (tokens_in + 2 * tokens_out) / 1000


def unpriced(role: str, tokens_in: float, tokens_out: float) -> None:
    return None


def both(calls: float, count: int = 6) -> list[Measured]:
    return [document(calls, accepted=k % 2 == 0) for k in range(count)]


def test_documents_that_are_all_alike_leave_nothing_open() -> None:
    found = forecast(both(7), Plan(20, 4, 15), priced)
    assert found.totals["calls"] == Range(140, 140, 140)
    assert found.totals["tokens_in"] == Range(14_000, 14_000, 14_000)
    assert found.totals["usd"] is not None
    assert found.totals["usd"].value == pytest.approx(16.8)
    assert found.roles["challenger"] == found.totals
    assert found.documents == Range(20, 20, 20)
    assert 5 < found.accepted.value < 15
    assert found.accepted.low is not None
    assert found.accepted.low < found.accepted.value


def test_a_role_without_a_price_has_no_money() -> None:
    found = forecast(both(7), Plan(20, 4, 15), unpriced)
    assert found.totals["usd"] is None
    assert found.roles["challenger"]["usd"] is None


@pytest.mark.slow
def test_a_target_ends_the_run_and_what_is_in_work_then_counts_in_part() -> None:
    whole = forecast(both(10, 40), Plan(100, 1, 15), priced)
    some = forecast(both(10, 40), Plan(100, 1, 15, target=10), priced)
    assert some.accepted == Range(10, 10, 10)
    assert some.documents.value == pytest.approx(20, abs=3)
    alone, beside = (forecast(both(10, 40), Plan(100, n, 15, target=10), priced).totals["calls"] for n in (1, 8))
    assert alone is not None
    assert beside is not None
    assert whole.totals["calls"] == Range(1000, 1000, 1000)
    assert alone.value < beside.value < 1000
    assert forecast(both(10), Plan(100, 4, 15, target=0), priced).totals["calls"] == Range(0, 0, 0)


def test_side_by_side_takes_less_time() -> None:
    rows = [document(10, accepted=k % 2 == 0, seconds=60.0) for k in range(8)]
    assert forecast(rows, Plan(40, 1, 15), priced).seconds == Range(2400, 2400, 2400)
    assert forecast(rows, Plan(40, 8, 15), priced).seconds == Range(300, 300, 300)
    assert forecast(both(7), Plan(40, 8, 15), priced).seconds == Range(0, 0, 0)


def test_one_document_gives_no_interval_and_none_no_figure() -> None:
    found = forecast([document(7)], Plan(20, 4, 1), priced)
    assert found.totals["calls"] == Range(140)
    with pytest.raises(ValueError, match="nothing was measured"):
        forecast([], Plan(20, 4, 1), priced)


def test_what_was_never_rejected_may_still_be_and_then_takes_all_rounds() -> None:
    found = forecast([document(7, rounds=2)] * 5, Plan(40, 4, 10), priced)
    calls = found.totals["calls"]
    assert calls is not None
    assert calls.low == 280
    assert calls.high is not None
    assert 280 < calls.high < 1400


@pytest.mark.slow
def test_more_documents_than_are_drawn_count_in_proportion() -> None:
    found = forecast(both(7), Plan(5 * MOST_DRAWN, 8, 15), priced)
    assert found.totals["calls"] == Range(35 * MOST_DRAWN, 35 * MOST_DRAWN, 35 * MOST_DRAWN)


@pytest.mark.slow
def test_the_same_documents_give_the_same_figures_and_more_of_them_a_narrower_interval() -> None:
    rng = random.Random(3)
    rows = [document(rng.choice((5, 11, 30)), accepted=rng.random() < 0.8, rounds=3) for _ in range(60)]
    few, many = (forecast(rows[:n], Plan(100, 4, 15), priced).totals["calls"] for n in (5, 60))
    assert many == forecast(rows, Plan(100, 4, 15), priced).totals["calls"]
    assert few is not None
    assert many is not None
    assert width(few) > 2 * width(many)
    assert many.value == pytest.approx(100 * mean(row.calls for row in rows), rel=0.05)


def width(figure: Range) -> float:
    assert figure.low is not None
    assert figure.high is not None
    return (figure.high - figure.low) / figure.value


@pytest.mark.parametrize(("degrees", "known"), [(1, 6.314), (2, 2.920), (4, 2.132), (9, 1.833), (99, 1.660)])
def test_students_t(degrees: int, known: float) -> None:
    assert students_t(0.95, degrees) == pytest.approx(known, abs=0.0005)


# How often the interval holds what a run takes, in money and hours too


RUNS, PILOTED, TO_COME, SIDE_BY_SIDE = 60, 8, 30, 4
PRICES = {"challenger": (3.0, 15.0), "weak_solver": (0.1, 0.4), "verifier": (1.0, 4.0)}


def money(role: str, tokens_in: float, tokens_out: float) -> float:
    price_in, price_out = PRICES[role]
    return (price_in * tokens_in + price_out * tokens_out) / 1e6


def world(rng: random.Random, count: int) -> list[Measured]:
    """Documents of one kind: rounds until one is accepted or the last, and what each round of each takes."""
    rows = []
    for _ in range(count):
        rounds = next((n for n in range(1, 7) if rng.random() < 0.3), 0)
        made = rounds or 6
        speed, length = rng.lognormvariate(0, 0.5), rng.lognormvariate(0, 0.3)
        uses = {
            "challenger": RoleUse(made, made * 3000 * length, made * 700 * rng.uniform(0.6, 1.4)),
            "weak_solver": RoleUse(3 * made, 3 * made * 500, 3 * made * 400 * rng.uniform(0.5, 1.5)),
            "verifier": RoleUse(3 * made, 3 * made * 1500, 3 * made * 60),
        }
        rows.append(Measured(rounds > 0, made, made * 20 * speed, uses))
    return rows


def taken(rows: list[Measured]) -> dict[str, float]:
    """What documents take, one after the other on the first place that is free: by another way than the forecast's."""
    free = [0.0] * SIDE_BY_SIDE
    for row in rows:
        first = min(range(SIDE_BY_SIDE), key=free.__getitem__)
        free[first] += row.seconds
    uses = [(role, use) for row in rows for role, use in row.roles.items()]
    return {
        "seconds": max(free),
        "usd": sum(money(role, use.tokens_in, use.tokens_out) for role, use in uses),
        "calls": sum(use.calls for _, use in uses),
        "tokens_out": sum(use.tokens_out for _, use in uses),
    }


def test_how_fast_the_only_rejected_document_was_says_no_more_than_how_fast_the_others_were() -> None:
    def hours(rejected: float, accepted: float) -> Range:
        paces = [accepted, *[1.0] * 6]
        rows = [document(10, seconds=10 * pace) for pace in paces]
        rows.append(document(60, accepted=False, rounds=6, seconds=60 * rejected))
        return forecast(rows, Plan(30, 4, 6), priced).seconds

    slow, fast = hours(4.0, 1.0), hours(1.0, 4.0)
    assert slow.value == pytest.approx(fast.value, rel=0.1)
    assert width(slow) == pytest.approx(width(fast), rel=0.2)


@pytest.mark.slow
def test_the_interval_holds_money_and_hours_as_often_as_calls_and_tokens() -> None:
    held = dict.fromkeys(("seconds", "usd", "calls", "tokens_out"), 0)
    widths = []
    for seed in range(RUNS):
        rows = world(random.Random(seed), PILOTED + TO_COME)
        estimated = forecast(rows[:PILOTED], Plan(TO_COME, SIDE_BY_SIDE, 6), money, seed)
        for name, real in taken(rows[PILOTED:]).items():
            figure = estimated.seconds if name == "seconds" else estimated.totals[name]
            assert figure is not None
            assert figure.low is not None
            assert figure.high is not None
            held[name] += figure.low <= real <= figure.high
        widths.append(width(estimated.seconds))
    # Nine of ten are to be held: fewer than 49 of 60 would be a chance of one in fifty.
    assert min(held.values()) >= 49, held
    assert max(held.values()) < RUNS, f"an interval that holds everything would say nothing: {held}"
    assert sorted(widths)[RUNS // 2] < 1.5
