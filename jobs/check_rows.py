"""Whether the rows of a ledger agree with one another: ids with contents, scores with marks, means with attempts."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from autodata.checkpoints.document_queue import MAIN
from autodata.checkpoints.ids import attempt_id, canonical_json, digest, document_id
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.documents import document_ids
from autodata.checkpoints.queries.soundness import leading_nowhere, marks_of, of_rounds, pages
from autodata.checkpoints.writes.rounds import CONFIRMING
from autodata.domains.acceptance.rubric_score import mean, rubric_score
from autodata.jobs.check_problems import Problem, Repair

Row = Mapping[str, Any]
_MEANS = ("weak_mean", "strong_mean", "gap")
_CLOSE = 1e-9
"""How far a mean that was computed as a fraction may be from the number that is stored of it."""


def again(row: Row, kind: str, where: str, what: str) -> Problem:
    """Return a problem that is mended by walking a document again."""
    return Problem(kind, where, what, Repair.WALK_AGAIN, str(row["document_id"]))


async def orphans(ledger: Reader, *, search: bool) -> list[Problem]:
    """Return rows whose references lead nowhere. A round that a known document lacks is made again by walking it."""
    known = await document_ids(ledger)
    found = []
    for row in await leading_nowhere(ledger, search=search):
        where, value = f"{row['table']} {row['at']}", str(row["value"])
        what = f"{row['column']} {value} is in no row of {row['other']}"
        document = value.removeprefix(f"{MAIN}/").partition("/")[0] if value.startswith(f"{MAIN}/") else ""
        repair = Repair.WALK_AGAIN if document in known else None
        found.append(Problem("orphan_row", where, what, repair, document if repair else ""))
    return found


async def documents(ledger: Reader) -> list[Problem]:
    """Return documents whose text is another than the one that was taken in."""
    found: list[Problem] = []
    async for rows in pages(ledger, "documents"):
        for row in rows:
            name, text = row["name"], row["text"]
            if len(text) != row["chars"]:
                what = f"its text has {len(text):,} characters, {row['chars']:,} were recorded"
                found.append(Problem("altered_document", name, what))
            elif text and not row["note"] and _is_hash(row["document_id"]) and document_id(text) != row["document_id"]:
                found.append(Problem("altered_document", name, "its text does not have the id of its row"))
    return found


async def candidates(ledger: Reader) -> list[Problem]:
    """Return candidates that are not what their ids were made of."""
    found: list[Problem] = []
    async for rows in pages(ledger, "candidates"):
        for row in rows:
            content = _json(row["candidate"])
            if not isinstance(content, dict):
                found.append(Problem("altered_candidate", row["candidate_id"], "its JSON cannot be read"))
            elif digest(content) != row["candidate_id"]:
                found.append(Problem("altered_candidate", row["candidate_id"], "its content does not have its id"))
            elif any(row[name] != content.get(name, "") for name in ("question", "context", "reference_answer")):
                found.append(Problem("altered_candidate", row["candidate_id"], "its columns are not its content's"))
    return found


async def rounds(ledger: Reader) -> tuple[list[Problem], int, int]:
    """Return what is wrong with rounds and what belongs to them, and how many rounds and attempts were looked at."""
    found: list[Problem] = []
    looked = made = 0
    async for page in pages(ledger, "rounds"):
        ids = [row["round_id"] for row in page]
        attempts = _by_round(await of_rounds(ledger, "attempts", ids))
        verdicts = _by_round(await of_rounds(ledger, "verdicts", ids))
        examples = _by_round(await of_rounds(ledger, "examples", ids))
        marks = defaultdict(list)
        for mark in await marks_of(ledger, [one["attempt_id"] for rows in attempts.values() for one in rows]):
            marks[mark["attempt_id"]].append(mark)
        for row in page:
            key = row["round_id"]
            found += _attempts(row, attempts[key], marks)
            found += _means(row, attempts[key], verdicts[key])
            found += _examples(row, attempts[key], examples[key])
            found += _confirmed(row, verdicts[key], examples[key])
            made += len(attempts[key])
        looked += len(page)
    return found, looked, made


def _attempts(row: Row, attempts: Sequence[Row], marks: Mapping[str, Sequence[Row]]) -> Iterator[Problem]:
    for one in attempts:
        where = f"attempt {one['attempt_id']}"
        if one["attempt_id"] != attempt_id(row["round_id"], one["stage"], one["idx"]):
            yield again(row, "altered_attempt", where, "its id is not that of its round, stage and number")
        if one["answered"] and len(one["answer"]) != one["chars"]:
            what = f"its answer has {len(one['answer']):,} characters, {one['chars']:,} were recorded"
            yield again(row, "altered_attempt", where, what)
        if one["score"] is None:
            continue
        score, own = _fraction(one["score"]), marks[one["attempt_id"]]
        if score is None or not 0 <= score <= 1 or one["score_value"] is None:
            yield again(row, "altered_score", where, f"its score {one['score']} is no fraction in 0..1")
        elif not _equal(float(score), one["score_value"]):
            yield again(row, "altered_score", where, f"its score is {one['score']}, as a number {one['score_value']}")
        elif (expected := _of_marks(own)) is not None and expected != score:
            yield again(row, "altered_score", where, f"its score is {one['score']}, its marks come to {expected}")


def _means(row: Row, attempts: Sequence[Row], verdicts: Sequence[Row]) -> Iterator[Problem]:
    own = [one for one in attempts if one["candidate_id"] == row["candidate_id"]]
    scores = {
        stage: [score for one in own if one["stage"] == stage and (score := _fraction(one["score"])) is not None]
        for stage in ("weak", "strong")
    }
    real = {f"{stage}_mean": float(mean(of)) if of else None for stage, of in scores.items()}
    both = None not in real.values()
    real["gap"] = real["strong_mean"] - real["weak_mean"] if both else None  # type: ignore[operator] # both are there
    fresh = [verdict for verdict in verdicts if verdict["stage"] == CONFIRMING]
    selecting = [verdict for verdict in verdicts if verdict["stage"] != CONFIRMING]
    for what, one in [("round", row), *(("verdict", verdict) for verdict in selecting)]:
        for name in _MEANS:
            if one[name] is not None and attempts and (real[name] is None or not _equal(real[name], one[name])):
                yield again(
                    row,
                    "altered_mean",
                    f"{what} {row['round_id']}",
                    f"{name} is {one[name]:g}, its attempts come to {_shown(real[name])}",
                )
    for verdict in fresh:  # of attempts that only the journal holds
        if not _equal(verdict["strong_mean"] - verdict["weak_mean"], verdict["gap"]):
            what = f"gap is {verdict['gap']:g}, its means are {verdict['weak_mean']:g} and {verdict['strong_mean']:g}"
            yield again(row, "altered_mean", f"confirmation {row['round_id']}", what)
    for verdict in selecting:
        there = sum(one["stage"] == verdict["stage"] for one in own)
        if attempts and verdict["made"] > there:
            what = f"{verdict['made']} attempts stood behind it, {there} are there"
            yield again(row, "altered_mean", f"verdict {row['round_id']}", what)


def _examples(row: Row, attempts: Sequence[Row], examples: Sequence[Row]) -> Iterator[Problem]:
    where = f"round {row['round_id']}"
    if row["outcome"] == "accepted" and not examples:
        yield again(row, "lost_example", where, "it was accepted, and its example is not there")
    if row["outcome"] != "accepted" and examples:
        yield again(row, "lost_example", where, f"its outcome is {row['outcome']}, and it has an example")
    for example in examples:
        for what in _differs(row, attempts, example):
            yield again(row, "altered_example", f"example {example['example_id']}", what)


def _confirmed(row: Row, verdicts: Sequence[Row], examples: Sequence[Row]) -> Iterator[Problem]:
    """Yield examples whose confirmed figures are not those of their round's confirmation."""
    fresh = next((verdict for verdict in verdicts if verdict["stage"] == CONFIRMING), None)
    for example in examples:
        content = _json(example["example"])
        stated = content.get("confirmed") if isinstance(content, dict) else None
        figures = [None if stated is None else _number(stated.get(name)) for name in _MEANS]
        real = [None if fresh is None else fresh[name] for name in _MEANS]
        if not all(_same(one, other) for one, other in zip(figures, real, strict=True)):
            what = "its confirmed figures are not its round's"
            yield again(row, "altered_example", f"example {example['example_id']}", what)


