"""`autodata review`: the candidates that wait for a person, one after another, answered with a key each.

Answers go into the ledger, at once and durably, also while the run goes on; the next session takes the documents up.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Ledger, Reader
from autodata.checkpoints.places import ledger_place
from autodata.checkpoints.queries.rounds import label_of, open_labels
from autodata.checkpoints.queries.whole import whole_round
from autodata.checkpoints.records import Candidate
from autodata.checkpoints.writes import record_answer, record_findings
from autodata.cli.editing import HEAD as CANDIDATE
from autodata.cli.editing import in_editor
from autodata.cli.keys import held, read_key, read_line
from autodata.cli.review_marks import HEAD, Findings, findings_in, form_of
from autodata.cli.rounds import show_round
from autodata.cli.run import finish
from autodata.cli.terminal import AsJson, RunArgument, console, print_json
from autodata.jobs.printable import printable
from autodata.jobs.run_ledger import ledger_of

if TYPE_CHECKING:
    from autodata.prompts import PromptPack
    from autodata.runner.config import RunConfig

_KEYS: Mapping[str, str] = {
    "accept": "[a]pprove  [e]dit  [r]eject  [m]ark criteria  [f]ull text  [s]kip  [q]uit",
    "reject": "[a] good all the same (a label)  [e]dit  [r]eason to give  [m]ark criteria  [f]ull text  [s]kip  [q]uit",
}


def review(
    run: RunArgument,
    reviewer: Annotated[
        str | None, typer.Option("--reviewer", help="Who answers, kept with each answer.", show_default="$USER")
    ] = None,
    go: Annotated[bool, typer.Option("--go", help="Then go on with the run at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at the candidates that wait for a person: approve, edit or reject each with a key.

    Works while the run goes on. The run takes the answers up by itself, or when its command is typed again.

    Example: autodata review runs/first
    """
    from autodata.runner.config import stored_config

    if as_json:
        print_json(asyncio.run(_listed(run)))
        return
    asyncio.run(_listed(run))  # a folder that is none is reported before its settings are missed
    settings = stored_config(run / "config.toml")
    who = reviewer if reviewer is not None else os.environ.get("USER") or os.environ.get("LOGNAME") or ""
    out = console()
    asyncio.run(_Queue(run, settings, settings.chosen_domain.pack(), who[:200], out).work())
    if go:
        finish(settings, [], run, as_json=False)


async def _listed(run: Path) -> list[dict[str, Any]]:
    async with ledger_of(run) as ledger:
        return [await _item(ledger, row) for row in await open_labels(ledger)]


async def _item(ledger: Reader, label: Mapping[str, Any]) -> dict[str, Any]:
    names = ("label_id", "document_id", "name", "n", "verdict", "why")
    return {name: label[name] for name in names} | {"round": await whole_round(ledger, label["round_id"])}


@dataclass(frozen=True)
class _Answer:
    """What a person answered; without a decision they left the question for later."""

    decision: str
    reason: str = ""
    edited: Candidate | None = None
    marks: Findings | None = None
    """What they found of criteria instead, before they answer."""


