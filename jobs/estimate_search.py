"""What a search of `autodata optimize` will take, before it begins.

A search evaluates prompts on documents, and each document takes what one of the domain takes, with the search's own
number of rounds. How many evaluations there are follows from the settings; only where a comparison ends is open:

- at least no iteration brings a mutant that is worth validating;
- at most each comparison takes all documents that it may, every mutant leads and is confirmed, and under `strict` a
  parent is validated on a further block every second time.

Each iteration that does not merge adds some turns of the editor, and each of its analyses a minibatch and one call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from autodata.checkpoints.usage import Usage
from autodata.jobs.estimate import FEWEST_MEASURED, Estimate, beyond, counted, priced
from autodata.jobs.forecast import FIGURES, Forecast, Measured, Plan, Price, Range, RoleUse, forecast
from autodata.jobs.known import known_documents
from autodata.jobs.standing import duration
from autodata.nodes.optimizer.settings import OptimizeConfig
from autodata.prompts.roles import OPTIMIZER_ROLES
from autodata.runner.optimization.session import OptimizeRunConfig
from autodata.runner.side_by_side import documents_at_once

EDITOR_TURNS = (1, 2)
"""Turns of the editor in an iteration: at least, and as a rule."""
MATERIAL_TOKENS = 6_000
"""Tokens of the prompts and failures that analyst and editor read, about."""
REPLY_TOKENS = 1_200
"""Tokens of an analysis or an edit, about."""
BATCHES = 3.5
"""Batches of documents that a sequential comparison takes, of parent and mutant together, as measured in the simulated
worlds."""

FEW_PROPOSALS = 10
"""Below so many proposed edits there is a warning: most edits help little or not at all, so few find one that does."""


@dataclass(frozen=True)
class Evaluated:
    """Documents that a search evaluates: at least, as a rule, and at most."""

    least: int
    likely: int
    most: int
    besides: int = 0
    """Those of `likely` that no iteration takes: the baseline's first evaluation and the held-out test."""


