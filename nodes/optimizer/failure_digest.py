"""What the analyst reads: failed rounds with everything that was written in them, labelled, fenced and bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from autodata.nodes.optimizer.trajectories import Exchange, Failure
from autodata.prompts import fence

MATERIAL_CHARS = 60_000
"""Longest material, in characters: about 15,000 tokens of English."""

CONTRAST_CHARS = 2_000
"""Longest text of an accepted round."""

_PLANS: Sequence[tuple[int | None, int | None]] = (
    (None, None),
    *((bound, None) for bound in (16_000, 12_000, 8_000, 6_000, 4_000, 3_000, 2_000, 1_500)),
    *((1_500, bound) for bound in (8_000, 6_000, 4_000, 3_000, 2_000, 1_500)),
    *((bound, bound) for bound in (1_000, 700, 500, 300, 200, 100)),
)
"""Longest answer and longest text of any other kind, tried in this order until everything fits."""

Cut = Callable[[str], str]


def render_material(
    sample: Sequence[Failure],
    limit: int = MATERIAL_CHARS,
    *,
    contrast: Sequence[Failure] = (),
    excerpts: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, str]]:
    """Return the material of a sample, at most `limit` characters, and the real id of each label in it.

    Behind the failed rounds stand those of `contrast`, which were accepted and have no label, and how each document
    begins; both are left out before anything of a failed round is.

    Rounds are labelled r1, r2 and so on, attempts a1, a2. Everything is whole as long as it fits. If it does not,
    answers are cut in their middle, then the other texts too, by as little as does it; then the last rounds are left
    out, all but one. Each of these is said in the material.
    """
    more = _contrasted(sample, contrast, excerpts or {})
    for answers, others in _PLANS:
        text, labels = _rendered(sample, answers, others)
        if more and len(text) + 2 + len(more) <= limit:
            return f"{text}\n\n{more}", labels
        if len(text) <= limit:
            return text, labels
    for kept in range(len(sample) - 1, 0, -1):
        text, labels = _rendered(sample[:kept], *_PLANS[-1], len(sample) - kept)
        if len(text) <= limit:
            break
    return text, labels


def _contrasted(sample: Sequence[Failure], contrast: Sequence[Failure], excerpts: Mapping[str, str]) -> str:
    """Return accepted rounds, each cut, and the beginnings of documents, numbered as the failed rounds' are."""
    documents = {name: at for at, name in enumerate(dict.fromkeys(one.document_id for one in sample), 1)}
    for one in contrast:
        documents.setdefault(one.document_id, len(documents) + 1)
    blocks = []
    for one in contrast:
        blocks.append(
            f"## Accepted, for contrast (document {documents[one.document_id]}, its round {one.n}){_means(one)}"
        )
        blocks += _texts(one, lambda text: cut_middle(text, CONTRAST_CHARS))
    for name, excerpt in excerpts.items():
        if name in documents:
            blocks.append(f"## How document {documents[name]} reads, in part\n" + fence("document", excerpt))
    return "\n\n".join(blocks)


def cut_middle(text: str, bound: int | None) -> str:
    """Return a text of at most `bound` characters and a note, its middle left out; None: the text whole."""
    if bound is None or len(text) <= bound:
        return text
    head = (bound + 1) // 2
    tail = bound - head
    return f"{text[:head]}\n[… {len(text) - bound:,} characters left out …]\n{text[len(text) - tail :]}"


def _rendered(
    sample: Sequence[Failure], answers: int | None, others: int | None, left_out: int = 0
) -> tuple[str, dict[str, str]]:
    labels: dict[str, str] = {}
    documents: dict[str, int] = {}
    blocks: list[str] = []
    attempts = 0
    for number, failure in enumerate(sample, 1):
        labels[f"r{number}"] = failure.round_id
        document = documents.setdefault(failure.document_id, len(documents) + 1)
        blocks.append(
            f"## Round r{number}: {failure.failure_mode} (document {document}, its round {failure.n}){_means(failure)}"
        )
        blocks += _texts(failure, lambda text: cut_middle(text, others))
        for exchange in failure.exchanges:
            attempts += 1
            labels[f"a{attempts}"] = exchange.attempt_id
            blocks += _attempt(f"a{attempts}", exchange, answers, others)
        if failure.feedback:
            blocks.append(
                "What the challenger was told then:\n" + fence("feedback", cut_middle(failure.feedback, others))
            )
    return "\n\n".join([*_notes(answers, others, left_out), *blocks]), labels


def _notes(answers: int | None, others: int | None, left_out: int) -> Iterator[str]:
    if answers is not None:
        yield f"Answers of more than {answers:,} characters are cut in the middle."
    if others is not None:
        yield f"Other texts of more than {others:,} characters are cut in the middle."
    if left_out:
        yield f"{left_out} further rounds are left out."


def _means(failure: Failure) -> str:
    means = (("weak", failure.weak_mean), ("strong", failure.strong_mean))
    means_text = ", ".join(f"{name} mean {mean:.2f}" for name, mean in means if mean is not None)
    return f", {means_text}" if means_text else ""


def _texts(failure: Failure, cut: Cut) -> Iterator[str]:
    """Yield what was written before anybody solved: the reason, the task, what the quality verifier found."""
    if failure.reason:
        yield "Why it failed:\n" + fence("reason", cut(failure.reason))
    if failure.candidate:
        yield "The task:\n" + fence("task", cut(_laid_out(failure.candidate)))
    if failure.quality:
        yield "What the quality verifier found:\n" + fence("quality", cut(_laid_out(failure.quality)))


def _attempt(label: str, exchange: Exchange, answers: int | None, others: int | None) -> Iterator[str]:
    score = "not marked" if exchange.score is None else f"score {exchange.score:.2f}"
    answer = cut_middle(exchange.answer, answers)
    yield f"### Attempt {label}: {exchange.stage} solver, {score}\n" + fence("answer", answer)
    if exchange.marks:
        marks = "\n".join(_mark(number, mark) for number, mark in enumerate(exchange.marks, 1))
        yield f"Marks of {label}:\n" + fence("marks", cut_middle(marks, others))


def _mark(number: int, mark: Mapping[str, Any]) -> str:
    weight = mark.get("weight")
    weight_text = f" ({weight:+d})" if isinstance(weight, int) else ""
    reason = f" - {mark['reason']}" if mark.get("reason") else ""
    return f"{number}.{weight_text} {'met' if mark.get('met') else 'not met'}: {mark.get('criterion', '')}{reason}"


def _laid_out(value: Mapping[str, Any]) -> str:
    """Return plain values as lines: `key: value`, and lists of objects one line each."""
    lines: list[str] = []
    for key, item in value.items():
        if isinstance(item, list | tuple) and item:
            lines.append(f"{key}:")
            lines += [f"- {_line(one)}" for one in item]
        else:
            lines.append(f"{key}: {_line(item)}")
    return "\n".join(lines)


def _line(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_line(item)}" for key, item in value.items())
    return "; ".join(map(_line, value)) if isinstance(value, list | tuple) else str(value)
