"""Hostile input by seed, and what came out: `make fuzz` writes counts and outcomes into docs/reliability.md.

Each target makes its inputs from good ones by the same few mutations (bytes flipped, cut, doubled, swapped, spliced
with hostile pieces), so that one of a seed can be made again: `python -m benchmarks.fuzzing --only replies --seed 7`.
An input may be taken, or refused by an error of the package's own tree; anything else that comes out is a finding, and
so is one that takes more than `SECONDS` of processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import logging
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from autodata.checkpoints.errors import AutodataError
from autodata.checkpoints.ids import document_id
from autodata.checkpoints.queries.usage import usage_by_role
from autodata.checkpoints.records import Document
from autodata.corpus.documents import fit, read_documents
from autodata.corpus.loaders.registry import FORMATS
from autodata.corpus.summary import summarise
from autodata.domains.domain import CS
from autodata.domains.tasks.schemas import ReferenceVerdict, RubricCandidate, RubricMarks, SupportReview
from autodata.jobs.run_ledger import ledger_of
from autodata.models.scan import Unusable
from autodata.models.structured import parse_reply
from autodata.nodes.state import new_state
from autodata.nodes.state_check import readable
from autodata.runner.config import read_config
from benchmarks.reliability import DOCS, write
from tests.support import pinned
from tests.unit import test_loaders, test_pdf

FIGURES = DOCS / "fuzzing.json"
SECONDS = 10
"""Processor time that no input may take."""
SEED = 16
COUNTS: Mapping[str, int] = {"replies": 5000, "configuration": 2000, "documents": 2400, "states": 2000, "ledgers": 400}
"""How many inputs of each target are tried."""
NAMED = (AutodataError, Unusable)
"""What may come out."""
PIECES = (
    *(b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b"{" * 200, b"[" * 2000, b'"' * 99, b"\\" * 99, b"9" * 400),
    *(
        b"1e999",
        b"NaN",
        b"-0",
        b"null",
        b"<think>",
        b"</think>",
        b"```json\n",
        b"<!--",
        b"&#0;",
        b"%00",
        b"\r",
        b"\x1a",
    ),
    *("\u202e\u200b\ufeff\u2028".encode(), b"[[a]]\n", b"a.b.c = 1\n", b"'''", b"PK\x03\x04", b"%PDF-", b"\x1f\x8b"),
)


class TookLong(Exception):
    """An input took longer than any may."""


@dataclass
class Found:
    """What became of a target's inputs."""

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return data changed in one to eight places."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(len(out) + 1)
        end = min(len(out), at + rng.choice((1, 2, 8, 64, 512)))
        kind = rng.randrange(6)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del out[at:end]
        elif kind == 2:
            out[at:at] = out[at:end] * rng.choice((1, 2, 50))
        elif kind == 3:
            out[at:at] = rng.choice(PIECES)
        elif kind == 4:
            out[at:end] = rng.randbytes(end - at)
        else:
            del out[at:]
    return bytes(out)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass" if b"\xed" in data else "replace")


_CANDIDATE: dict[str, Any] = {
    **{"question_type": "analysis", "skills": ["a", "b"], "context": "c" * 100, "question": "Why \\frac{1}{2}?"},
    **{"reference_answer": "Because.", "rubric": [{"criterion": f"c{k}", "weight": k - 4 or 1} for k in range(12)]},
}
_REPLIES: list[tuple[type[Any], str]] = [
    (RubricCandidate, json.dumps(_CANDIDATE)),
    (RubricMarks, json.dumps({"marks": [{"number": k, "reason": "r", "met": True} for k in range(1, 5)]})),
    (SupportReview, 'Let me see.\n```json\n{"reason": "says \\"so\\"", "supported": true}\n```'),
    (ReferenceVerdict, '<think>{"correct": true}</think> {"correct": false}'),
]


def replies(rng: random.Random, scratch: Path) -> str:
    """Read a reply against a schema."""
    schema, text = rng.choice(_REPLIES)
    broken = mutated(text.encode(), rng)
    parse_reply(broken.decode("utf-8", "replace"), schema, finish_reason=rng.choice(("stop", "length", None)))
    return "read"


