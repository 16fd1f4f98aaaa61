"""Proposers: what makes an edit of a parent's prompts, in place of the analyst and the editor of the paper.

A search without a proposer of its own asks those two (`propose`). What a proposer returns is checked by code as any
edit is, before anything is paid for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from autodata.nodes.optimizer.trajectories import Failure


@dataclass(frozen=True)
class Material:
    """What a proposer sees of an iteration. It holds training documents alone, never held-out ones."""

    iteration: int
    """Counted from 1."""
    seed: int
    """For whatever is random: of the iteration, and the same when it is gone on with."""
    prompts: Mapping[str, str]
    """The parent's editable prompts by role, each a whole prompt file."""
    failures: Sequence[Failure]
    """The parent's failed rounds on the minibatch, at least one, in order of document and round."""
    accepted: Sequence[Failure]
    """Its accepted rounds there; their failure mode is empty."""
    history: Sequence[str]
    """Entries of the history log: what was tried before and what came of it."""
    problems: Callable[[Mapping[str, str]], list[str]]
    """Takes changed prompts by role and returns why they may not be evaluated; empty when they may."""
    ask: Callable[[str], Awaitable[str]]
    """Asks the model of the role `editor` and returns its text. The call is recorded, counted and never paid for twice:
    a proposer that is asked again, after a kill, is given the same replies. Raises CallFailed and UnusableReply: one
    that is let through pauses the search, as a dead editor does."""


@dataclass(frozen=True)
class Proposal:
    """An edit: whole prompt files by role, only those that are changed, and in one sentence what it is for."""

    prompts: Mapping[str, str]
    summary: str = ""


class Proposer(Protocol):
    """Proposes edits. One of your own is a class with this method.

    It may be asked again for an iteration that was cut off. Calls that it makes itself, other than by `ask`, are
    neither recorded nor bounded.
    """

    async def propose(self, material: Material) -> Proposal | None:
        """Return an edit of the parent's prompts, or None where nothing is to be changed."""
