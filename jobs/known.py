"""What documents of a domain take by what is known beforehand: a shipped table, for estimates before any call.

The table, `known.json`, holds for each domain what documents took in measured runs: whether one was accepted, its
rounds and its calls by role, for the loop and for the baseline; and the tokens of a call by role, of a simulated run
and of a run on a real model. `benchmarks/known.py` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from autodata.domains.acceptance.checks import ChecksConfig
from autodata.domains.domain import DOMAINS, Domain
from autodata.jobs.forecast import Measured, RoleUse
from autodata.jobs.measured import lengthened
from autodata.models.config import ModelSettings
from autodata.models.judges import LARGER, JudgesConfig
from autodata.prompts.roles import READERS_OF_SOURCE, SOLVERS
from autodata.runner.config import BaselineConfig, RunConfig

REPLY_SHARE = 0.25
"""The share of a role's `max_tokens` that a reply is taken to have where no real model was measured in it."""
_ONCE = frozenset({"extractor"})  # roles that a document is read by once, however many rounds follow
TOKENS_PER_SECOND = 50.0
"""How fast a model is taken to write where nothing was measured."""
CANARIES = 7
"""Answers worth nothing that an audit marks."""
LARGER_SHARE = 0.5
"""The share of attempts that a larger judge is taken to be asked about."""
SECONDS_PER_CALL = 1.0
"""How long a call is taken to last before the first token of its reply."""


def known_documents(config: RunConfig, chars: float) -> tuple[list[Measured], str]:
    """Return what documents of `chars` characters take, by the shipped table, and where these figures come from."""
    domain, roles = config.chosen_domain, config.roles()
    name, table = _table_for(domain)
    baseline = config.kind == BaselineConfig.kind
    simulated = all(settings.provider == "simulated" for settings in roles.values())
    tokens = _tokens(table["tokens"], roles, simulated=simulated)
    paper = None if simulated or baseline else table["paper_rounds"]
    rows = table["baseline" if baseline else "loop"]
    stretch = paper / _mean_rounds(rows) if paper else 1.0
    readers = readers_of(domain)
    found = []
    for accepted, rounds, calls in rows:
        fresh = _fresh(calls, config.confirm.attempts) if accepted else {}
        audited = _audited(config.checks) if accepted else {}
        uses = {
            role: _use(
                role,
                count * (1 if role in _ONCE else stretch) + fresh.get(role, 0) + audited.get(role, 0),
                tokens,
                chars if role in readers else 0,
            )
            for role, count in calls.items()
        }
        uses |= _further(uses["verifier"], config.judges) if "verifier" in uses else {}
        seconds = 0.0 if simulated else _seconds(uses, domain, roles)
        found.append(_bounded(Measured(bool(accepted), rounds * stretch, seconds, uses), config.max_rounds))
    return found, _origin(name, domain, table, simulated=simulated, paper=paper)


def _fresh(calls: Mapping[str, float], attempts: int) -> dict[str, float]:
    """Return the calls that so many fresh attempts of each solver at one example take, by role.

    Code marks the same share of them as of the selecting ones. Where fresh attempts must pass, candidates that they
    refuse are not known beforehand: their attempts are not counted.
    """
    selecting = sum(calls.get(role, 0) for role in SOLVERS)
    marks = calls.get("verifier", 0) / selecting if selecting else 1.0
    return {**dict.fromkeys(SOLVERS, attempts), "verifier": 2 * attempts * marks} if attempts else {}


def _audited(checks: ChecksConfig) -> dict[str, float]:
    """Return the calls that the audit of one candidate takes, by role."""
    tried = {"off": 0.0, "sample": checks.canary_share, "always": 1.0}[checks.canaries]
    closed = 1.0 if checks.closed_context else 0.0
    return {"weak_solver": closed, "verifier": CANARIES * tried + closed}


def _further(verifier: RoleUse, judges: JudgesConfig) -> dict[str, RoleUse]:
    """Return what further judges take, and the verifier when it is asked often.

    The larger one is taken to be asked about a share of the attempts: how often the others differ is not known.
    """
    found = {"verifier": verifier * judges.asked, **dict.fromkeys(judges.panel_roles, verifier)}
    return {**found, LARGER: verifier * LARGER_SHARE} if judges.larger else found


