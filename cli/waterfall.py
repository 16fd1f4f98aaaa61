"""A run tree drawn for a person: a line a round, node or call, with a bar where it stood in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.usage import MAY_BE_BILLED
from autodata.cli.figures import figure
from autodata.jobs.printable import printable
from autodata.prompts.roles import ROLE

Span = Mapping[str, Any]

_TONES = {"accepted": "green", "rejected": "yellow", "errored": "red", "error": "red", "unusable": "red"}

_DECISIONS = {"strong": "on to the strong solver", "judge": "on to the loop judge", "more": "more attempts"}


@dataclass(frozen=True)
class _Window:
    """The stretch of time that a session's bars are drawn in."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return max((self.end - self.start).total_seconds(), 1e-6)


@dataclass(frozen=True)
class _Bar:
    """Where something stood in a window, over whatever width the table has for it."""

    window: _Window
    start: datetime
    end: datetime
    colour: str
    open: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        first = min(width - 1, int((self.start - self.window.start).total_seconds() / self.window.seconds * width))
        length = max(1, round((self.end - self.start).total_seconds() / self.window.seconds * width))
        length = min(length, width - first)
        yield Segment(" " * first)
        yield Segment(("░" if self.open else "█") * length, Style(color=self.colour))
        yield Segment(" " * (width - first - length))


def draw(out: Console, document: Span, sessions: Sequence[Span], *, calls: bool = False) -> None:
    """Print the sessions of a document, one waterfall each. Without `calls`, a node's calls are one bar."""
    reason = document["status_reason"]
    reason = reason.replace("_", " ") if document["status"] == "rejected" else reason
    status = f"{document['status']}{': ' if reason else ''}{reason}"
    head = Text(printable(document["name"]), style="bold")
    head.append(f"  {printable(status)}", style=f"not bold {_TONES.get(document['status'], '')}")
    out.print(head)
    paid = [call for session in sessions for call in _calls(session) if _paid(call)]
    rounds = len({span["n"] for session in sessions for span in session["children"] if span["kind"] == "round"})
    parts = [_count(rounds, "round"), _count(len(paid), "call"), f"{_sum(paid, 'tokens_in'):,} tokens in"]
    parts += [f"{_sum(paid, 'tokens_out'):,} out", *_money(paid)]
    worked = sum(_window(session).seconds for session in sessions)
    out.print(Text(f"{', '.join(parts)}; {duration(worked)} in {_count(len(sessions), 'session')}", style="dim"))
    for number, session in enumerate(sessions, 1):
        out.print()
        out.print(_title(session, number, len(sessions)))
        out.print(_table(session, calls))


def _title(session: Span, number: int, of: int) -> Text:
    window = _window(session)
    title = Text(f"Session {number} of {of}", style="bold")
    title.append(f"  {window.start.astimezone():%Y-%m-%d %H:%M:%S}, {duration(window.seconds)}", style="not bold")
    if session["epoch"]:
        title.append(f", epoch {session['epoch']}", style="not bold")
    ends = {
        "ok": "",
        "stopped": "stopped: the same command goes on",
        "error": "errored",
        "open": "killed" if number < of else "killed, or still at work",
    }
    if said := ends.get(session["status"], session["status"]):
        title.append(f", {said}", style="not bold red" if session["status"] == "error" else "not bold yellow")
    if session["error"]:
        title.append(f"\n{printable(session['error'])}", style="not bold dim")
    return title


def _table(session: Span, calls: bool) -> Table:
    window = _window(session)
    every = list(_calls(session))
    priced = any(call["cost_usd"] is not None for call in every)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), expand=True)
    table.add_column("", no_wrap=True)
    table.add_column(Text(duration(window.seconds), style="dim"), ratio=3, justify="right", min_width=12)
    for name in ("time", "in", "out", *(["cost"] if priced else [])):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", ratio=2, min_width=20)
    for depth, span in _lines(session, calls):
        below = [call for call in _calls(span) if _paid(call)]
        start, end = _when(span, window)
        figures = [duration((end - start).total_seconds())]
        figures += [f"{_sum(below, name):,}" if below else "" for name in ("tokens_in", "tokens_out")]
        figures += [(_money(below) or [""])[0]] if priced else []
        bar = _Bar(window, start, end, _colour(span), open=span["ended"] is None)
        label = Text("  " * depth + printable(_label(span)), style="bold" if span["kind"] == "round" else "")
        table.add_row(label, bar, *(Text(figure) for figure in figures), _notes(span, calls))
    return table


def _lines(span: Span, calls: bool, depth: int = 0) -> Iterator[tuple[int, Span]]:
    for child in span["children"]:
        if child["kind"] == "call" and not calls:
            continue
        yield depth, child
        yield from _lines(child, calls, depth + 1)


def _label(span: Span) -> str:
    if span["kind"] != "call":
        return str(span["name"]).replace("_", " ")
    idx = span["idx"]
    first, _, rest = idx.partition("/")
    if span["role"].endswith("_solver") and first.isdigit():
        label = f"attempt {int(first) + 1}" + (f" ({rest})" if rest else "")
    elif span["role"] == "verifier" and rest.replace("+", "").isdigit():
        label = f"mark {first} {'+'.join(str(int(number) + 1) for number in rest.split('+'))}"
    else:
        label = "call" if idx == "0" else f"call {idx}"
    return label + (f", try {span['try'] + 1}" if span["try"] else "")


