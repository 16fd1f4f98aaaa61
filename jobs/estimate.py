"""What a run will cost, before it begins: documents, calls, tokens, money and hours, each with an interval.

From the first documents, really run and kept (`pilot`), or what a run folder holds already; else from what is known of
the domain. Without a pilot nothing is sent and nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Reader, open_readonly
from autodata.checkpoints.lessons import Batch
from autodata.checkpoints.places import has_ledger, ledger_place
from autodata.checkpoints.queries.chosen import accepted_keys
from autodata.checkpoints.queries.documents import status_of
from autodata.checkpoints.queries.lessons import batches
from autodata.checkpoints.queries.measured import documents_by_length
from autodata.checkpoints.queries.usage import usage_by_role, usage_of_all
from autodata.checkpoints.records import Skipped
from autodata.checkpoints.usage import Usage
from autodata.jobs.estimate_lessons import ROLE as ANALYST
from autodata.jobs.estimate_lessons import with_analyses
from autodata.jobs.forecast import CONFIDENCE, Forecast, Measured, Plan, Range, forecast
from autodata.jobs.inputs import Inputs
from autodata.jobs.known import known_documents, readers_of
from autodata.jobs.measured import measured
from autodata.models.budget import price
from autodata.models.config import BudgetConfig, ModelSettings
from autodata.runner.config import RunConfig
from autodata.runner.run_folder import require_room
from autodata.runner.side_by_side import documents_at_once, side_by_side

FEWEST_MEASURED = 2
"""Documents that must have ended before a folder's own figures are used: one says nothing of how they differ."""


@dataclass(frozen=True)
class Estimate:
    """What a whole run will take, what it took so far included. Figures without bounds: too few were measured."""

    documents: Range
    """Documents that will have ended, or be in work when the target is reached."""
    accepted: Range
    seconds: Range
    """Wall-clock seconds still to come; 0 where the models take none."""
    totals: Mapping[str, Range | None]
    """`calls`, `tokens_in`, `tokens_out`, `usd`; `usd` is None where a model has no price."""
    roles: Mapping[str, Mapping[str, Range | None]]
    """The same by role."""
    known: int
    """Documents that can be used, those that have ended included."""
    waiting: int
    """Documents that are still to be worked on."""
    skipped: int
    """Inputs that are no documents, or none that can be used."""
    spent: Usage
    """What the folder's calls took so far."""
    source: str
    """What the figures were made from."""
    measured: int = 0
    """Documents of the folder that they were made from; 0 where they come from what is known of the domain."""
    of_search: bool = False
    """Whether it is a search's: `documents` are then those of all its evaluations, `waiting` its iterations."""
    unpriced: tuple[str, ...] = ()
    """Roles whose model has no price."""
    notes: tuple[str, ...] = ()
    """What a person must know of the documents."""
    beyond: tuple[str, ...] = ()
    """Budgets that would end the run before its end, one line each."""
    proposals: int | None = None
    """Of a search: how many of its iterations, each with one proposed edit, the budgets are likely to pay for."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON: a range as `[low, value, high]`."""
        return {
            "documents": _plain(self.documents),
            "accepted": _plain(self.accepted),
            "hours": _plain(self.seconds.times(1 / 3600)),
            **{name: _plain(figure) for name, figure in self.totals.items()},
            "roles": {role: {name: _plain(one) for name, one in row.items()} for role, row in self.roles.items()},
            "known": self.known,
            "waiting": self.waiting,
            "skipped": self.skipped,
            "spent": {"calls": self.spent.calls, "tokens": self.spent.tokens, "usd": self.spent.usd},
            "confidence": CONFIDENCE,
            "source": self.source,
            "measured": self.measured,
            "unpriced": list(self.unpriced),
            "beyond": list(self.beyond),
            **({"proposals": self.proposals} if self.of_search else {}),
        }


def _plain(figure: Range | None) -> list[float | None] | None:
    if figure is None:
        return None
    return [None if value is None else round(value, 6) for value in (figure.low, figure.value, figure.high)]


@dataclass(frozen=True)
class _Found:
    """What is there: lengths of documents still to come, what ended ones took, what was spent."""

    waiting: list[int]
    """Characters of each document that is still to be worked on."""
    skipped: int = 0
    accepted: int = 0
    ended: int = 0
    spent: Usage = field(default_factory=Usage)
    by_role: Mapping[str, Usage] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    batches: Sequence[Batch] = ()


async def estimate_of(config: RunConfig, inputs: Inputs, out: Path | None) -> Estimate:
    """Return what a run will take. Nothing is sent, nothing is written.

    `inputs` are the documents given; those of the folder `out`, if it holds a run, come before them. Raises UserError
    when there is no document at all, and where a document has no room in a model's context, as the run would.
    """
    require_room(config, config.roles())
    if out is None or not has_ledger(out):
        return _estimate(config, await _survey(config, inputs, None), [])
    async with open_readonly(ledger_place(out)) as ledger:
        found = await _survey(config, inputs, ledger)
        domain = config.chosen_domain
        readers = readers_of(domain)
        chars = sum(found.waiting) / len(found.waiting) if found.waiting else None
        return _estimate(config, found, await measured(ledger, readers, chars if readers else None))