def evaluated(
    settings: OptimizeConfig, train: int, validate: int, test: int, done: int = 0, made: int = 0
) -> Evaluated:
    """Return the documents that a search goes through, `done` of its iterations left out.

    Of the first evaluation, which precedes all iterations, `made` documents have ended.
    """
    left = max(0, settings.iterations - done)
    first = 0 if done else max(0, validate - made)
    held_out = 2 * test if left else 0
    confirmed = 2 * settings.confirm * validate
    of_least, of_likely, of_most = _compared(settings, validate)
    batches = [min(settings.minibatch, train) * count for count in _analyses(settings, left)]
    least = first + batches[0] + left * of_least
    most = first + batches[2] + left * (of_most + confirmed)
    # As a rule one mutant in five would lead.
    likely = first + batches[1] + left * (of_likely + confirmed // 5)
    return Evaluated(least + held_out // 2, likely + held_out, most + held_out, first + held_out)


def _compared(settings: OptimizeConfig, validate: int) -> tuple[int, int, int]:
    """Return the validation documents of an iteration, confirmation left out: at least, as a rule, and at most."""
    wave = min(settings.wave, validate)
    if settings.accept == "sequential":
        bound = min(settings.most_documents, settings.max_blocks * validate) + wave - 1  # its last batch is whole
        return 0, min(2 * bound, round(BATCHES * wave)), 2 * bound
    if settings.racing == "off":
        wave = validate  # documents until a race may stop
    again = 0 if settings.reuse_parent else validate
    block = validate // 2 if settings.max_blocks > 1 else 0  # every second time a pack is sampled
    # As a rule half of the races are run to their end.
    return again, (wave + validate) // 2 + again + block // 2, validate + again + block


def _edits(settings: OptimizeConfig, left: int) -> tuple[int, int, int]:
    """Return the iterations of so many that do not merge: at least, as a rule, and at most."""
    share = left * (1 - settings.merge)
    return math.floor(share), round(share), left


def _analyses(settings: OptimizeConfig, left: int) -> tuple[int, int, int]:
    """Return the iterations that read failures of their own, in place of an earlier analysis."""
    least, likely, most = _edits(settings, left)
    return least // settings.proposals, round(likely / settings.proposals), -(-most // settings.proposals)


def estimate_search(
    config: OptimizeRunConfig,
    lengths: Mapping[str, list[int]],
    *,
    done: int = 0,
    spent: Usage | None = None,
    by_role: Mapping[str, Usage] | None = None,
    made: Sequence[Measured] = (),
) -> Estimate:
    """Return what a search over splits will take, documents given by their lengths in characters.

    `done` iterations have ended and took `spent`; `made` is what documents took in evaluations so far, of a pilot or of
    the search: if they are enough, the figures come from them, else from what is known of the domain. Bounds: the least
    and the most that the settings allow, with the interval of what documents take.
    """
    settings, spent = config.optimize, spent or Usage()
    documents = [chars for split in lengths.values() for chars in split]
    train, validate, test = (len(lengths.get(split, [])) for split in ("train", "validate", "test"))
    counts = evaluated(settings, train, validate, test, done, len(made))
    of_loop = config.model_copy(update={"max_rounds": settings.max_rounds})
    if len(made) >= FEWEST_MEASURED:
        rows, source = list(made), f"the {len(made)} documents that evaluations have taken to their ends so far"
    else:
        rows, source = known_documents(of_loop, sum(documents) / max(len(documents), 1))
    roles = config.roles()

    def price(role: str, tokens_in: float, tokens_out: float) -> float | None:
        return priced(roles, role, tokens_in, tokens_out)

    least, likely, most = (
        forecast(rows, Plan(count, documents_at_once(config), settings.max_rounds), price, config.seed)
        for count in (counts.least, counts.likely, counts.most)
    )
    left = max(0, settings.iterations - done)
    own = {role: _own(role, left, settings, price) for role in OPTIMIZER_ROLES}
    figures = {role: _between(least.roles[role], likely.roles[role], most.roles[role]) for role in likely.roles}
    figures |= own
    totals = {name: _sum([of_role[name] for of_role in figures.values()]) for name in FIGURES}
    whole = Estimate(
        documents=Range(counts.likely, counts.least, counts.most),
        accepted=Range(likely.accepted.value, least.accepted.low, most.accepted.high),
        seconds=_seconds(least, likely, most),
        totals={name: _plus(figure, spent, name) for name, figure in totals.items()},
        roles={
            role: {name: _plus(one, (by_role or {}).get(role, Usage()), name) for name, one in of_role.items()}
            for role, of_role in figures.items()
        },
        known=len(documents),
        measured=len(made) if len(made) >= FEWEST_MEASURED else 0,
        waiting=left,
        of_search=True,
        skipped=0,
        spent=spent,
        source=f"{source}; {left} iterations of {len(lengths.get('validate', []))} validation documents",
        unpriced=tuple(role for role in figures if price(role, 1, 1) is None),
    )
    proposals = _affordable(config, counts, likely, own, left, spent)
    return replace(whole, beyond=beyond(whole, config.budget), proposals=proposals)


def _affordable(
    config: OptimizeRunConfig,
    counts: Evaluated,
    likely: Forecast,
    own: Mapping[str, Mapping[str, Range | None]],
    left: int,
    spent: Usage,
) -> int:
    """Return how many of the iterations that are left the budget pays for, as a rule.

    `likely` is what documents take, `own` what analyst and editor do, all iterations together.
    """
    costs = counted(likely.totals, likely.seconds)
    own_costs = counted({name: _sum([of_role[name] for of_role in own.values()]) for name in FIGURES}, Range(0.0))
    paid = {"max_calls": spent.calls, "max_tokens": spent.tokens, "max_usd": spent.usd or 0.0, "max_seconds": 0.0}
    affordable = left
    for name, cost in costs.items():
        bound = getattr(config.budget, name)
        besides = cost * counts.besides / counts.likely if counts.likely else 0.0
        an_iteration = (cost - besides + own_costs[name]) / left if left else 0.0
        if bound is not None and an_iteration:
            affordable = min(affordable, max(0, int((bound - paid[name] - besides) / an_iteration)))
    return affordable


def expected(estimate: Estimate) -> str:
    """Return in one line what a search is to take as a rule, and how many proposals are paid for."""
    calls, usd = estimate.totals["calls"], estimate.totals["usd"]
    tokens = [figure.value for name in ("tokens_in", "tokens_out") if (figure := estimate.totals[name])]
    parts = [f"{calls.value:,.0f} calls"] if calls else []
    parts += [f"{sum(tokens):,.0f} tokens", *([f"${usd.value:,.2f}"] if usd and usd.value else [])]
    parts += [duration(estimate.seconds.value)] if estimate.seconds.value else []
    proposals = f"{estimate.proposals:,} of {estimate.waiting:,} proposed edits"
    return f"expected: about {', '.join(parts)}; paid for: about {proposals} (--dry-run says more)"


def few_proposals(estimate: Estimate) -> str:
    """Return a warning where a search can pay for few proposals only, else nothing."""
    if estimate.proposals is None or not estimate.waiting or estimate.proposals >= FEW_PROPOSALS:
        return ""
    how = "raise the budget" if estimate.proposals < estimate.waiting else "give more --iterations"
    return (
        f"warning: only about {estimate.proposals} proposed edits are paid for; with fewer than {FEW_PROPOSALS} a"
        f" search seldom finds one that helps: {how}, or validate on fewer documents"
    )


def _own(role: str, left: int, settings: OptimizeConfig, price: Price) -> dict[str, Range | None]:
    """Return what analyst or editor take: one call an analysis, or some turns an edit."""
    asked = _analyses(settings, left) if role == "analyst" else _edits(settings, left)
    turns = (1, 1, 1) if role == "analyst" else (*EDITOR_TURNS, settings.editor_turns)
    uses = [RoleUse(n, n * MATERIAL_TOKENS, n * REPLY_TOKENS) * count for n, count in zip(turns, asked, strict=True)]
    usd = [price(role, use.tokens_in, use.tokens_out) for use in uses]
    priced_all = [value for value in usd if value is not None]
    return {
        "calls": _ordered([use.calls for use in uses]),
        "tokens_in": _ordered([use.tokens_in for use in uses]),
        "tokens_out": _ordered([use.tokens_out for use in uses]),
        "usd": _ordered(priced_all) if len(priced_all) == len(usd) else None,
    }


def _ordered(figures: list[float]) -> Range:
    """Return the least, the likely and the most as one figure."""
    least, likely, most = figures
    return Range(likely, least, most)


def _between(
    least: Mapping[str, Range | None], likely: Mapping[str, Range | None], most: Mapping[str, Range | None]
) -> dict[str, Range | None]:
    found: dict[str, Range | None] = {}
    for name in FIGURES:
        low, middle, high = least[name], likely[name], most[name]
        if low is None or middle is None or high is None:
            found[name] = None
        else:
            found[name] = Range(middle.value, low.low, high.high)
    return found


def _sum(figures: list[Range | None]) -> Range | None:
    known = [one for one in figures if one is not None]
    if len(known) < len(figures):
        return None
    low, high = (
        sum(bound or 0.0 for bound in bounds) for bounds in zip(*((f.low, f.high) for f in known), strict=True)
    )
    return Range(sum(one.value for one in known), low, high)


def _seconds(least: Forecast, likely: Forecast, most: Forecast) -> Range:
    return Range(likely.seconds.value, least.seconds.low, most.seconds.high)


def _plus(figure: Range | None, spent: Usage, name: str) -> Range | None:
    known = {"calls": spent.calls, "tokens_in": spent.tokens_in, "tokens_out": spent.tokens_out, "usd": spent.usd}
    return None if figure is None else figure.plus(known[name] or 0.0)
