"""The numbers of a run, as `autodata status --json` prints them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.records import DocumentStatus, FailureMode
from autodata.corpus.signals import signals

# One statement, so that a run that goes on cannot change the numbers between one and the next.
_NUMBERS = """
SELECT
    (SELECT count(*) FROM documents) AS documents,
    (SELECT json_group_object(status, n) FROM (SELECT status, count(*) AS n FROM documents GROUP BY status))
        AS statuses,
    (SELECT count(*) FROM rounds WHERE outcome IN ('accepted', 'rejected')) AS rounds,
    (SELECT json_group_object(role, n) FROM (SELECT role, count(*) AS n FROM calls GROUP BY role)) AS calls_by_role,
    (SELECT coalesce(sum(tokens_in), 0) FROM calls) AS tokens_in,
    (SELECT coalesce(sum(tokens_out), 0) FROM calls) AS tokens_out,
    (SELECT sum(cost_usd) FROM calls) AS cost_usd,
    (SELECT count(*) FROM timeouts) AS timed_out,
    (SELECT count(*) FROM attempts WHERE truncated) AS truncated,
    (SELECT json_group_object(failure_mode, n) FROM
        (SELECT failure_mode, count(*) AS n FROM rounds
         WHERE outcome != 'open' AND failure_mode IS NOT NULL GROUP BY failure_mode)) AS failure_modes,
    (SELECT count(*) FROM labels WHERE decision IS NULL) AS awaiting_review,
    (SELECT json_group_object(decision, n) FROM
        (SELECT decision, count(*) AS n FROM labels WHERE decision IS NOT NULL GROUP BY decision)) AS labels,
    (SELECT avg(weak_mean) FROM examples) AS weak_mean,
    (SELECT avg(strong_mean) FROM examples) AS strong_mean,
    (SELECT avg(gap) FROM examples) AS gap_mean,
    (SELECT avg(rounds) FROM documents WHERE status = 'accepted') AS rounds_per_accepted,
    (SELECT json_group_array(json_object('question', question, 'documents', json(names))) FROM
        (SELECT min(c.question) AS question, json_group_array(d.name) AS names
         FROM examples e JOIN documents d ON d.document_id = e.document_id
             JOIN rounds r ON r.round_id = e.round_id JOIN candidates c ON c.candidate_id = r.candidate_id
         GROUP BY coalesce(e.question_key, lower(trim(c.question)))
         HAVING count(DISTINCT e.document_id) > 1 ORDER BY min(e.rowid))) AS shared_questions
"""

_BY_ROLE = """
SELECT role, count(*) AS calls, sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out, sum(cost_usd) AS cost_usd
FROM calls GROUP BY role ORDER BY role
"""

MEANINGS: Mapping[tuple[str, ...], str] = {
    ("documents",): "Documents known to the run, whatever became of them.",
    (
        "accepted",
        "rejected",
        "skipped",
        "errored",
        "pending",
        "waiting",
    ): "Documents of that status; they add up to `documents`.",
    ("rounds",): "Closed rounds, accepted or rejected; a round under way is not counted.",
    ("calls",): "Completed model calls in the journal, those whose reply was unusable included.",
    ("calls_by_role",): "The same by role, roles in alphabetical order; they add up to `calls`.",
    ("tokens_in", "tokens_out"): "Tokens of all calls as the endpoints counted them; a call without a count adds 0.",
    ("cost_usd",): "US dollars over the calls that carry a price; null when none does.",
    ("timed_out",): (
        "Requests that got no reply in time, tried again or not: their endpoint may bill them. They are no calls, but a"
        " budget counts the most that each can have taken."
    ),
    ("truncated",): "Attempts, in open rounds too, that were cut off by the token limit.",
    ("failure_modes",): "Every failure mode with the number of closed rounds that ended so, zeros included.",
    ("weak_mean", "strong_mean", "gap_mean"): (
        "Mean over accepted examples, not over all candidates, of the example's own mean score (0..1) and gap (-1..1)."
        " Where a domain stops attempts early there are none; null when no example has one."
    ),
    ("rounds_per_accepted",): "Mean number of rounds of the accepted documents; null when there are none.",
    ("calls_per_accepted",): (
        "All calls, those of failed documents too, per accepted document; null when there are none."
    ),
    ("awaiting_review",): "Candidates that a person has been asked about and has not answered yet.",
    ("shared_questions",): (
        "Questions accepted for more than one document, in the order of their first example: `question` and the names"
        " of its `documents`. The export holds each as often as it was accepted."
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
}
"""What each key of a summary means."""


async def summarise(ledger: Reader) -> dict[str, Any]:
    """Return the numbers of a run so far, by the keys of `MEANINGS`, in its order."""
    (numbers,) = await ledger.read(_NUMBERS)
    statuses, roles, modes = (json.loads(numbers[key]) for key in ("statuses", "calls_by_role", "failure_modes"))
    labels = json.loads(numbers["labels"])
    by_status = {status: statuses.get(status.value, 0) for status in DocumentStatus}
    calls = sum(roles.values())
    accepted = by_status[DocumentStatus.ACCEPTED]
    return {
        "documents": numbers["documents"],
        "accepted": accepted,
        "rejected": by_status[DocumentStatus.REJECTED],
        "skipped": by_status[DocumentStatus.SKIPPED],
        "errored": by_status[DocumentStatus.ERRORED],
        "pending": by_status[DocumentStatus.PENDING],
        "waiting": by_status[DocumentStatus.WAITING],
        "rounds": numbers["rounds"],
        "calls": calls,
        "calls_by_role": dict(sorted(roles.items())),
        "tokens_in": numbers["tokens_in"],
        "tokens_out": numbers["tokens_out"],
        "cost_usd": numbers["cost_usd"],
        "timed_out": numbers["timed_out"],
        "truncated": numbers["truncated"],
        "failure_modes": {mode.value: modes.get(mode.value, 0) for mode in FailureMode},
        "weak_mean": numbers["weak_mean"],
        "strong_mean": numbers["strong_mean"],
        "gap_mean": numbers["gap_mean"],
        "rounds_per_accepted": numbers["rounds_per_accepted"],
        "calls_per_accepted": calls / accepted if accepted else None,
        "awaiting_review": numbers["awaiting_review"],
        "shared_questions": json.loads(numbers["shared_questions"]),
        "labels": {decision: labels.get(decision, 0) for decision in ("approve", "edit", "reject")},
        **await signals(ledger),
    }


async def by_role(ledger: Reader) -> list[dict[str, Any]]:
    """Return calls, tokens and cost by role; tokens are None where no call's were counted, and so is a cost unknown."""
    return await ledger.read(_BY_ROLE)