_CONFIGURATION: dict[str, Any] = {
    **{"domain": "cs", "seed": 1, "max_rounds": 5, "acceptance": {"weak_mean": "< 0.60", "gap": ">= 0.20"}},
    "models": {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}},
    **{
        "budget": {"max_usd": 5.0, "max_calls": 100},
        "retries": {"max_attempts": 3},
        "documents": {"text_field": "text"},
    },
    **{"lessons": {"enabled": True}, "checkpoints": {"keep": "rounds"}, "tracing": {"local": True}},
}
_VALUES: list[Any] = [
    None,
    True,
    -1,
    2**70,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "\x00",
    "a" * 5000,
    [],
    [[]],
    {},
    {"a": {}},
]


def configuration(rng: random.Random, scratch: Path) -> str:
    """Read a configuration: its text mutated, or a value of it exchanged."""
    values = json.loads(json.dumps(_CONFIGURATION))
    if rng.random() < 0.5:
        _exchange(values, rng, [one for one in _VALUES if one is not None])
    text = tomli_w.dumps(values)
    if rng.random() < 0.6:
        text = mutated(text.encode(), rng).decode("utf-8", "replace")
    read_config(text, "fuzz.toml")
    return "read"


def _exchange(values: Any, rng: random.Random, by: list[Any]) -> None:
    """Exchange a value somewhere in nested ones, or add one under a new key."""
    place = values
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = rng.choice(keys) if keys else "a"
        below = place[key] if keys else None
        if isinstance(below, dict | list) and below and rng.random() < 0.7:
            place = below
            continue
        if isinstance(place, dict):
            place[key if rng.random() < 0.9 else "extra"] = copy.deepcopy(rng.choice(by))
        elif place:
            place[key] = copy.deepcopy(rng.choice(by))
        return


def _samples(folder: Path) -> dict[str, bytes]:
    """Return a good file of every format, by its suffix."""
    text = "# A title\n\nThe mast was raised in 1931, of oak. It stood on a foot of 12 metres.\n\n## More\n\nIt fell.\n"
    found = {suffix: text.encode() for suffix in FORMATS}
    found["html"] = found["htm"] = (
        b"<html><title>T</title><body><h1>A</h1><table><tr><td>1</td></tr></table></body></html>"
    )
    found["tex"] = rb"\documentclass{a}\title{T}\begin{document}\section{One}The mast $x^2$.\end{document}"
    found["csv"], found["tsv"] = b'id,text\n1,"Of oak, ""raised"""\n', b"id\ttext\n1\tOf oak\n"
    found["json"], found["jsonl"] = b'[{"text": "Of oak", "id": "a"}]', b'{"text": "Of oak"}\n{"text": "Of ash"}\n'
    found["ndjson"] = found["jsonl"]
    found["ipynb"] = test_loaders.notebook({"cell_type": "markdown", "source": "Of oak"}).encode()
    found["docx"] = test_loaders.write_docx(folder / "a.docx").read_bytes()
    found["pptx"] = test_loaders.write_pptx(folder / "a.pptx").read_bytes()
    found["parquet"] = test_loaders.write_rows(folder, "parquet").read_bytes()
    found["pdf"] = test_pdf.write(folder / "a.pdf", test_pdf.page(1, *test_pdf.LINES)).read_bytes()
    return found


_FILES: dict[str, bytes] = {}


def documents(rng: random.Random, scratch: Path) -> str:
    """Read a file of some format, and cut what was read to a size."""
    if not _FILES:
        _FILES.update(_samples(scratch))
    suffix = rng.choice(sorted(_FILES))
    path = scratch / f"hostile.{suffix}"
    path.write_bytes(mutated(_FILES[suffix], rng))
    found = list(read_documents([path]))
    for one in found:
        if isinstance(one, Document):
            fit(one, 50, "cut")
    return "read" if any(isinstance(one, Document) for one in found) else "skipped with a reason"


_STATES: list[Any] = [None, True, -1, 2**62, 1.5, "", "text", "\ud800", [], [None], [{}], {}, {"text": None}, [[]] * 9]


def states(rng: random.Random, scratch: Path) -> str:
    """Read a state as a node does, a value of it exchanged."""
    text = "The mast was raised in 1931."
    document = Document(document_id=document_id(text), name="a", title="t", text=text)
    state = json.loads(
        json.dumps({**new_state(document), "candidate": _CANDIDATE, "n": 1, "rounds": [], "attempts": []})
    )
    for _ in range(rng.choice((1, 1, 3))):
        _exchange(state, rng, _STATES)
    read = readable(state)
    try:
        CS.scorer.candidate(read["candidate"] or {})
    except ValueError:
        return "candidate refused"
    return "read"


