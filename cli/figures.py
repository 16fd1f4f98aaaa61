"""Tables and cards of a run's results, shared by the commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.records import Check
from autodata.checkpoints.usage import MAY_BE_BILLED, Usage

SHOWN_REPEATED = SHOWN_DOCUMENTS = 3
"""Repeated questions that are shown, and documents of each."""
SHOWN_CHARS = 80
"""Characters of a repeated question that are shown."""


def figure(value: float | None, places: int = 2) -> str:
    """Return a number for a table; a dash for none."""
    return "-" if value is None else f"{value:.{places}f}"


def summary_table(summary: Mapping[str, Any]) -> Table:
    """Return the few figures a person wants at the end of a run."""
    table = Table(title="Run", title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("value", justify="right")
    cost, cached, reasoning = summary["cost_usd"], summary["cached_share"], summary["tokens_reasoning"]
    rows = {
        "documents": f"{summary['documents']:,}",
        "accepted": f"{summary['accepted']:,}",
        "rejected": f"{summary['rejected']:,}",
        "skipped / errored / pending": " / ".join(f"{summary[k]:,}" for k in ("skipped", "errored", "pending")),
        **({"waiting for a person": f"{summary['waiting']:,}"} if summary["waiting"] else {}),
        "weak / strong / gap (means)": " / ".join(figure(summary[k]) for k in ("weak_mean", "strong_mean", "gap_mean")),
        **({"confirmed weak / strong / gap": _confirmed(fresh)} if (fresh := summary["confirmed"]) else {}),
        "rounds, per accepted": f"{summary['rounds']:,}, {figure(summary['rounds_per_accepted'])}",
        "calls, per accepted": f"{summary['calls']:,}, {figure(summary['calls_per_accepted'], 1)}",
        "tokens in / out": f"{summary['tokens_in']:,} / {summary['tokens_out']:,}",
        **({} if cached is None else {"prompt tokens cached": _cached(cached, summary["cached_share_by_role"])}),
        **({} if reasoning is None else {"reasoning tokens": f"{reasoning:,}"}),
        "cost": "no prices set" if cost is None else f"${cost:,.4f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    failures = {name: count for name, count in summary["failure_modes"].items() if count}
    if failures:
        table.add_row("rejected rounds", ", ".join(f"{name} {count}" for name, count in failures.items()))
    return table


def confirmed_table(confirmed: Mapping[str, Any]) -> Table:
    """Return what fresh attempts scored beside what selected, and how much the selecting gap flattered."""
    count, made, refused = confirmed["candidates"], confirmed["attempts"], confirmed["refused"]
    what = "1 candidate" if count == 1 else f"{count:,} candidates"
    table = Table(
        title=f"Confirmed by {made} + {made} fresh attempts, {what}", title_justify="left", title_style="bold"
    )
    for name in ("mean", "selecting", "confirmed", "95 % interval"):
        table.add_column(name, justify="left" if name == "mean" else "right")
    for name in ("weak", "strong", "gap"):
        side = confirmed[name]
        bounds = _bounds(side["low"], side["high"])
        table.add_row(name, figure(side["selecting"]), figure(side["confirmed"]), bounds)
    shrinkage = confirmed["shrinkage"]
    table.add_row("shrinkage", "", figure(shrinkage["value"]), _bounds(shrinkage["low"], shrinkage["high"]))
    if refused:
        table.caption = f"{refused:,} of them refused: their fresh attempts did not pass"
        table.caption_justify = "left"
    return table


def _bounds(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:.2f} to {high:.2f}"


def _confirmed(confirmed: Mapping[str, Any]) -> str:
    return " / ".join(figure(confirmed[name]["confirmed"]) for name in ("weak", "strong", "gap"))


def repeated_questions(shared: Sequence[Mapping[str, Any]]) -> str:
    """Return one line on questions that were accepted for several documents each."""
    shown = "; ".join(
        f'"{cut(row["question"], SHOWN_CHARS)}" from {", ".join(row["documents"][:SHOWN_DOCUMENTS])}'
        + (f" and {len(row['documents']) - SHOWN_DOCUMENTS:,} more" if len(row["documents"]) > SHOWN_DOCUMENTS else "")
        for row in shared[:SHOWN_REPEATED]
    )
    more = f"; and {len(shared) - SHOWN_REPEATED:,} more" if len(shared) > SHOWN_REPEATED else ""
    what = "1 question" if len(shared) == 1 else f"{len(shared):,} questions"
    return f"{what} came from several documents: {shown}{more}"


def cause_line(cause: str, documents: Sequence[str]) -> str:
    """Return a cause once for all documents that it ended: how many, or which one, and the names of the first."""
    if len(documents) == 1:
        return f"{documents[0]}: {cause}"
    more = ", ..." if len(documents) > SHOWN_DOCUMENTS else ""
    return f"{len(documents):,} documents: {cause} ({', '.join(documents[:SHOWN_DOCUMENTS])}{more})"


def may_be_billed(used: Mapping[str, Any]) -> str:
    """Return what a person must know of requests without a reply; empty where there is none.

    `used` counts them under `timed_out` and `cancelled`.
    """
    return unanswered(used["timed_out"], used["cancelled"])


def unanswered(timed_out: int, cancelled: int) -> str:
    """Return the same of two counts."""
    late = f"{_requests(timed_out)} got no reply in time, or none that can be read," if timed_out else ""
    off = f"{_requests(cancelled)} {'was' if cancelled == 1 else 'were'} called off" if cancelled else ""
    if late and off:
        return f"{late} and {off}: all {MAY_BE_BILLED}"
    return f"{late or off} and {MAY_BE_BILLED}" if late or off else ""


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"


def percent(share: float | None) -> str:
    """Return a share for a table; a dash for none."""
    return "-" if share is None else f"{share:.0%}"


def cut(text: str, chars: int) -> str:
    """Return a text on one line, at most `chars` characters long."""
    line = " ".join(text.split())
    return line if len(line) <= chars else line[: chars - 1] + "…"


def examples_table(examples: list[dict[str, Any]]) -> Table:
    """Return one row an accepted example: its scores as they were counted, curtailed ones marked."""
    table = Table(title="Accepted", title_justify="left")
    table.add_column("document")
    for name in ("weak", "strong", "gap", "rounds"):
        table.add_column(name, justify="right")
    for example in examples:
        table.add_row(
            Text(example["document_name"]),
            _scores(example, "weak"),
            _scores(example, "strong"),
            figure(_number(example["gap"])),
            str(example["rounds"]),
        )
    return table


def example_card(example: Mapping[str, Any]) -> Panel:
    """Return one accepted example in full."""
    candidate = example["candidate"]
    fields = {
        "Passage": example.get("passage"),
        "Context": candidate.get("context"),
        "Question": candidate["question"],
        "Reference answer": candidate["reference_answer"],
    }
    parts = [Text.assemble((f"{name}: ", "bold"), str(value)) for name, value in fields.items() if value]
    parts += [Text(f"  {item['weight']:+3d}  {item['criterion']}") for item in candidate.get("rubric", ())]
    checks = example["checks"]
    parts += [Text(str(Check.model_validate(check)), style="green") for check in checks]
    title = Text(f"from {example['document_name']}, round {example['rounds']}")
    return Panel(Group(*parts), title=title, title_align="left")


def _cached(share: float, by_role: Mapping[str, float | None]) -> str:
    known = {role: of_role for role, of_role in by_role.items() if of_role is not None}
    return f"{percent(share)}: " + ", ".join(f"{role} {percent(of_role)}" for role, of_role in known.items())


def _scores(example: Mapping[str, Any], stage: str) -> str:
    if (value := _number(example[f"{stage}_mean"])) is not None:
        return figure(value)
    return next((check["value"] for check in example["checks"] if check["name"] == f"{stage} right"), "-")


def _number(value: str | None) -> float | None:
    """Return an exact score, stored as `5/8`, as a float."""
    if value is None:
        return None
    above, _, below = value.partition("/")
    return int(above) / int(below or 1)


def stopping_line(stopping: Mapping[str, Any]) -> str:
    """Return what adaptive stopping loses, as it is measured on candidates that are walked to the end."""
    line = (
        f"Adaptive stopping: {stopping['walked']:,} of {stopping['candidates']:,} candidates walked to the end by lot"
    )
    if not stopping["accepted"]:
        return f"{line}, none accepted yet: what stopping loses is not known"
    lost = f"{stopping['lost']:,} of {stopping['accepted']:,} accepted would have been lost"
    return f"{line}; {lost} ({percent(stopping['error'])})"


def calls_table(summary: Mapping[str, Any], roles: Sequence[Mapping[str, Any]]) -> Table:
    """Return what each role's calls took, and all in all; `roles` as `usage_by_role` has them."""
    table = Table(title="Model calls", title_justify="left", title_style="bold", show_footer=True)
    total = "no prices set" if summary["cost_usd"] is None else f"${summary['cost_usd']:,.4f}"
    totals = [f"{summary[name]:,}" for name in ("calls", "tokens_in", "tokens_out")]
    table.add_column("role", footer="all")
    for name, footer in zip(("calls", "tokens in", "tokens out"), totals, strict=True):
        table.add_column(name, footer=footer, justify="right")
    # Few endpoints report what they cached and what was reasoning: without any there is nothing to show.
    reported = {name: summary[name] is not None for name in ("tokens_cached", "tokens_reasoning")}
    if reported["tokens_cached"]:
        table.add_column("cached", footer=percent(summary["cached_share"]), justify="right")
    if reported["tokens_reasoning"]:
        table.add_column("reasoning", footer=f"{summary['tokens_reasoning']:,}", justify="right")
    table.add_column("cost", footer=total, justify="right")
    for row in roles:
        cost = "-" if row["cost_usd"] is None else f"${row['cost_usd']:,.4f}"
        tokens = ["unknown" if row[name] is None else f"{row[name]:,}" for name in ("tokens_in", "tokens_out")]
        if reported["tokens_cached"]:
            tokens.append(percent(Usage.of_row(row).cached_share))
        if reported["tokens_reasoning"]:
            tokens.append("-" if row["tokens_reasoning"] is None else f"{row['tokens_reasoning']:,}")
        table.add_row(row["role"], f"{row['calls']:,}", *tokens, cost)
    table.caption = _unpriced(roles) or None
    return table


def _unpriced(roles: Sequence[Mapping[str, Any]]) -> str:
    """Return a line that names the roles whose calls have no price while others' have; nothing where all are alike."""
    if all(row["cost_usd"] is None for row in roles):
        return ""
    without = [row["role"] for row in roles if row["cost_usd"] is None and row["calls"]]
    partly = [row for row in roles if row["cost_usd"] is not None and row["unpriced"]]
    said = [f"no price is set for {', '.join(without)}: the cost of all lacks their calls"] if without else []
    said += [f"{row['unpriced']:,} of the calls of {row['role']} carry no price: the cost lacks them" for row in partly]
    return "; ".join(said)