def _notes(span: Span, calls: bool) -> Text:
    """Return the verdict and whatever is out of the ordinary; of a node whose calls are not shown, theirs too."""
    notes = Text(overflow="fold")

    def add(text: str, style: str = "") -> None:
        if text:
            notes.append("  " if notes else "").append(printable(text), style=style)

    if span["outcome"] not in {"cut off", MAY_BE_BILLED}:  # said below, of a node's calls together
        tone = "green" if span["outcome"] in {"accepted", "accept", "strong", "judge"} else "yellow"
        add(str(_DECISIONS.get(span["outcome"]) or span["outcome"]).replace("_", " "), tone)
    means = [(name, span.get(f"{name}_mean")) for name in ("weak", "strong") if span["status"] == "ok"]
    add(", ".join(f"{name} {figure(mean)}" for name, mean in means if mean is not None))
    if span["kind"] == "call":
        scored = span.get("score")
        shown = [span["model"], *([] if scored is None else [f"scored {figure(scored)}"]), *_oddities([span])]
        add("; ".join(shown), "dim")
    elif span["kind"] == "node" and span["children"] and not calls:
        models = ", ".join(dict.fromkeys(call["model"] for call in span["children"]))
        add("; ".join([f"{_count(len(span['children']), 'call')}: {models}", *_oddities(span["children"])]), "dim")
    if span["status"] == "stopped" and span["kind"] == "round":
        add("the next session goes on", "dim")
    elif span["status"] == "open" and not span["journalled"]:
        add("never ended", "yellow")
    if span["status"] != "stopped":  # why it stopped stands above its session
        add(span["error"], "red" if span["status"] == "error" else "dim")
    return notes


def _oddities(calls: Sequence[Span]) -> Iterator[str]:
    """Yield what is out of the ordinary with calls, counted where there are several."""
    finished = [str(call["finish_reason"]).lower() for call in calls]
    repeated = sum(max(0, call["requests"] - 1) for call in calls)
    found = {
        "from the journal": sum(call["replayed"] for call in calls),
        "cut off": sum(finish in {"length", "max_tokens"} for finish in finished),
        "unusable": sum(call["status"] == "unusable" for call in calls),
        "failed": sum(call["status"] == "error" for call in calls),
        MAY_BE_BILLED: sum(call["outcome"] == MAY_BE_BILLED for call in calls),
        "reply in the journal": sum(call["ended"] is None and call["journalled"] for call in calls),
    }
    yield from (f"{count} {what}" if len(calls) > 1 else what for what, count in found.items() if count)
    if repeated:
        yield f"{_count(repeated, 'request')} repeated"
    if epochs := sorted({call["epoch"] for call in calls} - {0}):
        yield f"epoch {', '.join(map(str, epochs))}"


def _colour(span: Span) -> str:
    if span["kind"] == "round":
        return "bright_black"
    role = ROLE.get(span["role"] or span["name"])
    return role.colour if role else "blue"


def _calls(span: Span) -> Iterator[Span]:
    if span["kind"] == "call":
        yield span
    for child in span["children"]:
        yield from _calls(child)


def _paid(call: Span) -> bool:
    """Whether a call had a reply here: neither one of a session before, nor one that was in flight at a death."""
    if call["ended"] is None and not call["journalled"]:
        return False
    return not call["replayed"] and (call["status"] not in {"error", "stopped"} or call["tokens_in"] is not None)


def _window(session: Span) -> _Window:
    shown = session["children"] or [session]
    moments = [moment for child in shown for span in _flat(child) for moment in _known(span)]
    return _Window(min(moments), max(moments))


def _flat(span: Span) -> Iterator[Span]:
    yield span
    for child in span["children"]:
        yield from _flat(child)


def _known(span: Span) -> list[datetime]:
    known = [span["started"], span["ended"]]
    if span["ended"] is None and span["replied"]:
        known.append(span["replied"])
    return [datetime.fromisoformat(moment) for moment in known if moment]


def _when(span: Span, window: _Window) -> tuple[datetime, datetime]:
    """Return start and end; of what never ended, the last that is known below it, or of the session."""
    start = datetime.fromisoformat(span["started"])
    if span["ended"]:
        return start, datetime.fromisoformat(span["ended"])
    last = max(moment for below in _flat(span) for moment in _known(below))
    return start, last if last > start else max(start + timedelta(milliseconds=1), window.end)


def _sum(calls: Iterable[Span], column: str) -> int:
    return sum(call[column] or 0 for call in calls)


def _money(calls: Sequence[Span]) -> list[str]:
    known = [call["cost_usd"] for call in calls if call["cost_usd"] is not None]
    return [f"${sum(known):.4f}"] if known else []


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a stretch of time for a person: `85 ms`, `3.2 s`, `4m 05s`, `2h 10m`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest:02}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02}m"