async def _survey(config: RunConfig, inputs: Inputs, ledger: Reader | None) -> _Found:
    rows = await documents_by_length(ledger) if ledger else []
    rows = rows[: config.limit]
    known = {row["document_id"] for row in rows}
    waiting = [row["chars"] for row in rows if row["status"] in {"pending", "errored", "waiting"}]
    skipped: list[Skipped] = []
    for item in inputs:
        if isinstance(item, Skipped):
            skipped.append(item)
        elif item.document_id not in known and (config.limit is None or len(known) < config.limit):
            if ledger is not None and await status_of(ledger, item.document_id) is not None:
                continue  # beyond the limit
            known.add(item.document_id)
            waiting.append(len(item.text))
    if not known:
        if skipped:
            raise inputs.nothing_usable(skipped)
        raise UserError("no document to estimate: give --documents PATH")
    accepted = sum(row["status"] == "accepted" for row in rows)
    if ledger is not None and config.target is not None:
        accepted = len(await accepted_keys(ledger))
    return _Found(
        waiting,
        len(skipped),
        accepted,
        len(known) - len(waiting),
        Usage.of_row(await usage_of_all(ledger)) if ledger else Usage(),
        {row["role"]: Usage.of_row(row) for row in await usage_by_role(ledger)} if ledger else {},
        (*inputs.lines(skipped, None), side_by_side(config)),
        await batches(ledger) if ledger and config.lessons.enabled else (),
    )


def _estimate(config: RunConfig, found: _Found, measured_here: list[Measured]) -> Estimate:
    roles = config.roles()
    chars = sum(found.waiting) / len(found.waiting) if found.waiting else 0.0
    rows, source = measured_here, f"the {len(measured_here)} documents of this folder that have ended"
    if len(rows) < FEWEST_MEASURED:
        rows, source = known_documents(config, chars)
    target = None if config.target is None else max(0, config.target - found.accepted)
    plan = Plan(len(found.waiting), documents_at_once(config), config.max_rounds, target)
    price_of = partial(priced, roles)
    reported = forecast(rows, plan, price_of, config.seed)
    if config.lessons.enabled:
        analyst = roles[ANALYST]
        reported = with_analyses(reported, config.lessons, found.batches, found.by_role.get(ANALYST), analyst, price_of)
    whole = _whole(reported, found, source, roles)
    own = len(measured_here) if rows is measured_here else 0
    return replace(whole, measured=own, beyond=beyond(whole, config.budget))


def counted(totals: Mapping[str, Range | None], seconds: Range) -> dict[str, float]:
    """Return what budgets count, by the name of the budget: the likely figures, 0 for what is not known."""
    values = {name: figure.value if figure else 0.0 for name, figure in totals.items()}
    return {
        "max_calls": values["calls"],
        "max_tokens": values["tokens_in"] + values["tokens_out"],
        "max_usd": values["usd"],
        "max_seconds": seconds.value,
    }


_COUNTED = {
    "max_calls": "{:,.0f} calls",
    "max_tokens": "{:,.0f} tokens",
    "max_usd": "{:,.2f} US dollars",
    "max_seconds": "{:,.0f} seconds",
}


def beyond(whole: Estimate, budget: BudgetConfig) -> tuple[str, ...]:
    """Return which budgets the run is likely to reach before its end."""
    needs = counted(whole.totals, whole.seconds)
    bounds = [(name, getattr(budget, name), needs[name], text) for name, text in _COUNTED.items()]
    return tuple(
        f"the budget --{name.replace('_', '-')} {bound:g} is likely to end the run early: about {text.format(needed)}"
        " are needed"
        for name, bound, needed, text in bounds
        if bound is not None and needed > bound
    )


def _whole(reported: Forecast, found: _Found, source: str, roles: Mapping[str, ModelSettings]) -> Estimate:
    unpriced = tuple(
        role for role, settings in roles.items() if role in reported.roles and priced(roles, role, 1, 1) is None
    )
    return Estimate(
        documents=reported.documents.plus(found.ended),
        accepted=reported.accepted.plus(found.accepted),
        seconds=reported.seconds,
        totals=_with(reported.totals, found.spent),
        roles={role: _with(figures, found.by_role.get(role, Usage())) for role, figures in reported.roles.items()},
        known=len(found.waiting) + found.ended,
        waiting=len(found.waiting),
        skipped=found.skipped,
        spent=found.spent,
        source=source,
        unpriced=unpriced,
        notes=found.notes,
    )


def _with(figures: Mapping[str, Range | None], spent: Usage) -> dict[str, Range | None]:
    """Return figures of what is still to come together with what was spent."""
    known = {
        "calls": float(spent.calls),
        "tokens_in": float(spent.tokens_in or 0),
        "tokens_out": float(spent.tokens_out or 0),
        "usd": spent.usd or 0.0,
    }
    return {name: None if one is None else one.plus(known[name]) for name, one in figures.items()}


def priced(roles: Mapping[str, ModelSettings], role: str, tokens_in: float, tokens_out: float) -> float | None:
    """Return the US dollars of a role's tokens; 0 for models of this machine, None where no price is set."""
    settings = roles.get(role)
    if settings is None:
        return None
    reported = price(settings, 1_000_000, 0), price(settings, 0, 1_000_000)
    if None in reported:
        return 0.0 if settings.provider in {"local", "simulated"} else None
    return ((reported[0] or 0.0) * tokens_in + (reported[1] or 0.0) * tokens_out) / 1e6
