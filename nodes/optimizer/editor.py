"""The editing agent: turns of actions on a copy of a pack, until the checker is content (paper, section 6, step 4).

Structured output instead of tool calls, so that it works on any model. Every turn is a call of its own in the journal:
a session that runs again replays, and what it does to the texts depends on the replies alone (rule 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autodata.checkpoints.ids import canonical_json
from autodata.models.call import CallSite
from autodata.models.caller import Caller
from autodata.models.reply import Messages
from autodata.models.structured import schema_text
from autodata.nodes.optimizer.analyst import shown_analysis, shown_history
from autodata.nodes.optimizer.checks import Check
from autodata.nodes.optimizer.edit_sandbox import EditSandbox, Refusal, Refused
from autodata.nodes.optimizer.schemas import Edit, EditorTurn
from autodata.prompts import Prompt, PromptPack

CLIP = 300
"""Characters that a session's record keeps of each text."""


@dataclass(frozen=True)
class EditSession:
    """How a session of the editing agent ended."""

    pack: PromptPack
    """The pack as edited; the one it started from when nothing was changed."""
    problems: list[str]
    """Why it may not be evaluated; empty when it may."""
    refusals: tuple[Refusal, ...]
    """Everything that was tried and refused, the checker's complaints included, in order."""
    turns: int
    summary: str
    """The editor's own sentence on the change, on one line: for the history log."""
    transcript: tuple[Mapping[str, Any], ...] = ()
    """Each turn, its texts cut at 300 characters."""

    @property
    def valid(self) -> bool:
        """Whether the pack may be evaluated."""
        return not self.problems

    def recorded(self) -> dict[str, Any]:
        """Return the session as plain JSON values for the ledger."""
        return {
            "summary": self.summary,
            "turns": list(self.transcript),
            "refusals": [
                {"turn": one.turn, "action": one.action, "file": one.file, "reason": _clipped(one.reason)}
                for one in self.refusals
            ],
            "problems": [_clipped(problem) for problem in self.problems],
        }


async def edit_session(
    caller: Caller,
    site: CallSite,
    prompt: Prompt,
    sandbox: EditSandbox,
    *,
    analysis: Mapping[str, Any],
    history: Sequence[str],
    check: Check,
    turns: int,
) -> EditSession:
    """Let the editor change a copy of a pack in at most `turns` turns, each a call at `site` with its number as index.

    `analysis` is what `Analyzed.recorded` returns. When the editor says that it is done, and none of the turn's actions
    was refused, `check` has the last word: its problems go back to the editor until there are none or the turns are
    spent. A session whose turns are spent is checked as it stands. Raises the errors of a call, UnusableReply among
    them, for an infrastructure failure is no outcome (rule 2).
    """
    messages = prompt.render(
        {
            "files": "\n\n".join(sandbox.view(file) for file in sandbox.files),
            "analysis": shown_analysis(analysis),
            "history": shown_history(history),
            "schema": schema_text(EditorTurn),
        }
    )
    transcript: list[Mapping[str, Any]] = []
    summary, problems, turn = "", list[str](), 0
    for turn in range(1, turns + 1):
        at = replace(site, index=str(turn), prompt_version=prompt.version)
        said, _ = await caller.parsed(at, messages, EditorTurn)
        if turn > 1:
            sandbox.begin_turn()
        refused = len(sandbox.refusals)
        outcomes = [_carried_out(sandbox, number, edit) for number, edit in enumerate(said.edits, 1)]
        summary = " ".join(said.summary.split()) or summary
        done = said.done and len(sandbox.refusals) == refused
        problems = check(sandbox.pack()) if done or turn == turns else []
        for problem in problems:
            sandbox.refuse("check", "", problem)
        transcript.append(_recorded(turn, said, [one.reason for one in sandbox.refusals[refused:]]))
        if done and not problems:
            break
        messages = [*messages, *_turn(said, _reply(sandbox, outcomes, problems, turns - turn))]
    return EditSession(sandbox.pack(), problems, tuple(sandbox.refusals), turn, summary, tuple(transcript))


def _carried_out(sandbox: EditSandbox, number: int, edit: Edit) -> str:
    """Carry out one action; return what is reported of it to the editor."""
    try:
        outcome = sandbox.act(edit)
    except Refused as refused:
        return f"{number}. {edit.action}: refused: {refused}"
    return f"{number}. {edit.action} {edit.file}: {'as below' if edit.action == 'view' else outcome}"


def _reply(sandbox: EditSandbox, outcomes: Sequence[str], problems: Sequence[str], left: int) -> str:
    """Return the message that answers a turn: outcomes, files that changed or were to be seen, complaints."""
    blocks = ["\n".join(outcomes) or "No action was sent."]
    shown = [*sandbox.changed(), *sandbox.viewed()]
    blocks += [sandbox.view(file) for file in dict.fromkeys(shown)]
    if problems:
        blocks.append("The files cannot be used as they are:\n" + "\n".join(f"- {problem}" for problem in problems))
    blocks.append(f"{left} {'turn is' if left == 1 else 'turns are'} left. Send the next one: a JSON object as before.")
    return "\n\n".join(blocks)


def _turn(said: EditorTurn, answer: str) -> Messages:
    shown = {"role": "assistant", "content": canonical_json(said.model_dump(mode="json"))}
    return [shown, {"role": "user", "content": answer}]


def _recorded(turn: int, said: EditorTurn, refused: Sequence[str]) -> dict[str, Any]:
    edits = [
        {
            name: _clipped(value) if isinstance(value, str) else value
            for name, value in edit.model_dump().items()
            if value
        }
        for edit in said.edits
    ]
    return {
        "turn": turn,
        "thought": _clipped(said.thought),
        "edits": edits,
        "refused": [_clipped(reason) for reason in refused],
        "done": said.done,
    }


def _clipped(text: str) -> str:
    return text if len(text) <= CLIP else text[: CLIP - 1] + "…"
