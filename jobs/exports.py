"""Exporting a run: its accepted examples, split, with what stands behind them, in any format."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.queries.chosen import read_chosen
from autodata.checkpoints.queries.meta import meta_value
from autodata.checkpoints.queries.usage import prompt_versions, usage_by_role
from autodata.corpus.exporters.registry import EXPORTERS, has_judge, wants_turns
from autodata.corpus.exporters.rows import JUDGE, ExportSet, JudgePrompt, RunFacts, read_rows, run_id
from autodata.corpus.exporters.splits import parse_shares, split
from autodata.corpus.summary import summarise
from autodata.domains.tasks.verifiable import VerifiableTask
from autodata.jobs.run_ledger import ledger_of
from autodata.runner.config import BaselineConfig, RunConfig, stored_config

LINES = frozenset({".jsonl", ".json"})


def format_of(out: Path) -> str:
    """Return the format that a place asks for by its name: lines for a file of them or standard output, else `hf`."""
    return "jsonl" if out.suffix in LINES or str(out) == "-" else "hf"


@dataclass(frozen=True)
class Exported:
    """What was exported."""

    rows: int
    repeated: int
    """Examples left out, for an earlier one asks the same over the same context."""
    surplus: int = 0
    """Distinct examples left out, for they are beyond `target`."""
    target: int | None = None
    """How many examples the run's latest session wanted; None where it wanted all."""
    turns: bool = False
    """Whether the rows are the challenger's turns, not examples."""
    splits: Mapping[str, int] = field(default_factory=dict)
    """How many examples, or turns, went to each split; empty where none were asked for."""
    judge: str = ""
    """What must be known of the judge that was exported."""
    unknown: int = 0
    """Turns left out: how they were asked is not known any more, or what became of them."""


async def export_run(
    run: Path,
    out: Path,
    *,
    format_name: str | None = None,
    shares: str | None = None,
    source: bool = False,
    answers: bool = False,
    repeats: bool = False,
    surplus: bool = False,
    licence: str = "",
    name: str = "",
) -> Exported:
    """Export a run's accepted examples and return how many rows were written, and how many questions left out.

    `shares` is a text such as `0.9/0.1`; `source` adds the documents' texts, `answers` those of the solvers in formats
    that leave them out; a question that several documents led to is written once unless `repeats`, and what was
    accepted beyond the target only with `surplus`. `name` and `licence` stand on the card.
    Raises UserError and RunFailed as the format does, and for a folder that holds no run.
    """
    exporter = EXPORTERS.find(format_name or format_of(out), "--format")
    wanted = parse_shares(shares) if shares else (Fraction(1),)
    data = await read_export_set(run, wanted, source=source, repeats=repeats, surplus=surplus)
    data = replace(data, answers=answers)
    turns, unknown = wants_turns(exporter), 0
    if turns:
        from autodata.jobs.challenger_turns import challenger_turns  # what calls models need, which no other asks for

        found = await challenger_turns(run, source=source)
        unknown = found.unknown
        data = replace(data, turns=await asyncio.to_thread(split, found.turns, wanted))
    named = replace(data.facts, name=name or await asyncio.to_thread(lambda: run.resolve().name), licence=licence)
    rows = await asyncio.to_thread(exporter, replace(data, facts=named), out)
    sizes = {split: len(found) for split, found in (data.turns if turns else data.splits).items()} if shares else {}
    if turns:
        return Exported(rows, 0, turns=turns, unknown=unknown, splits=sizes)
    changed = named.judge_changed if has_judge(exporter) else ""
    return Exported(rows, named.repeated, named.surplus, named.target, judge=changed, splits=sizes)


async def read_export_set(
    run: Path,
    shares: Sequence[Fraction] = (Fraction(1),),
    *,
    source: bool = False,
    repeats: bool = False,
    surplus: bool = False,
) -> ExportSet:
    """Return what a run's formats are made from. Raises UserError for a folder that holds no run."""
    async with ledger_of(run) as ledger:
        every = await read_rows(ledger, source=source)
        chosen = await read_chosen(ledger)
        rows = [row for row in every if chosen.holds(row["id"], repeats=repeats, surplus=surplus)]
        domain = await meta_value(ledger, "domain") or (rows[0]["domain"] if rows else "")
        facts = RunFacts(
            run=await run_id(ledger),
            repeated=0 if repeats else len(chosen.repeated - (frozenset() if surplus else chosen.surplus)),
            surplus=0 if surplus else chosen.beyond,
            target=chosen.target,
            domain=domain,
            figures=await summarise(ledger),
            usage=await usage_by_role(ledger),
            prompts=await prompt_versions(ledger),
        )
    splits = await asyncio.to_thread(split, rows, shares)
    return ExportSet(splits, await asyncio.to_thread(_with_judge, facts, run / "config.toml"))


def _with_judge(facts: RunFacts, path: Path) -> RunFacts:
    """Add the judge's prompt, where the run's configuration can be read: its domain may be a folder that is gone."""
    config: RunConfig | None = None
    for made_as in (RunConfig.kind, BaselineConfig.kind):  # a baseline's examples are trained on as a run's are
        with suppress(UserError):
            config = stored_config(path, kind=made_as)
    if config is None:
        return facts
    pack, kind = config.pack(), config.chosen_domain.scorer
    judge = pack.prompts.get(JUDGE)
    asked = JudgePrompt()
    if judge:
        asked = JudgePrompt(judge.system, judge.user, judge.front.limits, judge.front.verdict_alone, judge.version)
    return replace(facts, judge=asked, verifiable=isinstance(kind, VerifiableTask))
