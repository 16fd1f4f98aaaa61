"""Where a builder draws its nodes and edges: a graph of its own, or one that has nodes before and behind them.

A builder is the one place that knows a loop's nodes and edges. A server gives it a frame, and so serves what it draws.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from langgraph.graph import END, START, StateGraph


@dataclass(frozen=True)
class Frame:
    """A graph that a builder draws into. A subclass may put something around each node, for instance its context."""

    graph: StateGraph[Any, Any, Any, Any]
    start: str = START
    """What leads to the builder's first node."""
    end: str = END
    """What stands in place of the builder's end."""

    def add_node(self, name: str, node: Callable[..., Any]) -> None:
        """Draw a node. Builders write out each name: checkpoints hold it, and no renamed function may change it."""
        self.graph.add_node(name, node)

    def add_edge(self, source: str, target: str) -> None:
        """Draw an edge; START and END are those of the frame."""
        self.graph.add_edge(self.start if source == START else source, self._end(target))

    def add_conditional_edges(
        self, source: str, path: Callable[..., Hashable], ways: Mapping[Hashable, str] | Iterable[str]
    ) -> None:
        """Draw the edges that a router chooses from: by its answer, or named as its answers are."""
        by_answer = ways if isinstance(ways, Mapping) else {name: name for name in ways}
        self.graph.add_conditional_edges(source, path, {key: self._end(name) for key, name in by_answer.items()})

    def _end(self, target: str) -> str:
        return self.end if target == END else target