@dataclass
class _Queue:
    """One session of a reviewer."""

    run: Path
    settings: RunConfig
    pack: PromptPack
    reviewer: str
    out: Console
    answered: Counter[str] = field(default_factory=Counter)
    released: Callable[[], AbstractContextManager[None]] = nullcontext
    """Lets go of the terminal while something else uses it."""

    async def work(self) -> None:
        """Show each candidate that waits and store what is answered, until all are seen or the person stops."""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C breaks off a line, not only an awaited call
        with held() as self.released:
            left = await self._answers()
        self._closing(left)

    async def _answers(self) -> int:
        """Go through the queue; return how many candidates are left in it."""
        async with Ledger.open(ledger_place(self.run)) as ledger:
            rows = await open_labels(ledger)
            for position, row in enumerate(rows, 1):
                item = await _item(ledger, row)
                self._show(item, position, len(rows))
                while (answer := self._ask(item)) is not None and answer.marks is not None:
                    await record_findings(ledger, item["label_id"], answer.marks)
                    item = await _item(ledger, row)
                if answer is None:
                    break
                if answer.decision:
                    await self._store(ledger, item, answer)
            return len(await open_labels(ledger))

    def _show(self, item: Mapping[str, Any], position: int, of: int, *, full: bool = False) -> None:
        self.out.print()
        self.out.print(Rule(Text(f"{position} of {of}: {printable(item['name'])}", style="bold"), characters="="))
        show_round(self.out, item["round"], full=full)
        self.out.print()
        passed = item["verdict"] == "accept"
        gates = "Every gate passed." if passed else "The gates rejected it."
        self.out.print(
            Text(f"{gates} {printable(item['why'])}".strip(), style="bold green" if passed else "bold yellow")
        )

    def _ask(self, item: Mapping[str, Any]) -> _Answer | None:
        """Return the answer, one without a decision to skip, None to stop."""
        while True:
            self.out.print(_KEYS[item["verdict"]], style="bold")
            match read_key():
                case "a":
                    return _Answer("approve")
                case "r":
                    with self.released():
                        reason = read_line("Why? (empty: no answer) ")
                    if reason:
                        return _Answer("reject", reason=reason[:2000])
                case "e":
                    if candidate := self._edit(item["round"]["candidate"]):
                        return _Answer("edit", edited=candidate)
                    self.out.print("nothing is changed")
                case "m":
                    if (found := self._mark(item)) is not None:
                        return _Answer("", marks=found)
                case "f":
                    show_round(self.out, item["round"], full=True)
                case "s":
                    return _Answer("")
                case "q":
                    return None
                case _:
                    pass

    def _mark(self, item: Mapping[str, Any]) -> Findings | None:
        """Return what a person says of single criteria, None where they leave it as it was."""
        form = form_of(item["round"], item["label_id"])
        if not form:
            self.out.print("no attempt here was marked by criteria")
            return None

        def check(written: Mapping[str, Any]) -> Findings:
            return findings_in(item["round"], written)

        written = self._in_editor(form, check, HEAD)
        if written is None:
            self.out.print("nothing is changed")
            return None
        found = check(written)
        self.out.print(Text(f"{sum(map(len, found.values()))} marks: kept", style="green"))
        return found

    def _edit(self, fields: Mapping[str, Any]) -> Candidate | None:
        from autodata.nodes.human_review import edited

        current = self.settings.chosen_domain.scorer.candidate(fields)

        def check(changes: Mapping[str, Any]) -> Candidate:
            return edited(self.settings.chosen_domain, self.pack, current, changes)

        changes = self._in_editor(fields, check)
        return check(changes) if changes else None

    def _in_editor(
        self, fields: Mapping[str, Any], check: Callable[[dict[str, Any]], object], head: str = CANDIDATE
    ) -> dict[str, Any] | None:
        """Return the fields as a person left them in their editor; None where they left them as they were."""

        def again(problem: str) -> bool:
            self.out.print(Text(f"Not yet: {printable(problem)}", style="red"))
            self.out.print("[e]dit again, or any other key to leave it as it was", style="bold")
            return read_key() == "e"

        try:
            with self.released():
                return in_editor(fields, check, again, head=head)
        except UserError as error:
            self.out.print(Text(str(error), style="red"))
            return None

    async def _store(self, ledger: Ledger, item: Mapping[str, Any], answer: _Answer) -> None:
        now = await label_of(ledger, item["label_id"])
        assert now is not None, "the queue holds labels of this ledger"
        if now["decision"]:
            self.out.print(f"{now['reviewer'] or 'somebody'} answered it meanwhile: left as it is")
            return
        await record_answer(
            ledger,
            item["label_id"],
            decision=answer.decision,
            reason=answer.reason,
            edited=answer.edited,
            reviewer=self.reviewer,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        self.answered[answer.decision] += 1
        said = {"approve": "approved", "edit": "edited", "reject": "rejected"}[answer.decision]
        self.out.print(Text(f"{said}: kept", style="green"))

    def _closing(self, left: int) -> None:
        done = sum(self.answered.values())
        counted = ", ".join(f"{decision} {count}" for decision, count in sorted(self.answered.items()))
        self.out.print()
        self.out.print(f"{done} answered" + (f" ({counted})" if counted else "") + f", {left} left to look at")
        if done:
            command = f"autodata run --config {self.run / 'config.toml'} --out {self.run}"
            self.out.print(f"next: a run that is going takes them up; else type: {command}", soft_wrap=True)
