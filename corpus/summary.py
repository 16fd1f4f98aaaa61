"""The numbers of a run, as `autodata status --json` prints them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from autodata.checkpoints.errors import cause_of
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.chosen import Chosen, read_chosen, read_target
from autodata.checkpoints.queries.confirmed import audited_rounds, confirmed_rounds
from autodata.checkpoints.queries.documents import documents
from autodata.checkpoints.queries.figures import numbers
from autodata.checkpoints.queries.meta import adjustments
from autodata.checkpoints.queries.stopping import losses_of_stopping
from autodata.checkpoints.records import DocumentStatus, FailureMode
from autodata.checkpoints.usage import Usage
from autodata.corpus.confirmed import confirmed_figures
from autodata.corpus.signals import signals

MEANINGS: Mapping[tuple[str, ...], str] = {
    ("documents",): "Documents known to the run, whatever became of them, but for dropped ones.",
    (
        "accepted",
        "rejected",
        "skipped",
        "errored",
        "pending",
        "waiting",
    ): "Documents of that status; they add up to `documents`.",
    ("dropped",): "Documents that a person dropped; neither they nor their examples are in any other figure.",
    ("target",): "How many distinct examples the latest session wanted; null where it wanted all.",
    ("surplus",): "Distinct accepted examples beyond `target`, which an export leaves out unless asked for them.",
    ("errors",): (
        "Causes of errored documents, the most frequent first: `cause`, as the first of them has it, and the names of"
        " its `documents`. Messages that differ in numbers, ids and quoted words alone are of one cause."
    ),
    ("rounds",): "Closed rounds, accepted or rejected; a round under way is not counted.",
    ("calls",): "Completed model calls in the journal, those whose reply was unusable included.",
    ("calls_by_role",): "The same by role, roles in alphabetical order; they add up to `calls`.",
    ("tokens_in", "tokens_out"): "Tokens of all calls as the endpoints counted them; a call without a count adds 0.",
    ("tokens_cached", "tokens_reasoning"): (
        "Of `tokens_in`, those that endpoints read from a cache; of `tokens_out`, those of reasoning, where the"
        " endpoint counts them in. null when no endpoint reported them."
    ),
    ("cached_share",): (
        "`tokens_cached` as a share (0..1) of the prompt tokens of those calls whose endpoint reported it; null when"
        " none did."
    ),
    ("cached_share_by_role",): "The same by role, roles in alphabetical order.",
    ("cost_usd",): "US dollars over the calls that carry a price; null when none does.",
    ("timed_out",): (
        "Requests that got no reply in time, or one that could not be read, tried again or not: their endpoint may bill"
        " them. They are no calls, but a budget counts the most that each can have taken."
    ),
    ("cancelled",): (
        "Requests that were called off before their reply came, for instance when a run was stopped: they count as"
        " those of `timed_out` do."
    ),
    ("truncated",): "Attempts, in open rounds too, that were cut off by the token limit.",
    ("failure_modes",): "Every failure mode with the number of closed rounds that ended so, zeros included.",
    ("weak_mean", "strong_mean", "gap_mean"): (
        "Mean over accepted examples, not over all candidates, of the example's own mean score (0..1) and gap (-1..1)."
        " Where a domain stops attempts early there are none; null when no example has one."
    ),
    ("confirmed",): (
        "What fresh attempts scored, in a run that confirms: null in any other. Over all `candidates` that were"
        " confirmed, the `refused` ones too: for `weak`, `strong` and `gap` the `selecting` mean, the `confirmed` one"
        " and the bounds of its 95 % interval; `attempts` are the fresh ones of each solver, `shrinkage` is the"
        " selecting gap less the confirmed one."
    ),
    ("audited",): (
        "Candidates that were audited once they had passed the gates, those `refused` for it, and what was tried:"
        " `canaries`, each a call of the judge or more, and `closed_contexts`, each a call of the weak solver and of"
        " the judge. null where none was."
    ),
    ("rounds_per_accepted",): "Mean number of rounds of the accepted documents; null when there are none.",
    ("calls_per_accepted",): (
        "All calls, those of failed documents too, per accepted document; null when there are none."
    ),
    ("stopping",): (
        "With `curtail` adaptive: `candidates` that were decided, those of them that were `walked` to the end by lot,"
        " those of these that were `accepted`, and `lost`, which would have been stopped; `error` is lost of accepted"
        " (0..1), null while there are none. null without adaptive stopping."
    ),
    ("awaiting_review",): "Candidates that a person has been asked about and has not answered yet.",
    ("shared_questions",): (
        "Questions accepted for more than one document, in the order of their first example: `question` and the names"
        " of its `documents`. The export holds one of them, unless asked for repeats."
    ),
    ("labels",): "Answers of people so far, by decision: approve, edit, reject.",
    ("refusals",): (
        "Why quality checks refused candidates, for `failed_quality_check` and `final_check` each: kind of reason and"
        " number of rounds. A round refused for two reasons counts in both."
    ),
    ("failed_on_strong",): (
        "By number of the round: rounds closed, those that failed on the strong solver, and their share. A share that"
        " rises with the rounds is the strong model's ceiling."
    ),
    ("tied_to_numbers",): (
        "Accepted questions, those holding a number of at least two significant digits that stands in their document,"
        " and their share."
    ),
    ("attempts_by_length",): (
        "By role and band of the answer's length in characters: attempts and the mean score of those marked (0..1)."
    ),
    ("truncation",): (
        "Attempts, those cut off by the token limit, and their share: `by_role` with the mean score of cut and of whole"
        " attempts, `by_round` by number of the round."
    ),
    ("endpoints",): (
        "How requests were adjusted, by endpoint: `dialect`, what is left out or sent otherwise, and the structured"
        " output that it takes, `wire_format` and `schema_formats`, where that is not json_schema."
    ),
}
"""What each key of a summary means."""


async def summarise(ledger: Reader) -> dict[str, Any]:
    """Return the numbers of a run so far, by the keys of `MEANINGS`, in its order."""
    found = await numbers(ledger)
    statuses, modes = json.loads(found["statuses"]), json.loads(found["failure_modes"])
    roles = {row["role"]: Usage.of_row(row) for row in json.loads(found["usage"])}
    used = sum(roles.values(), Usage())
    unanswered = {cause: sum(row[cause] for row in json.loads(found["usage"])) for cause in ("timed_out", "cancelled")}
    labels = json.loads(found["labels"])
    chosen = await read_chosen(ledger) if await read_target(ledger) else Chosen()
    by_status = {status: statuses.get(status.value, 0) for status in DocumentStatus}
    accepted = by_status[DocumentStatus.ACCEPTED]
    return {
        "documents": found["documents"],
        "accepted": accepted,
        "rejected": by_status[DocumentStatus.REJECTED],
        "skipped": by_status[DocumentStatus.SKIPPED],
        "errored": by_status[DocumentStatus.ERRORED],
        "pending": by_status[DocumentStatus.PENDING],
        "waiting": by_status[DocumentStatus.WAITING],
        "dropped": by_status[DocumentStatus.DROPPED],
        "target": chosen.target,
        "surplus": chosen.beyond,
        "errors": causes(await documents(ledger)),
        "rounds": found["rounds"],
        "calls": used.calls,
        "calls_by_role": {role: of_role.calls for role, of_role in sorted(roles.items()) if of_role.calls},
        "tokens_in": used.tokens_in or 0,
        "tokens_out": used.tokens_out or 0,
        "tokens_cached": used.tokens_cached,
        "tokens_reasoning": used.tokens_reasoning,
        "cached_share": used.cached_share,
        "cached_share_by_role": {role: of_role.cached_share for role, of_role in sorted(roles.items())},
        "cost_usd": used.usd,
        **unanswered,
        "truncated": found["truncated"],
        "failure_modes": {mode.value: modes.get(mode.value, 0) for mode in FailureMode},
        "weak_mean": found["weak_mean"],
        "strong_mean": found["strong_mean"],
        "gap_mean": found["gap_mean"],
        "confirmed": confirmed_figures(await confirmed_rounds(ledger)),
        "audited": audited if (audited := await audited_rounds(ledger))["candidates"] else None,
        "rounds_per_accepted": found["rounds_per_accepted"],
        "calls_per_accepted": used.calls / accepted if accepted else None,
        "stopping": await _stopping(ledger),
        "awaiting_review": found["awaiting_review"],
        "shared_questions": json.loads(found["shared_questions"]),
        "labels": {decision: labels.get(decision, 0) for decision in ("approve", "edit", "reject")},
        **await signals(ledger),
        "endpoints": await adjustments(ledger),
    }


async def _stopping(ledger: Reader) -> dict[str, Any] | None:
    found = await losses_of_stopping(ledger)
    if not found["candidates"]:
        return None
    return {**found, "error": found["lost"] / found["accepted"] if found["accepted"] else None}


def causes(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return why documents errored: each `cause` as the first has it, with the names of its `documents`.

    The most frequent one first. `rows` are documents as `queries.documents` returns them.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["status"] == DocumentStatus.ERRORED:
            kind, _, message = row["status_reason"].partition(": ")
            one = found.setdefault(cause_of(kind, message), {"cause": row["status_reason"], "documents": []})
            one["documents"].append(row["name"])
    return sorted(found.values(), key=lambda one: -len(one["documents"]))
