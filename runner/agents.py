"""The loop for agents: as a tool that a model calls, and as an agent of its own that other agents hand a chat to.

Both open what the loop needs by themselves when they are called, and answer in at most 4 KB (`runner/brief.py`).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel, Field

from autodata.checkpoints.document_queue import DocumentQueue
from autodata.checkpoints.errors import Effect, InfrastructureError, UserError, effect_of
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.records import Document
from autodata.graphs.self_instruct import steps_for
from autodata.nodes.context import Context
from autodata.runner.brief import SIMULATED_NOTE, as_text, brief, without
from autodata.runner.built import graph_of
from autodata.runner.chat_models import Model, chat_models
from autodata.runner.config import RunConfig
from autodata.runner.ingest import read_pasted
from autodata.runner.run_folder import require_openable
from autodata.runner.services import configured, open_services

Models = Mapping[str, Model]
T = TypeVar("T")

BY_PARTS = "give one part of it at a time, a chapter say, each with a title that says whose it is"
"""What an agent, or a person who talks to one, does with a text that is too long to be one document."""
NO_DOCUMENT = "messages: no human message: send the document's whole text as one"


def as_tool(
    domain: RunConfig | str = "cs",
    *,
    models: Models | None = None,
    folder: Path | str | None = None,
    name: str | None = None,
    description: str | None = None,
) -> BaseTool:
    """Return a LangChain tool that writes one accepted question over a document: for `create_agent` and the like.

    Its arguments are `document`, the whole text, and `title`. Its answer is JSON in at most 4 KB: status, why, scores,
    example; the loop's whole output is the message's `artifact`, which no model is shown. `domain`, `models` and
    `folder` are those of `open_services`, which is opened while calls are under way. Without a folder nothing is kept:
    the same document again is paid again, and a budget bounds only calls that overlap. With one, a call that is made
    again after a failure pays for what is missing.

    A document that cannot be asked about is reported to the agent as the tool's error. A failure of a model or of the
    infrastructure is raised out of the agent: it says nothing about the document. Raises UserError for a
    configuration that cannot work.
    """
    loop = _Loop(configured(domain, models or {}), models, folder)

    async def ask(document: str, title: str = "") -> tuple[str, dict[str, Any]]:
        try:
            read = loop.read(document, title, "document")
        except UserError as error:
            raise ToolException(str(error)) from None
        output, note = await loop.run(read)
        return as_text(brief(output, note=note)), output

    def ask_and_wait(document: str, title: str = "") -> tuple[str, dict[str, Any]]:
        return loop.waited(ask(document, title))

    return StructuredTool.from_function(
        func=ask_and_wait,
        coroutine=ask,
        name=name or loop.name,
        description=description or loop.purpose,
        args_schema=_Asked,
        response_format="content_and_artifact",
        handle_tool_error=True,
    )


def build_chat(
    domain: RunConfig | str = "cs",
    *,
    models: Models | None = None,
    folder: Path | str | None = None,
    name: str | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the loop as an agent that chats, compiled with a name: what `create_supervisor([graph])` takes.

    It takes `messages`, of which the last human one is the document, and adds one of its own: JSON in at most 4 KB, as
    `as_tool` answers, or what is wrong with the document. The loop's whole output stands beside it under `output`.
    Arguments, failures and errors are as in `as_tool`.
    """
    loop = _Loop(configured(domain, models or {}), models, folder)
    called = name or loop.name

    async def self_instruct(state: Mapping[str, Any]) -> dict[str, Any]:
        """Walk the last human message through the loop, and say what became of it."""
        output: dict[str, Any] | None = None
        try:
            document = loop.read(_last_said(state.get("messages") or []), "", "the last human message")
        except UserError as error:
            found = without("refused", str(error))
        else:
            output, note = await loop.run(document)
            found = brief(output, note=note)
        return {"messages": [AIMessage(as_text(found), name=called)], "output": output}

    def in_a_thread(state: Mapping[str, Any]) -> dict[str, Any]:
        return loop.waited(self_instruct(state))

    graph: StateGraph[Any, Any, Any, Any] = StateGraph(Chat, input_schema=MessagesState)
    node: Any = RunnableLambda(in_a_thread, afunc=self_instruct, name="self_instruct")
    graph.add_node("self_instruct", node)
    graph.add_edge(START, "self_instruct")
    graph.add_edge("self_instruct", END)
    return graph.compile(name=called)


