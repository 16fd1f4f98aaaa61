"""`autodata analyse`: what a run's accepted examples are like as data, before anybody trains on them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.vectors import kept_vectors
from autodata.cli.terminal import AsJson, RunArgument, console, print_json
from autodata.corpus.analysis import Embedded, analysed
from autodata.corpus.exporters.rows import read_rows
from autodata.jobs.printable import printable
from autodata.jobs.run_ledger import ledger_of

if TYPE_CHECKING:
    from autodata.jobs.embeddings import Asked

Line = tuple[str, str, str]


def analyse(
    run: RunArgument,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", help="Benchmarks, text or JSON Lines, that no example may stand in."),
    ] = None,
    embeddings: Annotated[
        str | None,
        typer.Option(
            "--embeddings",
            help="Embedding model that questions are sent to: one of --embeddings-url, or a GGUF file run here.",
            show_default="none: nothing is sent",
        ),
    ] = None,
    embeddings_url: Annotated[
        str | None, typer.Option("--embeddings-url", help="Its OpenAI-compatible address, ending in /v1 as a rule.")
    ] = None,
    embeddings_key_env: Annotated[
        str | None, typer.Option("--embeddings-key-env", help="The variable that holds its key.")
    ] = None,
    embeddings_price: Annotated[
        float | None, typer.Option("--embeddings-price", min=0, help="US dollars for a million of its tokens.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Tokens that vectors of this run may take in all.")
    ] = None,
    max_usd: Annotated[
        float | None, typer.Option("--max-usd", min=1e-6, help="US dollars that vectors of this run may cost in all.")
    ] = None,
    similar: Annotated[
        float, typer.Option("--similar", min=-1, max=1, help="Cosine from which questions are semantic duplicates.")
    ] = 0.9,
    as_json: AsJson = False,
) -> None:
    """Say what the accepted examples are like: doubles, coverage, rubrics, learnability, contamination.

    Example: autodata analyse runs/first
    """
    benchmarks = {str(path): list(texts_of(path)) for path in against} if against else None
    asked = None
    if embeddings is not None:
        from autodata.jobs.embeddings import asked_model
        from autodata.models.config import BudgetConfig

        budget = BudgetConfig(max_tokens=max_tokens, max_usd=max_usd)
        asked = asked_model(
            embeddings, embeddings_url, key_env=embeddings_key_env, price=embeddings_price, budget=budget
        )
    elif embeddings_url or embeddings_key_env or embeddings_price is not None or max_tokens or max_usd is not None:
        raise UserError("--embeddings is needed, the model's name: without it nothing is sent")
    found = asyncio.run(_read(run, benchmarks, asked, similar))
    if as_json:
        print_json(found)
        return
    table = Table("", "", "what to look at", box=None, pad_edge=False)
    for line in _lines(found):
        table.add_row(*map(printable, line))
    console().print(table)


async def _read(
    run: Path, benchmarks: Mapping[str, list[str]] | None, asked: Asked | None, similar: float
) -> dict[str, Any]:
    async with ledger_of(run) as ledger:
        questions = [row["question"] for row in await read_rows(ledger)]
        embedded = await _embedded(run, questions, asked)
        return await analysed(ledger, benchmarks, embedded, similar)


async def _embedded(run: Path, questions: list[str], asked: Asked | None) -> Embedded | None:
    """Return vectors of the questions: from the model that was named, else those kept from before, if there are any."""
    if asked is None:
        kept = kept_vectors(run, questions)
        return kept and Embedded(*kept)
    if not questions:
        return None
    from autodata.jobs.embeddings import vectors_of

    found = await vectors_of(run, questions, asked, lambda line: typer.echo(line, err=True))
    spent = found.spent
    took = f"vectors of this run took {spent.requests:,} requests, {spent.charged:,} tokens"
    typer.echo(took + ("" if spent.usd is None else f", ${spent.usd:.4f}"), err=True)
    return Embedded(found.name, found.vectors)


def texts_of(path: Path) -> Iterator[str]:
    """Yield the texts of a benchmark: every string of each JSON line, or the file as it stands. Raises UserError."""
    try:
        text = path.read_text("utf-8-sig", errors="replace")
    except OSError as error:
        raise UserError(f"--against {path}: cannot be read: {error.strerror}") from error
    if path.suffix not in {".jsonl", ".ndjson"}:
        yield text
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield from _strings(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise UserError(f"--against {path}: line {number} is no JSON: mend it, or name it .txt") from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _lines(found: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the analysis as people read it: a name, a figure, and what stands out."""
    yield "examples", f"{found['examples']:,}", ""
    for name, group in found["doubles"].items():
        if group is None:
            yield f"{name} duplicates", "-", "not looked for: --embeddings MODEL --embeddings-url URL, or a GGUF file"
            continue
        yield (
            f"{name} duplicates",
            f"{group['beyond_first']:,}{_of(group.get('nearest'), ', nearest ')}",
            "; ".join(" = ".join(ids) for ids in group["groups"][:3]),
        )
    for name in ("skills", "types", "documents", "clusters"):
        part = found["coverage"][name]
        few = ("; " if name == "clusters" else ", ").join(part["under_covered"][:5])
        shown = f"{name} by {part['by']}" if "by" in part else name
        yield shown, f"{part['distinct']:,}{_of(part['even'], ', evenness ')}", f"under-covered: {few}" if few else ""
    without = found["coverage"]["documents_without"]
    yield "documents without", f"{len(without):,}", ", ".join(without[:5])
    yield "criteria", f"{found['rubrics']['criteria']:,}", ""
    for name, part in found["rubrics"].items():
        if isinstance(part, dict):
            first = part["shown"][0]["criterion"] if part["shown"] else ""
            yield f"  {name.replace('_', ' ')}", f"{part['count']:,}{_percent(part['share'])}", first[:70]
    for one in found["learnability"]:
        figures = f"p(1-p) {one['p_one_minus_p']:.3f}, std {one['std']:.3f}"
        yield f"{one['domain']}, {one['solver']} solver", f"{one['vary']:.0%} vary", figures
    tied = found["tied_to_numbers"]
    yield "tied to numbers", f"{len(tied['examples']):,}{_percent(tied['share'])}", "; ".join(tied["examples"][:3])
    if found["contamination"] is not None:
        shown = "; ".join(f"{one['example']} in {one['where']}" for one in found["contamination"][:3])
        yield "contaminated", f"{len(found['contamination']):,}", shown


def _of(value: float | None, before: str) -> str:
    return "" if value is None else f"{before}{value:.2f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f" ({share:.0%})"
