"""One document's rounds, laid out for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.records import FailureMode
from autodata.checkpoints.writes.rounds import CONFIRMING
from autodata.cli.figures import figure
from autodata.jobs.printable import printable

CUT_CHARS = 600
"""Longest text shown whole unless all is asked for."""


_TONES = {"accepted": "green", "rejected": "yellow", "errored": "red", "skipped": "dim", "open": "cyan"}
_TONES |= {"waiting": "cyan", "edited": "cyan"}


def show_rounds(out: Console, found: Mapping[str, Any], *, only: int | None = None, full: bool = False) -> None:
    """Print what `document_with_rounds` returned. `only` picks one round by number; `full` cuts no text."""
    _Page(out, full).document(found, only)


def show_round(out: Console, row: Mapping[str, Any], *, full: bool = False) -> None:
    """Print one round as `whole_round` returned it."""
    _Page(out, full).round(row)


class _Page:
    def __init__(self, out: Console, full: bool) -> None:
        self._out, self._full = out, full

    def document(self, found: Mapping[str, Any], only: int | None) -> None:
        status = found["status"]
        head = Text(printable(found["name"]), style="bold")
        reason = printable(found["status_reason"])
        reason = reason.replace("_", " ") if status == "rejected" else reason
        head.append(f"  {status}{': ' if reason else ''}{reason}", style=f"not bold {_TONES.get(status, '')}")
        self._out.print(head)
        if found["title"] and found["title"] != found["name"]:
            self._out.print(Text(printable(found["title"])))
        made = found["rounds_made"]
        self._out.print(
            Text(f"id {found['document_id']}, {found['chars']:,} characters, {made} round{'s' * (made != 1)}", "dim")
        )
        if found["note"]:
            self._text("Note", found["note"])
        for failure in found["failures"]:
            lines = failure["message"].strip().splitlines() or [""]
            message = failure["message"].strip() if self._full else lines[-1]
            self._text(f"Failed at {failure['created_at']} ({failure['kind']})", message)
        for row in found["forks"]:
            self._text(f"Fork {row['folder']}, {row['status']}", _fork_in_words(row))
        for row in found["rounds"]:
            if only in {None, row["n"]}:
                self.round(row)

    def round(self, row: Mapping[str, Any]) -> None:
        mode, outcome = row["failure_mode"], row["outcome"]
        said = "under way" if outcome == "open" else outcome + (f": {mode.replace('_', ' ')}" if mode else "")
        self._out.print()
        self._out.print(Rule(Text(f"Round {row['n']}, {said}", style=f"bold {_TONES[outcome]}"), align="left"))
        candidate = row["candidate"] or {}
        self._text("Passage", row["passage"])
        self._text("Context", candidate.get("context", ""))
        self._text("Question", candidate.get("question", ""), whole=True)
        self._text("Reference answer", candidate.get("reference_answer", ""))
        if rubric := candidate.get("rubric"):
            head = Text.assemble(("Rubric", "bold"), ("  ✓ met, ✗ not met; a negative item that is met costs", "dim"))
            self._block(head, _rubric(rubric, row["attempts"]))
        if row["screen"]:
            lines = (
                f"{'promising' if item['promising'] else 'left'}: {item['question']} ({item['reason']})"
                for item in row["screen"]
            )
            self._text("Screen", "\n".join(lines))
        if row["quality"]:
            self._quality(row["quality"])
        for attempt in row["attempts"]:
            self._attempt(attempt, numbered=bool(rubric))
        confirming = [verdict for verdict in row["verdicts"] if verdict["stage"] == CONFIRMING]
        if selecting := [verdict for verdict in row["verdicts"] if verdict["stage"] != CONFIRMING]:
            self._verdict(selecting[-1])
        if row["judgement"]:
            self._judgement(row["judgement"], accepted=row["outcome"] == "accepted")
        for verdict in confirming:
            self._verdict(verdict, f"Confirmed by {verdict['planned']} + {verdict['planned']} fresh attempts")
        if mode in _NOT_BY_SCORES or (mode == FailureMode.POST_FILTER and not row["judgement"]):
            self._text("Final check failed" if mode == FailureMode.FINAL_CHECK else "Why", row["reason"])
        for label in row["labels"]:
            self._label(label)
        self._text("Feedback to the challenger", row["feedback"])

    def _quality(self, quality: Mapping[str, Any]) -> None:
        passed = quality.get("passed")
        quotes = quality.get("quotes_not_in_source") or []
        facts, texts = [], []
        for name, value in quality.items():
            if name in {"passed", "candidate_id", "quotes_not_in_source", "leakage", "audit"}:
                continue
            words = name.replace("_", " ")
            if isinstance(value, bool):
                facts.append(f"{words}: {'yes' if value else 'no'}")
            elif value and " " not in str(value):
                facts.append(f"{words}: {value}")
            elif value:
                texts.append(f"{words}: {value}")
        if passed is not None:
            body = Text(printable("; ".join(facts) + "".join(f"\n{text}" for text in texts)))
            self._block(Text.assemble("Quality check ", _yes_no(bool(passed), "passed", "failed")), body)
        if quotes:
            lines = (f"{quote['where']}: {quote['quote']!r}" for quote in quotes)
            self._block("Quoted, but not in the document", Text(printable("\n".join(lines))))
        if leakage := quality.get("leakage"):
            lines = (f"{leak['check']}, {leak['where']}: {leak['evidence']!r}" for leak in leakage)
            self._block("Told beforehand", Text(printable("\n".join(lines))))
        if audit := quality.get("audit"):
            tried = {**(audit.get("canaries") or {}), "the context alone": audit.get("closed_context")}
            said = "; ".join(f"{name} scores {score}" for name, score in tried.items() if score is not None)
            self._block(Text.assemble("Audit ", _yes_no(audit["passed"], "passed", "failed")), Text(printable(said)))

    def _attempt(self, attempt: Mapping[str, Any], *, numbered: bool) -> None:
        head = Text(f"{attempt['stage'].capitalize()} attempt {attempt['idx'] + 1}", style="bold")
        head.append(f"  {_score(attempt)}", style="bold cyan")
        notes = [attempt["model"]] if attempt["model"] else []
        notes += ["saw the source"] if attempt["mode"].get("privileged") else []
        decided = {"code": "marked by code", "truncated": "scored without a judge", "probe": "endpoint probed"}
        notes += [decided[attempt["decided_by"]]] if attempt["decided_by"] in decided else []
        notes += ["cut off by the token limit"] if attempt["truncated"] else []
        notes += [] if attempt["answered"] else ["no answer"]
        head.append(printable(f"  {', '.join(notes)}"), style="dim not bold")
        self._block(head, Text(self._cut(attempt["answer"])))
        grid = Table.grid(padding=(0, 1))
        for mark in attempt["marks"]:
            what = f"{mark['criterion']}." if numbered else mark["text"]
            if mark["reason"] or not numbered:
                reason = Text(printable(mark["reason"]), style="dim")
                grid.add_row(_met(mark["met"], mark["weight"]), Text(printable(what)), reason)
        if grid.row_count:
            self._out.print(Padding(grid, (0, 0, 0, 4)))

    def _verdict(self, verdict: Mapping[str, Any], title: str = "Verdict") -> None:
        decided = {
            "accept": "accepted",
            "reject": "rejected",
            "strong": "weak gate passed, on to the strong solver",
            "more": "more attempts are needed",
            "judge": "all attempts made, on to the loop judge",
        }.get(verdict["decision"], verdict["decision"])
        mode = (verdict["failure_mode"] or "").replace("_", " ")
        grid = Table.grid(padding=(0, 1))
        for check in verdict["checks"]:
            needed = f"needed {check['bound']}" if check["bound"] else ""
            grid.add_row(_met(check["passed"]), f"{check['name']} {check['value']}", needed)
        means = [f"{name} {figure(verdict[key])}" for name, key in _MEANS if verdict[key] is not None]
        head = Text(f"{title} ({verdict['preset']}): {decided}{f', {mode}' if mode else ''}", style="bold")
        head.append(f"  means: {', '.join(means)}" if means else "", style="dim not bold")
        self._block(head, grid)

    def _judgement(self, judgement: Mapping[str, Any], *, accepted: bool) -> None:
        more = {name: text for name, text in judgement.items() if name not in {"candidate_id", "layer", "verdict"}}
        body = Text("\n".join(f"{name.replace('_', ' ')}: {printable(text)}" for name, text in more.items() if text))
        by = "the fixed rules" if judgement["layer"] == 1 else "the loop judge"
        unheeded = " (for the figures only)" if accepted and judgement["verdict"] != "accept" else ""
        self._block(Text.assemble((f"Judged by {by}: ", "bold"), judgement["verdict"], unheeded), body)

    def _label(self, label: Mapping[str, Any]) -> None:
        who = f" by {printable(label['reviewer'])}" if label["reviewer"] else ""
        said = {None: "a person is asked", "approve": "approved", "edit": "edited", "reject": "rejected"}
        head = f"Review: {said[label['decision']]}{who if label['decision'] else ''}"
        self._block(head, Text(printable("\n".join(text for text in (label["why"], label["reason"]) if text))))

    def _text(self, title: str, text: str, *, whole: bool = False) -> None:
        if text:
            self._block(title, Text(printable(text) if whole else self._cut(text)))

    def _block(self, title: str | Text, body: RenderableType) -> None:
        self._out.print(Text(title, style="bold") if isinstance(title, str) else title)
        self._out.print(Padding(body, (0, 0, 0, 2)))

    def _cut(self, text: str) -> str:
        text = printable(text.strip())
        if self._full or len(text) <= CUT_CHARS:
            return text
        return f"{text[:CUT_CHARS].rstrip()}… ({len(text) - CUT_CHARS:,} characters more: --full)"


_NOT_BY_SCORES = {
    FailureMode.MALFORMED,
    FailureMode.DUPLICATE,
    FailureMode.QUALITY,
    FailureMode.FINAL_CHECK,
    FailureMode.REVIEWER,
}
"""Failure modes whose reason no verdict shows."""

_MEANS = (("weak", "weak_mean"), ("strong", "strong_mean"), ("gap", "gap"))


def _rubric(rubric: Sequence[Mapping[str, Any]], attempts: Sequence[Mapping[str, Any]]) -> Table:
    """Return the criteria with one column an attempt, so that a person sees who met what at a glance."""
    table = Table(box=None, padding=(0, 1, 0, 0), show_footer=bool(attempts))
    table.add_column("", justify="right")
    table.add_column("", justify="right")
    table.add_column("criterion", footer="score", ratio=1)
    for attempt in attempts:
        table.add_column(
            f"{attempt['stage'][0].upper()}{attempt['idx'] + 1}",
            footer=_score(attempt),
            justify="right",
            no_wrap=True,
        )
    for number, item in enumerate(rubric, 1):
        met = [next((m["met"] for m in a["marks"] if m["criterion"] == number), None) for a in attempts]
        cells = [Text("-") if value is None else _met(value, item["weight"]) for value in met]
        table.add_row(f"{number}.", f"{item['weight']:+d}", Text(printable(item["criterion"])), *cells)
    return table


def _score(attempt: Mapping[str, Any]) -> str:
    return "?" if attempt["score_value"] is None else figure(attempt["score_value"])


def _met(met: bool, weight: int = 1) -> Text:
    """Return whether something is met, in green where that is good: an error is better not met."""
    return Text("✓" if met else "✗", style="green" if met == (weight > 0) else "red")


def _yes_no(value: bool, yes: str, no: str) -> Text:
    return Text(yes, style="green") if value else Text(no, style="red")


def _fork_in_words(row: Mapping[str, Any]) -> str:
    """Return what was changed for a fork in a few words."""
    if row["changed"] == "feedback":
        return f"feedback after round {row['n']} changed"
    fields = ", ".join(json.loads(row["change"]))
    return f"candidate of round {row['n']} changed: {fields}"
