"""A compiled graph as a server runs it: what comes in is checked before anything else happens.

LangGraph drops unknown keys of an input in silence, and ends a run with an error when an answer is null or does not say
which of several questions it is about. Here the first is refused in one line, and the questions are asked again.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command
from pydantic import BaseModel, ValidationError

from autodata.checkpoints.errors import UserError
from autodata.nodes.human_review import NOT_AN_OBJECT, UNBOUND
from autodata.serving.errors import in_server_errors

SEVERAL = "several questions are open: give each answer under the id of its interrupt"
_ID = re.compile(r"[0-9a-f]{32}")


def compile_served(builder: StateGraph[Any, Any, Any, Any], **options: Any) -> ServedGraph:
    """Compile a graph for a server. `options` are those of `StateGraph.compile`."""
    return ServedGraph(**builder.compile(**options).__dict__)


class ServedGraph(CompiledStateGraph[Any, Any, Any, Any]):
    """A compiled graph that checks inputs and answers."""

    async def astream(
        self,
        input: Any,  # noqa: A002 - its name in LangGraph
        config: Any = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        """Stream as LangGraph does. Raises Refused for an input that the graph does not take."""
        given = input
        with in_server_errors():
            if isinstance(given, Command):
                given = await self._answering(given, config)
            elif given is not None:
                require_input(self.builder.input_schema, given)
        async with aclosing(super().astream(given, config, **options)) as stream:  # type: ignore[type-var]
            async for part in stream:
                yield part

    async def _answering(self, command: Command[Any], config: Any) -> Command[Any]:
        """Return a command whose answer belongs to questions that are open, so that none of them is lost."""
        given = command.resume
        if command.update or command.goto:
            return command
        by_id = isinstance(given, dict) and bool(given) and all(_ID.fullmatch(str(key)) for key in given)
        if by_id or config is None:
            return command
        open_now = [one.id for one in (await self.aget_state(config)).interrupts]
        if given is not None and len(open_now) == 1:
            return command
        wrong = NOT_AN_OBJECT if given is None else SEVERAL
        return Command(resume={identity: {UNBOUND: wrong} for identity in open_now})


def require_input(schema: Any, given: Any) -> None:
    """Raise UserError, which repeats no value, for an input that a graph does not take."""
    if not (isinstance(schema, type) and issubclass(schema, BaseModel)):
        return
    try:
        schema.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise UserError(f"input{_place(first['loc'])}: {_wrong(first, schema)}") from None


def _wrong(first: Mapping[str, Any], schema: type[BaseModel]) -> str:
    if first["type"] == "extra_forbidden":
        return f"unknown key: this graph takes {', '.join(schema.model_fields)}; a document has text, title and name"
    if first["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        return "a JSON object is needed"
    return str(first["msg"])


def _place(loc: tuple[int | str, ...]) -> str:
    """Return where a problem is. What looks like no name of a field was made up by the caller, and is not repeated."""
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" if re.fullmatch(r"[a-z_]{1,40}", part) else ".?"
        for part in loc
    )
