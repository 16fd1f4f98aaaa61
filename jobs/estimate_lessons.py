"""What the analyst of a run with lessons will take: a call after each batch, except after the last.

Whatever ends the run, its documents or its target, nothing is asked after the batch in which it ends, for no document
is left to learn for. What analyses a domain's documents need is not in the shipped table: their prompt is bounded by
`lessons.sample`, so a call's tokens are those of the folder's own analyses, else as measured below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from autodata.checkpoints.lessons import Batch
from autodata.checkpoints.usage import Usage
from autodata.jobs.forecast import FIGURES, Forecast, Price, Range, RoleUse
from autodata.jobs.known import REPLY_SHARE, SECONDS_PER_CALL, TOKENS_PER_SECOND
from autodata.models.config import ModelSettings
from autodata.nodes.dataset.settings import LessonsConfig

ROLE = "dataset_analyst"
PROMPT_TOKENS = 1_430.0
"""Tokens of an analysis' prompt: the mean in a simulated run of `cs` over 32 documents, with the defaults."""
SIMULATED_TOKENS = 16.0
"""Tokens of a simulated analyst's reply in the same run."""


def with_analyses(
    reported: Forecast,
    settings: LessonsConfig,
    known: Sequence[Batch],
    spent: Usage | None,
    model: ModelSettings,
    price: Price,
) -> Forecast:
    """Return the forecast with the analyst's calls; `known` are the folder's batches, `spent` its analyst's calls.

    Bounds follow from those of the documents: fewer documents, fewer batches.
    """
    if not settings.enabled or not settings.new:
        return reported
    one = _one_call(spent, model)
    count = _each(reported.documents, lambda documents: analyses(documents, settings.batch, known))
    usd = price(ROLE, one.tokens_in, one.tokens_out)
    own: dict[str, Range | None] = {
        "calls": count,
        "tokens_in": count.times(one.tokens_in),
        "tokens_out": count.times(one.tokens_out),
        "usd": None if usd is None else count.times(usd),
    }
    seconds = SECONDS_PER_CALL + one.tokens_out / TOKENS_PER_SECOND if reported.seconds.value else 0.0
    return replace(
        reported,
        seconds=_both(reported.seconds, count.times(seconds)) or reported.seconds,
        totals={name: _both(reported.totals[name], own[name]) for name in FIGURES},
        roles={**reported.roles, ROLE: own},
    )


def analyses(documents: float, batch: int, known: Sequence[Batch]) -> int:
    """Return how many batches end before the last one, when so many documents are still to come.

    A batch of the folder that was walked and not looked at is looked at first; of one that is open, its documents
    count as those to come that they are.
    """
    if documents <= 0:
        return 0
    due = 1 if known and known[-1].state == "walked" else 0
    return due + max(0, -int(-documents // batch) - 1)


def _one_call(spent: Usage | None, model: ModelSettings) -> RoleUse:
    if spent is not None and spent.calls and spent.tokens_in is not None and spent.tokens_out is not None:
        return RoleUse(1, spent.tokens_in / spent.calls, spent.tokens_out / spent.calls)
    simulated = model.provider == "simulated"
    return RoleUse(1, PROMPT_TOKENS, SIMULATED_TOKENS if simulated else REPLY_SHARE * model.max_tokens)


def _each(figure: Range, count: Callable[[float], int]) -> Range:
    low, high = (None if bound is None else float(count(bound)) for bound in (figure.low, figure.high))
    return Range(float(count(figure.value)), low, high)


def _both(one: Range | None, other: Range | None) -> Range | None:
    if one is None or other is None:
        return None
    bounds = (None if a is None or b is None else a + b for a, b in ((one.low, other.low), (one.high, other.high)))
    return Range(one.value + other.value, *bounds)
