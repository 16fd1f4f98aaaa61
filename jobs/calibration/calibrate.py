"""A calibration: a sample of a run's marked attempts is marked again, and what that says of its verdicts is worked out.

Calls stand in the run's journal, so that the same command pays for nothing twice, and count under its budget.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.queries.calibration import (
    findings_of_people,
    judged_attempts,
    reviewed_verdicts,
    scored_attempts,
)
from autodata.checkpoints.records import Stage
from autodata.corpus.bootstrap import Figure
from autodata.domains.acceptance.policies import Measure
from autodata.domains.domain import Domain
from autodata.jobs.calibration.agreement import Agreement, agreement_of, alike, fleiss_kappa, share_alike
from autodata.jobs.calibration.flips import Marked, attempts_for, guard_band, played
from autodata.jobs.calibration.labels import Label, agreement_with, labels_of_review, write_sheet
from autodata.jobs.calibration.remark import EVALUATION, Remarked, calls_of, remarked
from autodata.jobs.calibration.sample import Sampled, sampled
from autodata.jobs.run_ledger import ledger_of
from autodata.nodes.context import Context
from autodata.nodes.optimizer.population import wilson
from autodata.runner.config import RunConfig
from autodata.runner.run_folder import open_run_folder

WORST = 10
"""Criteria that are named, those on which findings differ most."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a calibration."""

    sample: int = 40
    """Attempts to mark again at most."""
    repeats: int = 3
    """How often each is marked again."""
    rate: float = 0.05
    """The share of verdicts that may flip, in 0..1."""
    labels: tuple[Label, ...] = ()
    """What people found."""


@dataclass(frozen=True)
class Plan:
    """What a calibration will take, before anything is sent."""

    attempts: tuple[Sampled, ...]
    calls: int
    """Calls at most: those that the journal holds already are among them."""


async def plan(run: Path, config: RunConfig, wanted: Wanted) -> Plan:
    """Return which attempts would be marked again, and the calls. Raises UserError where no judge marked any."""
    async with ledger_of(run) as ledger:
        rows = await judged_attempts(ledger)
    if not rows:
        raise UserError(f"{run}: no attempt of a closed round was marked by a judge: there is nothing to calibrate")
    chosen = sampled(rows, wanted.sample, config.seed)
    return Plan(tuple(chosen), calls_of(len(chosen), wanted.repeats, config.judges))


async def calibrate(
    run: Path, config: RunConfig, wanted: Wanted, *, say: Callable[[int, int], None] = lambda done, of: None
) -> dict[str, Any]:
    """Mark a sample of a run again, and return what it says, as `autodata calibrate --json` prints it.

    `say` is called with how many attempts are done, of how many. Raises UserError and RunFailed as `open_run_folder`,
    and what stops a session: a budget that is spent, an endpoint that is down.
    """
    foreseen = await plan(run, config, wanted)
    async with open_run_folder(config, run) as folder:
        services = folder.services(config, folder.ledger, folder.caller(config))
        context = Context(services, evaluation=EVALUATION)
        found = await _all_remarked(context, foreseen.attempts, wanted.repeats, [*config.judges.panel_roles], say)
        rounds = _rounds(await scored_attempts(folder.ledger), config.chosen_domain)
        people = _People(
            known={row["attempt_id"]: row["met"] for row in await judged_attempts(folder.ledger)},
            reviewed=await reviewed_verdicts(folder.ledger),
            labels={"file": wanted.labels, "review": labels_of_review(await findings_of_people(folder.ledger))},
        )
    return await asyncio.to_thread(_report, found, rounds, people, config, wanted)


async def sheet(run: Path, config: RunConfig, wanted: Wanted, path: Path) -> int:
    """Write the attempts that a calibration marks again into a CSV file, for people to mark; return its lines."""
    foreseen = await plan(run, config, wanted)
    return await asyncio.to_thread(
        write_sheet, path, foreseen.attempts, lambda one: _criteria(config.chosen_domain, one)
    )