def _number(value: object) -> float | None:
    fraction = _fraction(value)
    return None if fraction is None else float(fraction)


def _differs(row: Row, attempts: Sequence[Row], example: Row) -> Iterator[str]:
    """Yield where an example is not what its round says."""
    content = _json(example["example"])
    if not isinstance(content, dict):
        yield "its JSON cannot be read"
        return
    if content.get("example_id") != example["example_id"] or content.get("document_id") != example["document_id"]:
        yield "its JSON is another example's"
    if example["document_id"] != row["document_id"]:
        yield "its round is another document's"
    if content.get("candidate_id") != row["candidate_id"] or (
        row["candidate"] and canonical_json(content.get("candidate")) != canonical_json(_json(row["candidate"]))
    ):
        yield "its candidate is not its round's"
    for name in _MEANS:
        if not _same(example[name], row[name]) or not _same(_number(content.get(name)), example[name]):
            yield f"its {name} is not its round's"
    for stage in ("weak", "strong"):
        own = [
            one["score"]
            for one in attempts
            if one["stage"] == stage and one["candidate_id"] == row["candidate_id"] and one["score"] is not None
        ]
        stated_scores = [_fraction(score) for score in content.get(f"{stage}_scores") or ()]
        if attempts and sorted(map(str, stated_scores)) != sorted(str(_fraction(score)) for score in own):
            yield f"its scores of the {stage} solver are not its attempts'"


def _of_marks(marks: Sequence[Row]) -> Fraction | None:
    """Return the score that marks by criterion come to, None where they are of no rubric."""
    weights = [int(mark["weight"]) for mark in marks]
    if not any(weight > 0 for weight in weights):
        return None
    return rubric_score(weights, [bool(mark["met"]) for mark in marks])


def _by_round(rows: Iterable[Row]) -> defaultdict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["round_id"]].append(row)
    return found


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def _fraction(value: object) -> Fraction | None:
    try:
        return None if value is None else Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        return None


def _equal(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=0, abs_tol=_CLOSE)


def _same(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else _equal(one, other)


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _is_hash(text: str) -> bool:
    return len(text) == 16 and all(char in "0123456789abcdef" for char in text)
