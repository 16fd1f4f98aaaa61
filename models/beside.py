"""Text that stands beside an empty content, in the field where servers put what a model thought."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Final

from langchain_core.messages import AIMessage
from pydantic import BaseModel

from autodata.models.scan import Unusable
from autodata.models.structured import parse_reply
from autodata.models.texts import clean

REASONING: Final = ("reasoning_content", "reasoning")
"""Its names: DeepSeek, SGLang, llama.cpp and vLLM say the first, OpenRouter and newer versions of vLLM the second."""


def only_beside(message: AIMessage) -> str:
    """Return the name of the field that holds the text of a message without content; empty where none does."""
    reported = message.additional_kwargs
    if str(message.text).strip():
        return ""
    return next((name for name in REASONING if isinstance(reported.get(name), str) and reported[name].strip()), "")


def whole_value(message: AIMessage, name: str, schema: type[BaseModel]) -> str:
    """Return the text of that field where it is one JSON value of a schema, and nothing else; empty for any other."""
    text = clean(message.additional_kwargs[name]).strip() if name else ""
    if not (text.startswith("{") and text.endswith("}")):
        return ""
    with suppress(ValueError, RecursionError, Unusable):
        json.loads(text)
        parse_reply(text, schema)
        return text
    return ""
