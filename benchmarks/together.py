"""How far marks of several attempts in one call agree with those of a call each: docs/together.json, a part of a page.

    python -m benchmarks.together [ANSWERS]

With 0 answers the real model is left out.

First the simulated world, whose judge errs at a known rate: runs of the same documents with one attempt a call and with
three, and the marks of the same answers asked for alone, alone again under another seed, and together. How often two
single calls agree is the most that can be asked of one for several. Then a real small model on this machine, at
temperature 0, on answers whose verdicts a person gave (`demo_answers.tsv`), by the prompt of domain `science`: the
judge of `facts`, the model's own domain, writes one word and cannot be asked about several.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel

from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.queries.usage import usage_by_role
from autodata.checkpoints.records import Candidate
from autodata.domains.domain import CS
from autodata.domains.tasks.base import TaskType
from autodata.domains.tasks.reference import ReferenceTask
from autodata.domains.tasks.schemas import ReferenceCandidate
from autodata.models.local.llama_server import ServerSpec, start_server
from autodata.models.local.weights import find_weights
from autodata.models.reply import Messages
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.models.simulated.world import World
from autodata.models.structured import Unusable, parse_reply, response_format, schema_text
from autodata.nodes.together import asked_of_several
from autodata.prompts import Prompt, fence, load_pack
from autodata.runner.config import RunConfig
from benchmarks import known, tables
from benchmarks.demo import LONGEST, MODEL, answers, today
from benchmarks.many_documents import machine
from benchmarks.page import DOCS, commit_of_now, write

DOCUMENTS = 40
TOGETHER = 3
"""Attempts of a solver in domain `cs`: one call marks them all."""
NOISES = (0.03, 0.1)
"""Shares of criteria that the simulated judge gets wrong; the first is the world's default."""
MOST = 4
"""Answers of the real model's judge in one call at most."""
LONGEST_REPLY = 800


def asked_of_one(
    prompt: Prompt, task_type: TaskType, candidate: Candidate, answer: str
) -> tuple[Messages, type[BaseModel]]:
    """Return what a judge is asked about one answer, and in which form it replies."""
    schema = task_type.marks(candidate)
    texts = {"context": candidate.context, "question": candidate.question, "answer": answer}
    values = {name: fence(name, text) for name, text in texts.items()} | {"schema": schema_text(schema)}
    return prompt.render({**values, **task_type.judged_by(candidate)}), schema


# The simulated world


def settings(noise: float, together: int) -> RunConfig:
    """Return a run's configuration in a world whose judge errs so often."""
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    return RunConfig.model_validate(
        {
            "seed": known.SEED,
            "models": {**models, "verifier": {"together": together}},
            "simulated": World(judge_noise=noise).model_dump(),
        }
    )


async def run(noise: float, together: int, folder: Path) -> tuple[dict[str, Any], list[tuple[Candidate, list[str]]]]:
    """Run the documents; return what it took and came to, and each candidate with its weak answers."""
    await tables.run_session(settings(noise, together), folder, known.documents("cs", DOCUMENTS))
    async with open_readonly(folder / "run.db") as ledger:
        used = await usage_by_role(ledger)
        judge = next(row for row in used if row["role"] == "verifier")
        [made] = await ledger.read("SELECT count(*) AS rounds, (SELECT count(*) FROM examples) AS examples FROM rounds")
        rows = await ledger.read(
            "SELECT c.candidate, a.answer, a.round_id FROM attempts a JOIN rounds r ON r.round_id = a.round_id"
            " JOIN candidates c ON c.candidate_id = r.candidate_id WHERE a.stage = 'weak' ORDER BY a.round_id, a.idx"
        )
    asked = [
        (CS.scorer.candidate(json.loads(of_round[0]["candidate"])), [row["answer"] for row in of_round])
        for _, group in itertools.groupby(rows, key=lambda row: row["round_id"])
        if len(of_round := [*group]) == TOGETHER
    ]
    calls, tokens = sum(row["calls"] for row in used), sum(row["tokens_in"] + row["tokens_out"] for row in used)
    took = {"judge_calls": judge["calls"], "judge_tokens": judge["tokens_in"] + judge["tokens_out"]}
    return {**made, "calls": calls, "tokens": tokens, **took}, asked


