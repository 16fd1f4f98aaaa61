"""The challenger's turns of a run: what it was asked, word for word, what it wrote, and what became of it.

The journal holds replies and the hashes of requests, not their texts. A request is therefore built anew from the run's
prompts, documents and feedback, and only used where its hash is the one that the journal holds.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autodata.checkpoints.document_queue import MAIN
from autodata.checkpoints.ids import digest, part_of
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.turns import challenger_calls, rounds_of_evaluation, texts_of
from autodata.checkpoints.records import Candidate, FailureMode
from autodata.corpus.exporters.rows import run_id
from autodata.corpus.exporters.turns import TURNS, TurnRow
from autodata.domains.tasks.passages import pick
from autodata.jobs.run_ledger import ledger_of
from autodata.models.call import replayed
from autodata.models.reply import Reply
from autodata.models.scan import Unusable
from autodata.models.seeds import seed_for
from autodata.nodes.challenger import asked
from autodata.nodes.context import NOTHING, ShownLessons
from autodata.nodes.extractor import shown_extract
from autodata.nodes.grounding import grounding_of, shown
from autodata.prompts import PromptPack
from autodata.runner.config import RunConfig, stored_config
from autodata.runner.dataset import shown_by_document

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Turns:
    """The turns of a run, in the order of its documents and rounds."""

    turns: list[TurnRow]
    unknown: int = 0
    """Turns that are left out: the folder no longer says what was asked, or what became of what was written."""


@dataclass(frozen=True)
class _Outcome:
    """What became of a turn."""

    accepted: bool
    failure_mode: str = ""
    reason: str = ""
    round: Row | None = None


async def challenger_turns(run: Path, *, source: bool = False) -> Turns:
    """Return the turns of a run's challenger, with the documents' texts if asked for.

    Raises UserError for a folder that holds no run, or whose domain or prompts cannot be read any more.
    """
    config = await asyncio.to_thread(stored_config, run / "config.toml")
    pack = await asyncio.to_thread(config.pack)
    async with ledger_of(run) as ledger:
        calls = await challenger_calls(ledger, MAIN)
        rounds: dict[str, list[Row]] = {}
        for row in await rounds_of_evaluation(ledger, MAIN):
            rounds.setdefault(row["document_id"], []).append(row)
        lessons = config.lessons
        shown: dict[str, ShownLessons] = {}
        if lessons.enabled:
            own = await asyncio.to_thread(config.lessons_pack)
            shown = await shown_by_document(ledger, lessons, own)
        reader = _Reader(config, pack, await run_id(ledger), source, await _grounding(ledger, config, calls), shown)
    found = [reader.turn(list(same), rounds) for _, same in groupby(calls, _place)]
    turns = [turn for turn in found if turn is not None]
    return Turns(turns, len(found) - len(turns))


def _place(call: Row) -> tuple[Any, ...]:
    return call["document_id"], call["n"], call["idx"]


async def _grounding(ledger: Reader, config: RunConfig, calls: Sequence[Row]) -> dict[str, str]:
    """Return what each document's challenger was shown of others; empty where its domain shows none."""
    wanted = config.chosen_domain.grounding
    if not wanted:
        return {}
    ids = await ledger.documents()
    beside = {own: grounding_of(ids, own, wanted, config.seed) for own in {call["document_id"] for call in calls}}
    texts = await texts_of(ledger, {one for others in beside.values() for one in others})
    return {own: shown(texts[one] for one in others) for own, others in beside.items()}


