"""What a node does, on the canvas: the first sentence of its docstring."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from langgraph.graph import StateGraph


def add_described(graph: StateGraph[Any, Any, Any, Any], name: str, node: Callable[..., Any]) -> None:
    """Add a node with the first sentence of its docstring as its description on the canvas."""
    description = (inspect.getdoc(node) or "").split("\n\n")[0].replace("\n", " ")
    graph.add_node(name, node, metadata={"description": description})
