"""`autodata prune`: a finished run's folder without what it no longer needs."""

from __future__ import annotations

import asyncio

import typer

from autodata.cli.terminal import RunArgument


def prune(run: RunArgument) -> None:
    """Make a run's folder smaller: drop checkpoints of documents that have ended, and give free space back.

    Examples, calls, replies and figures stay, and the same `autodata run` command still goes on. What goes is the way
    back to single rounds: 'autodata fork' needs their checkpoints.

    Example: autodata prune runs/first
    """
    from autodata.jobs.prune import prune_run

    pruned = asyncio.run(prune_run(run))
    before, after = pruned.before / 2**20, pruned.after / 2**20
    typer.echo(f"pruned {pruned.documents:,} documents: {before:,.1f} MiB before, {after:,.1f} MiB now")
