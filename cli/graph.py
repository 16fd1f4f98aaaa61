"""`autodata graph`: the graph that a run walks, as mermaid text."""

from __future__ import annotations

from typing import Annotated

import typer

from autodata.graphs.self_instruct import build_self_instruct
from autodata.nodes.domain import find_domain


def graph(
    domain: Annotated[str, typer.Option(help="The domain whose graph to draw: a name, or a folder.")] = "cs",
) -> None:
    """Print the graph of a domain as mermaid text, for a Markdown file or a mermaid viewer.

    Example: autodata graph --domain cs > graph.mmd
    """
    typer.echo(build_self_instruct(find_domain(domain)).compile().get_graph().draw_mermaid())