def agreement(noise: float, asked: Sequence[tuple[Candidate, list[str]]]) -> dict[str, Any]:
    """Return on how many criteria of how many two single calls agree, and a single one with one for several."""
    judge, prompt = SimulatedChatModel(solver="strong", world=World(judge_noise=noise)), load_pack("cs")["verifier"]
    count = {"criteria": 0, "alone": 0, "together": 0}
    for candidate, given in asked:
        messages, schema = asked_of_several(prompt, CS.scorer, candidate, given)
        together = parse_reply(judge.reply(messages, 1)[0], schema).of_answers()
        for answer, found in zip(given, together, strict=True):
            alone, one = asked_of_one(prompt, CS.scorer, candidate, answer)
            first, second = (
                CS.scorer.scored(candidate, parse_reply(judge.reply(alone, seed)[0], one)).met for seed in (1, 2)
            )
            count["criteria"] += len(first)
            count["alone"] += sum(map(bool.__eq__, first, second))
            count["together"] += sum(map(bool.__eq__, first, CS.scorer.scored(candidate, found).met))
    return count


async def simulated() -> list[dict[str, Any]]:
    """Return the figures of each noise."""
    rows = []
    for noise in NOISES:
        with tempfile.TemporaryDirectory() as name:
            one, asked = await run(noise, 1, Path(name) / "one")
            many, _ = await run(noise, TOGETHER, Path(name) / "many")
        rows.append({"noise": noise, "one": one, "many": many, "agree": agreement(noise, asked)})
    return rows


# A real model


class Judge:
    """A small model's judge at a server of this machine, and what its calls took."""

    def __init__(self, client: httpx.AsyncClient, base_url: str) -> None:
        self._client, self._url = client, f"{base_url}/chat/completions"
        self.took = {"calls": 0, "tokens_in": 0, "tokens_out": 0}

    async def ask(self, messages: Messages, schema: type[BaseModel]) -> str:
        """Return the reply's text."""
        body = {
            "messages": messages,
            "temperature": 0,
            "max_tokens": LONGEST_REPLY,
            "response_format": response_format(schema, "json_schema", text_limits=True),
        }
        reply = (await self._client.post(self._url, json=body)).raise_for_status().json()
        self.took["calls"] += 1
        self.took["tokens_in"] += reply["usage"]["prompt_tokens"]
        self.took["tokens_out"] += reply["usage"]["completion_tokens"]
        return str(reply["choices"][0]["message"]["content"])


async def of_one(judge: Judge, prompt: Prompt, candidate: Candidate, answer: str) -> bool | None:
    """Return a single call's verdict; None where its reply cannot be read."""
    messages, schema = asked_of_one(prompt, TASK, candidate, answer)
    return verdicts(candidate, await judge.ask(messages, schema), schema)[0]


async def of_several(judge: Judge, prompt: Prompt, candidate: Candidate, given: Sequence[str]) -> list[bool | None]:
    """Return the verdicts of one call for several answers; None for each where its reply cannot be read."""
    messages, schema = asked_of_several(prompt, TASK, candidate, given)
    return verdicts(candidate, await judge.ask(messages, schema), schema, len(given))


def verdicts(candidate: Candidate, text: str, schema: type[BaseModel], n: int = 0) -> list[bool | None]:
    """Return what a reply says of one answer, or of n; a verdict without a quotation counts as it does in a run."""
    try:
        found: Any = parse_reply(text, getattr(schema, "second_best", None) or schema)
    except Unusable:
        return [None] * max(1, n)
    return [bool(TASK.scored(candidate, one).score) for one in (found.of_answers() if n else [found])]


TASK = ReferenceTask()


async def real(most: int) -> dict[str, Any]:
    """Return how a real judge does on the first so many answers, one a call and up to four a call."""
    prompt, given = load_pack("science")["verifier"], answers()[:most]
    truth = [right for *_, right in given]
    server = await start_server(ServerSpec(await find_weights(MODEL), n_parallel=1))
    single: list[bool | None] = []
    shared: list[bool | None] = []
    try:
        async with httpx.AsyncClient(timeout=LONGEST) as client:
            alone, together = Judge(client, server.base_url), Judge(client, server.base_url)
            for (question, reference), group in itertools.groupby(given, key=lambda row: (row[0], row[1])):
                rows, candidate = [*group], ReferenceCandidate(question=question, reference_answer=reference)
                single += [await of_one(alone, prompt, candidate, row[2]) for row in rows]
                for k in range(0, len(rows), MOST):
                    part = [row[2] for row in rows[k : k + MOST]]
                    many = len(part) > 1
                    shared += (
                        await of_several(together, prompt, candidate, part)
                        if many
                        else [await of_one(together, prompt, candidate, part[0])]
                    )
    finally:
        await server.aclose()
    return {
        "model": MODEL,
        "answers": len(truth),
        "right": sum(truth),
        "agree": sum(one == many for one, many in zip(single, shared, strict=True)),
        "alone": {**alone.took, **judged(single, truth)},
        "together": {**together.took, **judged(shared, truth)},
    }