class Chat(MessagesState):
    """State of a chat."""

    output: dict[str, Any] | None
    """The loop's whole output; None where the document was refused."""


class _Asked(BaseModel):
    """What an agent says when it calls the tool."""

    document: str = Field(description="The document's whole text, plain or Markdown: no summary, no path.")
    title: str = Field(default="", description="The document's title.")


def _last_said(messages: Sequence[AnyMessage]) -> str:
    """Return the text of the last human message. Raises UserError where there is none."""
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            return message.text
    raise UserError(NO_DOCUMENT)


@dataclass
class _Shared:
    """Open services of one event loop, and how many calls are using them."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    context: Context | None = None
    users: int = 0
    documents: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))


class _Loop:
    """A domain's loop with what it runs on, opened by the first call under way and closed behind the last.

    Calls side by side share services, and so one folder and one budget.
    """

    def __init__(self, config: RunConfig, models: Models | None, folder: Path | str | None) -> None:
        """Raises UserError for a configuration that cannot work: before an agent has spent anything."""
        self._models = chat_models(models or {})
        require_openable(config, self._models)
        self.config, self.domain = config, config.chosen_domain
        self._folder = folder
        # The agent's own checkpoints and step limit are no business of the loop: its journal keeps what was paid for.
        self._graph = graph_of(config).compile(checkpointer=False)
        self._steps = steps_for(config.max_rounds, self.domain.weak_attempts + self.domain.strong_attempts)
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()
        self._waiting = Lock()
        self.name = f"hard_question_{self.domain.name.replace('-', '_')}"
        self.purpose = (
            f"Write one question over a document (domain {self.domain.name}) that a strong model can answer and a weak"
            " one cannot yet, both measured. It takes minutes and many model calls: call it once a document."
        )

    def read(self, text: str, title: str, place: str) -> Document:
        """Return the document of a text. Raises UserError for one that nothing can be asked about."""
        most = None if self.domain.passage_words else self.config.max_chars
        return read_pasted(text, most, title=title, place=place, whose="configuration", instead=BY_PARTS)

    async def run(self, document: Document) -> tuple[dict[str, Any], str]:
        """Return the loop's output, and what must be noted of it. Raises as a graph's `ainvoke` and `open_services`."""
        async with self._services() as (shared, context):
            one_at_a_time = shared.documents[document.document_id]
            async with one_at_a_time:  # asked twice side by side, the second is replayed from the first's journal
                return await self._walk(context, document), self._note()

    async def _walk(self, context: Context, document: Document) -> dict[str, Any]:
        """Walk a document through the loop; one that errored before is taken up again, as a run does."""
        start = await context.take(document.text, title=document.title, name=document.name)
        limit: Any = {"recursion_limit": self._steps}
        queue = DocumentQueue(ledger) if isinstance(ledger := context.services.store, Ledger) else None
        epoch = 0 if queue is None else await queue.taken_up(document.document_id)
        try:
            return dict(await self._graph.ainvoke(start, limit, context=replace(context, epoch=epoch)))
        except InfrastructureError as error:
            if queue is not None and effect_of(error) is Effect.ERRORED:
                brief_reason = " ".join(str(error).split())[:300]
                await queue.record_failure(document.document_id, epoch, error.kind, str(error), brief_reason)
            raise

    def waited(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine comes to, for a caller that is not asynchronous: one after the other."""
        runner: Callable[[Coroutine[Any, Any, T]], T] = asyncio.run
        with self._waiting, ThreadPoolExecutor(1) as thread:  # the caller's own thread may have a loop that runs
            return thread.submit(copy_context().run, runner, coroutine).result()

    def _note(self) -> str:
        simulated = any(settings.provider == "simulated" for settings in self.config.roles().values())
        return SIMULATED_NOTE if simulated else ""

    @asynccontextmanager
    async def _services(self) -> AsyncIterator[tuple[_Shared, Context]]:
        shared = self._open.setdefault(asyncio.get_running_loop(), _Shared())
        async with shared.lock:
            if shared.context is None:
                opened = open_services(self.config, models=self._models, folder=self._folder)
                shared.context = await shared.stack.enter_async_context(opened)
            shared.users += 1
            context = shared.context
        try:
            yield shared, context
        finally:
            async with shared.lock:
                shared.users -= 1
                if not shared.users:
                    shared.context = None
                    shared.documents.clear()
                    await shared.stack.aclose()