_LEDGERS: dict[str, Path] = {}


def ledgers(rng: random.Random, scratch: Path) -> str:
    """Read the run.db of some version, bytes of it changed."""
    if not _LEDGERS:
        for name in sorted(one.name for one in pinned.FOLDER.iterdir() if one.is_dir()):
            _LEDGERS[name] = pinned.unpack(name, scratch / name)
    run = scratch / "run"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir()
    source = _LEDGERS[rng.choice(sorted(_LEDGERS))]
    data = bytearray((source / "run.db").read_bytes())
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        at = rng.randrange(*rng.choice(((0, 100), (100, 8192), *[(8192, len(data))] * 4)))
        data[at : at + rng.choice((1, 16))] = rng.randbytes(rng.choice((1, 16)))
    if rng.random() < 0.1:
        del data[rng.randrange(len(data)) :]
    (run / "run.db").write_bytes(bytes(data))
    asyncio.run(_look(run))
    return "read"


async def _look(run: Path) -> None:
    async with ledger_of(run) as ledger:
        await summarise(ledger)
        await usage_by_role(ledger)


TARGETS: Mapping[str, Callable[[random.Random, Path], str]] = {
    "replies": replies,
    "configuration": configuration,
    "documents": documents,
    "states": states,
    "ledgers": ledgers,
}


@contextmanager
def bounded() -> Iterator[None]:
    """Raise TookLong in what takes too much processor time."""

    def stop(*_: object) -> None:
        raise TookLong

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def tried(name: str, count: int, seed: int = SEED) -> Found:
    """Try inputs of a target; return what became of them."""
    found = Found()
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)  # of what readers of broken files say
        for number in range(count):
            rng = random.Random(f"{seed}/{name}/{number}")
            try:
                with bounded():
                    outcome = TARGETS[name](rng, Path(scratch))
            except NAMED as error:
                outcome = type(error).__name__
                if "\n" in str(error).strip() and not isinstance(error, Unusable):
                    found.findings.append(f"{name} {number}: more than one line: {str(error)[:200]!r}")
            except Exception as error:  # noqa: BLE001 - whatever else comes out is what is looked for
                outcome = "other"
                found.findings.append(f"{name} {number}: {type(error).__name__}: {str(error)[:200]!r}")
            found.outcomes[outcome] += 1
    return found


def table(figures: Mapping[str, Any]) -> str:
    """Return the part of the page."""
    rows = [
        f"| {name} | {sum(one['outcomes'].values()):,} | "
        + ", ".join(f"{what} {count:,}" for what, count in sorted(one["outcomes"].items()))
        + f" | {len(one['findings'])} |\n"
        for name, one in figures["targets"].items()
    ]
    total = sum(sum(one["outcomes"].values()) for one in figures["targets"].values())
    return (
        f"{total:,} inputs by seed {figures['seed']}:\n\n"
        f"| input | tried | what became of them | anything else |\n|---|---|---|---|\n{''.join(rows)}"
    )


def main() -> None:
    """Try all targets, or `--only` one, and write figures and page; with `--share` a part, and say by the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=sorted(TARGETS))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--share", type=float, default=1.0)
    chosen = parser.parse_args()
    figures: dict[str, Any] = {"seed": chosen.seed, "targets": {}}
    for name, count in COUNTS.items():
        if chosen.only not in {None, name}:
            continue
        began = time.monotonic()
        found = tried(name, max(1, round(count * chosen.share)), chosen.seed)
        figures["targets"][name] = {"outcomes": dict(found.outcomes), "findings": found.findings}
        print(
            f"{name}: {dict(found.outcomes)}, {time.monotonic() - began:.0f} s",
            *found.findings[:20],
            sep="\n  ",
            flush=True,
        )
    if chosen.share == 1 and chosen.seed == SEED:
        known = json.loads(FIGURES.read_text("utf-8"))["targets"] if chosen.only else {}
        figures["targets"] = {name: figures["targets"].get(name) or known[name] for name in COUNTS}
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
        write("fuzzing", table(figures))
    sys.exit(any(one["findings"] for one in figures["targets"].values()))


if __name__ == "__main__":
    main()
