"""LangChain's chat models of OpenAI-compatible servers, with more of each reply.

Imported where they are needed: they and OpenAI's library take a third of a second of processor time to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import openai
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI

from autodata.models.beside import REASONING
from autodata.models.direct import Direct, having_received


class _Whole:
    """Keeps what LangChain leaves out of a reply.

    A gateway's words beside a choice that it could not finish, `"error": {"message": ...}`, and the text of reasoning,
    which may be all that was written.
    """

    def _create_chat_result(
        self, response: dict[str, Any] | openai.BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        result: ChatResult = super()._create_chat_result(response, generation_info)  # type: ignore[misc]
        body = response if isinstance(response, dict) else response.model_dump(warnings=False)
        for choice, generation in zip(body.get("choices") or [], result.generations, strict=False):
            if error := choice.get("error"):
                generation.generation_info = {**(generation.generation_info or {}), "error": error}
            _keep_reasoning(generation.message, choice.get("message"))
        return result

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        made: ChatGenerationChunk | None = super()._convert_chunk_to_generation_chunk(  # type: ignore[misc]
            chunk, default_chunk_class, base_generation_info
        )
        if made is not None and (choices := chunk.get("choices")):
            _keep_reasoning(made.message, choices[0].get("delta"))
        return made


class AzureChat(_Whole, Direct, AzureChatOpenAI):
    """A deployment of Azure OpenAI."""


class StockChat(_Whole, ChatOpenAI):
    """A model of an OpenAI-compatible server, with every request sent by OpenAI's library."""

    async def read_answer(self, answer: Any, *args: Any, **kwargs: Any) -> ChatResult:
        """Return what the library makes of an answer that came already. Raises as the library does."""
        return await having_received(self, answer)._agenerate(*args, **kwargs)  # type: ignore[no-any-return]


class StockAzureChat(_Whole, AzureChatOpenAI):
    """The same, with every request sent by OpenAI's library."""


def _keep_reasoning(message: BaseMessage, reported: Any) -> None:
    for name in REASONING:
        if isinstance(reported, Mapping) and isinstance(text := reported.get(name), str):
            message.additional_kwargs[name] = text


def library_chat(*, direct: bool, azure: Mapping[str, Any] | None, **arguments: Any) -> BaseChatOpenAI:
    """Return a model of LangChain's; at Azure, with these arguments besides, `direct` requests go below the library."""
    if azure is None:
        return StockChat(**arguments)
    return (AzureChat if direct else StockAzureChat)(**azure, **arguments)
