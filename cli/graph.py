"""`autodata graph`: the graph that a run walks, as mermaid text or as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autodata.checkpoints.errors import UserError
from autodata.cli import values


def graph(
    domain: Annotated[
        str | None,
        typer.Option(
            help="The domain whose graph to draw: a name, or a folder.",
            show_default="cs",
            autocompletion=values.domains,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--graph", help="A graph that a server serves, by its name.", autocompletion=values.served_graphs),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write FILE.svg, FILE.png or FILE.mmd.")] = None,
) -> None:
    """Print the graph of a domain, or of a server, as mermaid text; or draw it into a file. Nothing is sent anywhere.

    Example: autodata graph --domain cs --out graph.svg
    """
    if domain and name:
        raise UserError("--domain and --graph: give one of the two")
    if name:
        from autodata.serving.exports import EXPORTS, compiled

        if name not in EXPORTS:
            raise UserError(f"--graph {name}: no such graph: use one of {', '.join(EXPORTS)}")
        drawn = compiled(name).get_graph()
    else:
        from autodata.domains.loader import find_domain
        from autodata.graphs.self_instruct import build_self_instruct

        drawn = build_self_instruct(find_domain(domain or "cs")).compile().get_graph()
    if out is None:
        typer.echo(drawn.draw_mermaid())
        return
    from autodata.cli.draw import draw

    draw(drawn, out)