@dataclass(frozen=True)
class _People:
    """What people found, and what the run found of the same."""

    known: Mapping[str, Sequence[bool]]
    """The run's findings, by attempt."""
    reviewed: Sequence[Mapping[str, Any]]
    labels: Mapping[str, Sequence[Label]]
    """By where they come from: a `file`, or `review`."""


async def _all_remarked(
    context: Context, attempts: Sequence[Sampled], repeats: int, judges: Sequence[str], say: Callable[[int, int], None]
) -> list[Remarked]:
    """Mark all attempts again, side by side; once one failed no other is begun, and those under way are waited for."""
    done, waiting = list[Remarked](), iter(attempts)
    failed: list[BaseException] = []

    async def work() -> None:
        for one in waiting:
            if failed:
                return
            try:
                done.append(await remarked(context, one, repeats, judges))
            except Exception as error:  # noqa: BLE001 - it is raised below, once what is under way is paid for
                failed.append(error)
                return
            say(len(done), len(attempts))

    await asyncio.gather(*(work() for _ in range(min(8, len(attempts)))))
    if failed:
        error = failed[0]
        raise (
            error
            if isinstance(error, UserError | RunFailed)
            else RunFailed(
                f"{error}: {len(done)} of {len(attempts)} attempts are marked again, and kept: the same command goes on"
            )
        ) from error
    order = {one.attempt_id: place for place, one in enumerate(attempts)}
    return sorted(done, key=lambda one: order[one.sampled.attempt_id])


def _rounds(rows: Sequence[Mapping[str, Any]], domain: Domain) -> list[dict[Stage, tuple[Marked, ...]]]:
    rounds: dict[str, dict[Stage, list[Marked]]] = {}
    for row in rows:
        candidate = domain.scorer.candidate(json.loads(row["candidate"]))
        weights = tuple(weight for _, weight in domain.scorer.criteria(candidate))
        met = row["met"] if row["decided_by"] == "judge" else ()
        one = Marked(Fraction(row["score"]), weights, met if len(met) == len(weights) else ())
        rounds.setdefault(row["round_id"], {stage: [] for stage in Stage})[Stage(row["stage"])].append(one)
    return [{stage: tuple(made) for stage, made in one.items()} for one in rounds.values()]


def _report(
    found: Sequence[Remarked],
    rounds: Sequence[Mapping[Stage, tuple[Marked, ...]]],
    people: _People,
    config: RunConfig,
    wanted: Wanted,
) -> dict[str, Any]:
    criteria = {one.sampled.attempt_id: _criteria(config.chosen_domain, one.sampled) for one in found}
    whole = agreement_of([_votes(one) for one in found], config.seed)
    turned = {sign: _differing(_signed(found, criteria, positive=sign, seed=config.seed)) for sign in (True, False)}
    policy, planned = config.policy, config.chosen_domain.planned
    gates = not isinstance(policy, Measure)
    plays = played(rounds, policy, planned, turned, config.seed) if gates else []
    band, beyond = guard_band(plays, policy, planned, wanted.rate) if plays else (None, 0)
    enough, curve = attempts_for(rounds, policy, turned, wanted.rate, config.seed) if gates else (None, {})
    return {
        "attempts": len(found),
        "repeats": wanted.repeats,
        "all": _plain(whole),
        "positive criteria": _plain(_signed(found, criteria, positive=True, seed=config.seed)),
        "negative criteria": _plain(_signed(found, criteria, positive=False, seed=config.seed)),
        "strata": _strata(found, config.seed),
        "worst": _worst(found, criteria),
        "judges": _judges(found, config.seed),
        "people": {
            source: agreement_with(people.known, labels, config.seed)
            for source, labels in people.labels.items()
            if labels
        },
        "reviewed": _reviewed(people.reviewed),
        "verdicts": len(plays),
        "flips": sum(one.flips for one in plays) / len(plays) if plays else None,
        "rate": wanted.rate,
        "guard_band": None if band is None else float(band),
        "beyond_guard_band": beyond,
        "planned": {"weak": planned.weak, "strong": planned.strong},
        "attempts_for_rate": enough,
        "flips_by_attempts": {str(count): share for count, share in curve.items()},
    }