def judged(found: Sequence[bool | None], truth: Sequence[bool]) -> dict[str, int]:
    """Return how many verdicts are right, how many wrong answers were taken for right, how many could not be read."""
    return {
        "correct": sum(one == right for one, right in zip(found, truth, strict=True)),
        "wrong_accepted": sum(bool(one) and not right for one, right in zip(found, truth, strict=True)),
        "unread": sum(one is None for one in found),
    }


# The page


def rendered(figures: Mapping[str, Any]) -> str:
    """Return the part of docs/benchmarks.md for the content of docs/together.json."""
    real = f"\n{_rendered_real(figures)}" if "real" in figures else ""
    return f"# Several attempts in one call of the judge\n\n{_rendered_world(figures)}{real}"


def _rendered_world(figures: Mapping[str, Any]) -> str:
    lines = ""
    for row in figures["simulated"]:
        for name, what in (("one", "1"), ("many", str(figures["at_most"]))):
            took, agree = row[name], row["agree"]
            share = agree["alone" if name == "one" else "together"] / agree["criteria"]
            lines += (
                f"| {row['noise']:.0%} | {what} | {took['examples']} | {took['rounds']} |"
                + "".join(
                    f" {took[figure] / took['rounds']:,.1f} |"
                    for figure in ("judge_calls", "calls", "judge_tokens", "tokens")
                )
                + f" {share:.1%} |\n"
            )
    criteria = " and ".join(f"{row['agree']['criteria']:,}" for row in figures["simulated"])
    return (
        f"What `models.verifier.together` does to marks. Written by `python -m benchmarks.together` on"
        f" {figures['date']}, commit `{figures['commit']}`, {figures['machine']}.\n\n"
        f"SIMULATION: {figures['documents']} documents of domain `cs`, run with a call for each attempt and with one"
        f" for {figures['at_most']}; calls and tokens are those of a round. The last column is on how many criteria"
        f" ({criteria} of the weak solver's attempts) a single call agrees with another single call under another seed,"
        f" and with a call for {figures['at_most']}: this judge draws each finding anew, by how good the answer is, so"
        " two calls agree no better than that. It looks at each answer by itself: nothing here says how a real judge is"
        " led astray by answers that stand beside each other, only that nothing else changes.\n\n"
        "| judge errs | attempts a call | examples | rounds | judge calls | all calls | judge tokens | all tokens |"
        " agreement |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        f"{lines}"
    )


def _rendered_real(figures: Mapping[str, Any]) -> str:
    found = figures["real"]
    lines = "".join(
        f"| {what} | {row['calls']} | {row['tokens_in']:,} | {row['tokens_out']:,} | {row['correct']} of"
        f" {found['answers']} | {row['wrong_accepted']} of {found['answers'] - found['right']} | {row['unread']} |\n"
        for row, what in ((found["alone"], "one answer"), (found["together"], f"up to {MOST} answers"))
    )
    return (
        f"A REAL MODEL, and a small sample: {found['model']} on a processor, temperature 0, asked about"
        f" {found['answers']} answers whose verdicts a person gave (`benchmarks/demo_answers.tsv`), by the judge's"
        f" prompt of domain `science`. Both ways gave the same verdict on {found['agree']} of {found['answers']}.\n\n"
        "| a call marks | calls | prompt tokens | tokens written | verdicts right | wrong answers taken for right |"
        " not read |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        f"{lines}"
    )


def main(arguments: Sequence[str]) -> None:
    """Measure, and write the files; without the real model for `0`."""
    most = int(arguments[0]) if arguments else len(answers())
    figures = {
        "date": today(),
        "commit": commit_of_now(),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
        "documents": DOCUMENTS,
        "at_most": TOGETHER,
        "simulated": asyncio.run(simulated()),
        **({"real": asyncio.run(real(most))} if most else {}),
    }
    (DOCS / "together.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    write("together", rendered(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
