"""`autodata demo`: the main job on the shipped documents, with no key and no server."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from autodata.checkpoints.texts import json_text
from autodata.cli.figures import example_card, examples_table, summary_table
from autodata.cli.run import closing_lines, execute
from autodata.cli.terminal import console
from autodata.examples import documents_folder

LOCAL = """
domain = "facts"
max_rounds = 5
target = 3
concurrency = 1

[local]
n_parallel = 3

[budget]
max_seconds = 300.0

[models.default]
provider = "local"
model = "qwen2.5-coder-1.5b"
extra_body = { id_slot = 0 }

[models.weak_solver]
extra_body = { id_slot = 1 }

[models.verifier]
extra_body = { id_slot = 2 }
"""
"""One small real model in every role: the strong solver sees the passage, the weak one does not.

Most of the time goes into reading prompts, which a few processors do no faster side by side: so there is one document
at a time, and calls whose prompts begin alike go one after the other to one slot of the server, which has read that
beginning already. All who are shown the passage share slot 0.
"""

SIMULATED = """
domain = "cs"

[models.default]
provider = "simulated"
model = "judge"

[models.weak_solver]
model = "weak"

[models.strong_solver]
model = "strong"
"""
"""The computer science domain on simulated models."""

LOCAL_NOTE = "Making up to 3 examples with a real model of 1.5B parameters on this machine, for at most 5 minutes."
HONEST = (
    "What this shows: the whole loop on a real model. What it does not: good data. A challenger of 1.5B parameters asks"
    " for plain facts and sometimes gets them wrong; use a large challenger and judge for a data set you train on."
)
SIMULATED_NOTE = (
    "SIMULATED MODELS: no language model is called; all texts are placeholders of a small statistical world."
)


class Models(StrEnum):
    """Who plays the roles."""

    LOCAL = "local"
    SIMULATED = "simulated"


def demo(
    models: Annotated[Models, typer.Option(help="local: a real model, fetched once; simulated: none, in seconds.")] = (
        Models.LOCAL
    ),
    weak_model: Annotated[str, typer.Option(help="Another local model, or a GGUF file, as the weak solver.")] = "",
    out: Annotated[Path | None, typer.Option(help="The run's folder.", show_default="demo-run[-simulated]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the final status as one JSON object.")] = False,
) -> None:
    """Make a few examples from the shipped documents, with no key and no server.

    Example: autodata demo --models simulated
    """
    from autodata.jobs.progress import duration
    from autodata.runner.config import read_config

    output, errors = console(), console(stderr=True)
    simulated = models is Models.SIMULATED
    (errors if as_json else output).print(
        SIMULATED_NOTE if simulated else LOCAL_NOTE, style="bold", soft_wrap=True, highlight=False
    )
    folder = out or Path("demo-run-simulated" if simulated else "demo-run")
    flags = {"models.weak_solver": {"model": weak_model}} if weak_model else {}
    config = read_config(SIMULATED if simulated else LOCAL, "demo", flags)
    started = time.monotonic()
    session = execute(config, [documents_folder()], folder, errors)
    took = duration(time.monotonic() - started)
    if as_json:
        typer.echo(json_text(session.summary, ascii_only=True))
        raise typer.Exit(session.exit_code)
    output.print(summary_table(session.summary))
    if session.examples:
        output.print(examples_table(session.examples))
        output.print(example_card(session.examples[0]))
    output.print(f"Time of this session: {took}.", highlight=False)
    if not simulated:
        output.print(HONEST, soft_wrap=True, highlight=False)
    for line in closing_lines(session, folder):
        errors.print(line, soft_wrap=True)
    errors.print(
        "your own: autodata init   then   autodata run --documents PATH --out runs/first"
        f"   (once more from the start: autodata demo --models {models.value} --out another-folder)",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    raise typer.Exit(session.exit_code)