@dataclass(frozen=True)
class _Reader:
    """Makes rows of calls."""

    config: RunConfig
    pack: PromptPack
    run: str
    source: bool
    grounding: Mapping[str, str]
    lessons: Mapping[str, ShownLessons]
    """What each document's challengers were shown of lessons, in a run with lessons."""

    def turn(self, tries: Sequence[Row], rounds: Mapping[str, Sequence[Row]]) -> TurnRow | None:
        """Return the turn of one challenger in one round, None where it is not known well enough."""
        of_document = rounds.get(tries[0]["document_id"], ())
        messages = self._messages(tries[0], of_document)
        if tries[0]["try"] != 0 or messages is None:
            return None
        used, reply, candidate, why = self._used(tries)
        outcome = self._outcome(used, candidate, why, of_document)
        if outcome is None or not reply.answer:
            return None
        return self._row(used, messages, reply, candidate, outcome)

    def _messages(self, first: Row, rounds: Sequence[Row]) -> list[dict[str, str]] | None:
        """Return what was asked; None where it does not come out as the journal knows it."""
        domain, n = self.config.chosen_domain, first["n"]
        here = [row for row in rounds if row["n"] == n]
        before = [row for row in rounds if row["n"] == n - 1 and row["outcome"] == "rejected"]
        source, anchor = first["text"], ""
        if words := domain.passage_words:
            passage = pick(source, n, seed_for(self.config.seed, "passage", first["document_id"]), words)
            if passage is None or not here:
                return None
            source, anchor = passage.text, passage.anchor
        messages = asked(
            self.pack["challenger"],
            domain.scorer.draft,
            source=source,
            title=first["title"],
            anchor=anchor,
            extract=shown_extract(domain, json.loads(first["extract"]) if first["extract"] else None),
            grounding=self.grounding.get(first["document_id"], ""),
            index=int(first["idx"]),
            failures=self.lessons.get(first["document_id"], NOTHING).before(before[-1]["feedback"] if before else ""),
        )
        return messages if digest(messages, 64) == first["messages_hash"] else None

    def _used(self, tries: Sequence[Row]) -> tuple[Row, Reply, Candidate | None, Unusable | None]:
        """Return the first reply that holds a candidate, with it, else the last one with what was wrong with it."""
        kind = self.config.chosen_domain.scorer
        why: Unusable | None = None
        for row in tries:
            reply = replayed(row)
            try:
                reply.require_answer()
                return row, reply, kind.candidate(reply.read(kind.draft).model_dump()), None
            except Unusable as error:
                why = error
            except ValidationError:
                why = None
        return tries[-1], replayed(tries[-1]), None, why

    def _outcome(
        self, used: Row, candidate: Candidate | None, why: Unusable | None, rounds: Sequence[Row]
    ) -> _Outcome | None:
        """Return what became of a turn; None where nothing did yet, or a person changed what was written."""
        if candidate is None:
            return _Outcome(False, FailureMode.MALFORMED.value, str(why)) if why and why.shape else None
        for row in rounds:
            if row["n"] >= used["n"] and row["candidate_id"] == candidate.candidate_id:
                if row["outcome"] not in {"accepted", "rejected"}:
                    return None
                return _Outcome(row["outcome"] == "accepted", row["failure_mode"] or "", row["reason"] or "", row)
        for row in _screened(used["n"], rounds):
            if row["question"] == candidate.question and not row["promising"]:
                return _Outcome(False, FailureMode.QUALITY.value, row["reason"])
        return None

    def _row(
        self, used: Row, messages: list[dict[str, str]], reply: Reply, candidate: Candidate | None, outcome: _Outcome
    ) -> TurnRow:
        answer, figures = reply.answer, outcome.round or {}
        chunk, chunks = part_of(used["document_id"], used["note"] or "") or (None, None)
        return TURNS.validate_python(
            {
                "id": used["key"][:16],
                "prompt": messages,
                "completion": [{"role": "assistant", "content": answer}],
                "label": outcome.accepted,
                "outcome": "accepted" if outcome.accepted else "rejected",
                "failure_mode": outcome.failure_mode,
                "reason": "" if outcome.accepted else outcome.reason,
                "reasoning": reply.text.strip().removesuffix(answer).strip() if reply.text.strip() != answer else "",
                "question": candidate.question if candidate else "",
                "domain": self.config.chosen_domain.name,
                "document_id": used["document_id"],
                "document_name": used["name"],
                "document_title": used["title"] or "",
                "document_sha256": hashlib.sha256(used["text"].encode()).hexdigest(),
                "chunk": chunk,
                "chunks": chunks,
                "round": used["n"],
                "challenger": int(used["idx"]),
                "weak_mean": figures.get("weak_mean"),
                "strong_mean": figures.get("strong_mean"),
                "gap": figures.get("gap"),
                "model": used["model"],
                "prompt_version": used["prompt_version"] or "",
                "run": self.run,
                "source": used["text"] if self.source else "",
            }
        )


def _screened(n: int, rounds: Sequence[Row]) -> Iterator[Row]:
    """Return what the screen of a round found of its drafts."""
    for row in rounds:
        if row["n"] == n and row["screen"]:
            yield from json.loads(row["screen"])