def _votes(one: Remarked) -> list[tuple[bool, ...]]:
    """Return the findings on each criterion: the run's own, then those of the repeats."""
    return list(zip(one.sampled.met, *one.again, strict=True))


def _criteria(domain: Domain, one: Sampled) -> Sequence[tuple[str, int]]:
    return domain.scorer.criteria(domain.scorer.candidate(one.candidate))


def _signed(
    found: Sequence[Remarked], criteria: Mapping[str, Sequence[tuple[str, int]]], *, positive: bool, seed: int
) -> Agreement:
    def votes(one: Remarked) -> list[tuple[bool, ...]]:
        pairs = zip(_votes(one), criteria[one.sampled.attempt_id], strict=True)
        return [vote for vote, (_, weight) in pairs if (weight > 0) is positive]

    return agreement_of([votes(one) for one in found], seed)


def _differing(found: Agreement) -> float:
    """Return the share of pairs of findings that differ, 0 where there is no pair."""
    return 0.0 if found.agreement.value is None else 1 - found.agreement.value


def _strata(found: Sequence[Remarked], seed: int) -> dict[str, Any]:
    strata: dict[str, list[Remarked]] = defaultdict(list)
    for one in found:
        strata[one.sampled.stratum].append(one)
    return {
        name: {"attempts": len(some)} | _plain(agreement_of([_votes(one) for one in some], seed))
        for name, some in sorted(strata.items())
    }


def _worst(found: Sequence[Remarked], criteria: Mapping[str, Sequence[tuple[str, int]]]) -> list[dict[str, Any]]:
    """Return the criteria whose findings differ most, over all sampled attempts at their question."""
    votes: dict[tuple[str, str], list[tuple[bool, ...]]] = defaultdict(list)
    for one in found:
        question = str(one.sampled.candidate.get("question", ""))
        for vote, (text, _) in zip(_votes(one), criteria[one.sampled.attempt_id], strict=True):
            votes[question, text].append(vote)
    rows = []
    for (question, text), every in votes.items():
        share = share_alike(every)
        if share is not None and share < 1:
            figures = {"attempts": len(every), "agreement": share, "kappa": fleiss_kappa(every)}
            rows.append({"criterion": text, "question": question, **figures})
    return sorted(rows, key=lambda row: (row["agreement"], row["criterion"]))[:WORST]


def _judges(found: Sequence[Remarked], seed: int) -> dict[str, Any]:
    """Return how far each member of the panel, alone, agrees with the run's findings."""
    pairs: dict[str, list[list[tuple[bool, bool]]]] = defaultdict(list)
    for one in found:
        for role, met in one.others:
            pairs[role].append(list(zip(one.sampled.met, met, strict=True)))
    return {role: asdict(alike(some, seed)) for role, some in pairs.items()}


def _reviewed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how far people agreed with verdicts that they were asked about; edits say neither yes nor no."""
    counts = {(row["verdict"], row["decision"]): int(row["n"]) for row in rows}
    same = sum(counts.get(pair, 0) for pair in (("accept", "approve"), ("reject", "reject")))
    other = sum(counts.get(pair, 0) for pair in (("accept", "reject"), ("reject", "approve")))
    agreement = Figure(None)
    if same + other:
        agreement = Figure(same / (same + other), *wilson(same, same + other))
    return {"verdicts": same + other, "agreement": asdict(agreement), "answers": [dict(row) for row in rows]}


def _plain(found: Agreement) -> dict[str, Any]:
    return asdict(found)
