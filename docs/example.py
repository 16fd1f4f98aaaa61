"""The example that the README shows in full: a real one, from a run on a real model on one machine.

`python docs/example.py RUN DOCUMENT` takes it from a run folder (that of `make demo`, say) into docs/example.json;
without arguments, as in `make docs`, only the README's part is written anew from that file.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.queries.documents import documents_with_examples
from autodata.checkpoints.queries.whole import document_with_rounds
from autodata.jobs.run_ledger import ledger_of

FILE = Path(__file__).with_name("example.json")
README = Path(__file__).parents[1] / "README.md"

_PART = re.compile(r"(<!-- generated: example -->\n).*?(<!-- end -->)", re.DOTALL)


async def taken(run: Path, document: str) -> dict[str, Any]:
    """Return the accepted round of a run's document, whole. Raises UserError when there is none."""
    async with ledger_of(run) as ledger:
        for row in await documents_with_examples(ledger):
            if row["name"] == document and row["status"] == "accepted":
                whole = await document_with_rounds(ledger, row)
                return _kept(whole, whole["rounds"][-1])
    raise UserError(f"{run}: {document} was not accepted: name a document that was")


def _kept(document: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    attempts = [
        {
            "stage": attempt["stage"],
            "model": attempt["model"],
            "saw_the_source": attempt["mode"]["privileged"],
            "answer": attempt["answer"],
            "score": attempt["score"],
            "marks": [{"text": mark["text"], "met": mark["met"]} for mark in attempt["marks"]],
        }
        for attempt in last["attempts"]
    ]
    return {
        "document": document["name"],
        "title": document["title"],
        "round": last["n"],
        "passage": last["passage"],
        "candidate": last["candidate"],
        "quality": {name: value for name, value in last["quality"].items() if name != "candidate_id"},
        "attempts": attempts,
        "verdict": {name: last["verdicts"][-1][name] for name in ("preset", "decision", "checks")},
    }


def markdown(example: Mapping[str, Any]) -> str:
    """Return the example for people: what was asked, how attempts were marked, what code decided."""
    candidate, verdict = example["candidate"], example["verdict"]
    models = " and ".join(dict.fromkeys(attempt["model"] for attempt in example["attempts"]))
    rubric = list(dict.fromkeys(mark["text"] for attempt in example["attempts"] for mark in attempt["marks"]))
    rows = [
        f"| {attempt['stage']}{', with the passage' if attempt['saw_the_source'] else ''}"
        f" | {_cell(attempt['answer'])} | {attempt['score']} |"
        for attempt in example["attempts"]
    ]
    checks = "; ".join(f"{check['name']} {check['value']}, needed {check['bound']}" for check in verdict["checks"])
    return "\n".join(
        (
            f"From `{example['document']}`, round {example['round']}, every role played by {models}:",
            "",
            f"> {_cell(example['passage'])}",
            "",
            f"**Question**: {_cell(candidate['question'])}  ",
            f"**Reference answer**: {_cell(candidate['reference_answer'])}  ",
            f"**Rubric**: {_cell('; '.join(rubric))}  ",
            f"**Quality check**: {'passed' if example['quality']['passed'] else 'failed'}."
            f" {_cell(example['quality']['reason'])}",
            "",
            "| attempt | answer | score |",
            "| --- | --- | --- |",
            *rows,
            "",
            f"**Verdict** (`{verdict['preset']}`): {verdict['decision']}. {checks[:1].upper()}{checks[1:]}.",
        )
    )


def _cell(text: str) -> str:
    """Return a text on one line, with nothing that Markdown would act on."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", " ".join(text.split()))


def rendered(page: str, example: Mapping[str, Any]) -> str:
    """Return a page with the example in its place."""
    return _PART.sub(lambda match: f"{match[1]}\n{markdown(example)}\n\n{match[2]}", page)


def main(arguments: list[str]) -> None:
    """Take an example where one is named, and write the README's part."""
    if arguments:
        run, document = arguments
        example = asyncio.run(taken(Path(run), document))
        FILE.write_text(json.dumps(example, indent=1) + "\n", "utf-8")
    example = json.loads(FILE.read_text("utf-8"))
    README.write_text(rendered(README.read_text("utf-8"), example), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
