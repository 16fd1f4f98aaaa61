"""An iteration's edit by a proposer of the caller's own: the same records and checks as an edit by the editor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count

from autodata.checkpoints.errors import UserError
from autodata.models.call import CallSite
from autodata.models.seeds import seed_for
from autodata.nodes.optimizer.checks import Check
from autodata.nodes.optimizer.edit_sandbox import Refusal, editable_roles
from autodata.nodes.optimizer.editor import EditSession
from autodata.nodes.optimizer.proposer import Material, Proposal, Proposer
from autodata.nodes.optimizer.state import OptState, Search
from autodata.nodes.optimizer.trajectories import Contrasting
from autodata.prompts import PromptPack
from autodata.prompts.pack import parse_prompt


async def proposed(
    search: Search, proposer: Proposer, state: OptState, parent: PromptPack, check: Check, site: CallSite
) -> EditSession:
    """Return the parent as a proposer edits it. Raises what a call raises, and whatever the proposer does."""
    made = await proposer.propose(await _material(search, state, parent, check, site)) or Proposal({}, "")
    mutant, refused = applied(parent, made.prompts)
    refusals = tuple(Refusal(1, "replace", file, reason) for file, reason in refused.items())
    return EditSession(mutant, [], refusals, 1, " ".join(made.summary.split()))


async def _material(search: Search, state: OptState, parent: PromptPack, check: Check, site: CallSite) -> Material:
    where, documents = state["training"], tuple(state["minibatch"])
    trajectories = search.trajectories
    numbers = count(1)

    async def ask(prompt: str) -> str:
        at = replace(site, index=str(next(numbers)))
        return (await search.caller.text(at, [{"role": "user", "content": prompt}])).text

    def problems(prompts: Mapping[str, str]) -> list[str]:
        pack, refused = applied(parent, prompts)
        return [*refused.values(), *check(pack)]

    return Material(
        iteration=state["n"],
        seed=seed_for(search.run_seed, "proposer", state["n"]),
        prompts={role: parent[role].text for role in editable_roles(parent)},
        failures=await trajectories.failures(where, documents),
        accepted=await trajectories.accepted(where, documents) if isinstance(trajectories, Contrasting) else [],
        history=await search.archive.history(state["history"]),
        problems=problems,
        ask=ask,
    )


def applied(parent: PromptPack, prompts: Mapping[str, str]) -> tuple[PromptPack, dict[str, str]]:
    """Return the parent with what may be changed of it changed, and why the rest was refused, by file."""
    allowed, edited, refused = editable_roles(parent), dict(parent.prompts), dict[str, str]()
    for role, text in prompts.items():
        if role not in allowed:
            refused[f"{role}.md"] = f"{role}.md may not be edited: {', '.join(allowed)} may"
            continue
        try:
            edited[role] = parse_prompt(role, text, f"{role}.md")
        except UserError as error:
            refused[f"{role}.md"] = str(error)
    return PromptPack(parent.name, edited), refused