def readers_of(domain: Domain) -> tuple[str, ...]:
    """Return the roles that are shown documents whole: none where the domain picks passages."""
    if domain.passage_words is not None:
        return ()
    return (*READERS_OF_SOURCE, *(["strong_solver"] if domain.privileged_strong else []))


def _bounded(one: Measured, max_rounds: int) -> Measured:
    """Return a document as it ends where fewer rounds are allowed than it took: not accepted."""
    if one.rounds <= max_rounds:
        return one
    return one.times(max_rounds / one.rounds, accepted=False, rounds=max_rounds)


def _tokens(
    known: Mapping[str, Any], roles: Mapping[str, ModelSettings], *, simulated: bool
) -> dict[str, tuple[float, float]]:
    """Return what a call of each role takes, in and out, the document itself left out.

    Prompts are known from the simulated runs, which send the real ones; what a real model writes is not.
    """
    found: dict[str, tuple[float, float]] = {}
    for role, (tokens_in, tokens_out) in known["simulated"].items():
        if simulated:
            found[role] = tokens_in, tokens_out
        elif role in known["real"]:
            found[role] = tuple(known["real"][role])
        else:
            found[role] = tokens_in, REPLY_SHARE * roles[role].max_tokens if role in roles else tokens_out
    return found


def _use(role: str, calls: float, tokens: Mapping[str, tuple[float, float]], chars: float) -> RoleUse:
    tokens_in, tokens_out = tokens[role]
    return lengthened(RoleUse(calls, calls * tokens_in, calls * tokens_out), chars)


def _seconds(uses: Mapping[str, RoleUse], domain: Domain, roles: Mapping[str, ModelSettings]) -> float:
    """Return how long a document is in work: attempts and their marks are side by side."""
    seconds = 0.0
    for role, use in uses.items():
        beside = (domain.weak_attempts + domain.strong_attempts) / 2 if role in {*SOLVERS, "verifier"} else 1
        seconds += (use.calls * SECONDS_PER_CALL + use.tokens_out / TOKENS_PER_SECOND) / beside
    return seconds


def _mean_rounds(rows: list[Any]) -> float:
    rounds: list[int] = [rounds for accepted, rounds, _ in rows if accepted]
    return sum(rounds) / len(rounds)


def _origin(name: str, domain: Domain, table: Mapping[str, Any], *, simulated: bool, paper: float | None) -> str:
    parts = [f"rounds and calls of {table['measured']}"]
    if paper:
        parts.append(f"stretched to the {paper:g} rounds an accepted example took in the paper")
    if simulated:
        parts.append("tokens of the same")
        return _reported(name, domain, parts)
    measured, missing = table["tokens_from"]["real"], set(table["tokens"]["simulated"]) - set(table["tokens"]["real"])
    if measured:
        parts.append(f"tokens of {measured}")
    if missing:
        whose = f" of {', '.join(sorted(missing))}" if measured else ""
        parts.append(f"prompts{whose} as long as in these")
        parts.append(f"replies{whose} taken as {REPLY_SHARE:.0%} of max_tokens, for no real model was measured")
    parts.append(f"hours at {TOKENS_PER_SECOND:g} tokens a second")
    return _reported(name, domain, parts)


def _reported(name: str, domain: Domain, parts: list[str]) -> str:
    reported = "; ".join(parts)
    return reported if name == domain.name else f"as domain {name}: {reported}"


def _table_for(domain: Domain) -> tuple[str, Mapping[str, Any]]:
    """Return the entry of a domain; for one of a person's own that of the shipped domain most like it."""
    tables = _tables()
    if domain.name in tables and domain.folder is None:
        return domain.name, tables[domain.name]
    near = next((name for name, shipped in DOMAINS.items() if shipped.kind == domain.kind), "cs")
    return near, tables[near]


@cache
def _tables() -> Mapping[str, Any]:
    text = files("autodata.jobs").joinpath("known.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
