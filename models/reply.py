"""One completed reply: what a provider's message says, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from langchain_core.messages import AIMessage
from pydantic import BaseModel

from autodata.checkpoints.usage import Usage
from autodata.models.beside import only_beside, whole_value
from autodata.models.budget import reported_details, reported_usage
from autodata.models.coerce import ReplyModel
from autodata.models.endings import ANSWERS, Ending, ending_of, explained, reason_with
from autodata.models.reasoning import strip_reasoning
from autodata.models.role_model import RoleModel
from autodata.models.scan import Unusable
from autodata.models.structured import parse_reply
from autodata.models.texts import clean

M = TypeVar("M", bound=BaseModel)
Messages = list[dict[str, str]]
PLAIN: Messages = [{"role": "user", "content": ""}]
"""The turns of a request without a system text."""


@dataclass(frozen=True)
class Reply:
    """One completed call."""

    text: str
    finish_reason: str
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None
    replayed: bool = False
    tokens_cached: int | None = None
    tokens_reasoning: int | None = None
    beside: str = ""
    """The name of the field beside the content in which all of the text stood that is no answer; empty as a rule."""

    @property
    def usage(self) -> Usage:
        """What it took, as one call."""
        cache_known_in = None if self.tokens_cached is None else self.tokens_in
        return Usage(
            self.tokens_in,
            self.tokens_out,
            self.cost_usd,
            1,
            self.tokens_cached,
            self.tokens_reasoning,
            cache_known_in,
        )

    @property
    def ending(self) -> Ending:
        """How it ended; only `whole` and `cut` ones are answers."""
        return ending_of(self.finish_reason)

    @property
    def truncated(self) -> bool:
        """Whether a limit of tokens or context cut it off."""
        return self.ending == "cut"

    @cached_property
    def answer(self) -> str:
        """The text without reasoning."""
        return strip_reasoning(clean(self.text))

    def read(self, schema: type[M]) -> M:
        """Return the answer as a value of `schema`. Raises Unusable."""
        return parse_reply(self.text, schema, finish_reason="length" if self.truncated else self.finish_reason)

    def second_best(self, schema: type[BaseModel] | None) -> BaseModel | None:
        """Return the answer as what `schema` names as its second best; None where it names none or it does not fit."""
        bare = schema.second_best if schema and issubclass(schema, ReplyModel) and self.ending in ANSWERS else None
        try:
            return self.read(bare) if bare else None
        except Unusable:
            return None

    def require_answer(self) -> None:
        """Raise Unusable if it ended as no answer does."""
        if self.ending not in ANSWERS:
            raise Unusable("ended", explained(self.finish_reason))


def to_reply(message: AIMessage, model: RoleModel, schema: type[BaseModel] | None = None) -> Reply:
    """Return what a provider's message says, whatever the provider calls it.

    Guided decoding behind a parser of reasoning may put the whole answer where reasoning belongs, and leave the content
    empty: it is used where it is a value of `schema` and nothing else.
    """
    usage: Mapping[str, Any] = message.usage_metadata or {}
    metadata = message.response_metadata
    finish_names = (
        "finish_reason",
        "stop_reason",
        "stopReason",
        "done_reason",
    )  # each provider has its own name for it
    finish = next((metadata[name] for name in finish_names if metadata.get(name)), "stop")
    # Half a surrogate pair can be neither stored nor hashed; control characters have no business in any text.
    text = clean(str(message.text).encode("utf-8", "replace").decode())
    error, refusal = metadata.get("error"), message.additional_kwargs.get("refusal")
    if error:
        said = error.get("message") if isinstance(error, Mapping) else error
        finish = reason_with(finish if ending_of(str(finish)) not in ANSWERS else "error", said)
    elif refusal and not text.strip():
        finish = reason_with("refusal", refusal)
    beside = "" if error or refusal else only_beside(message)
    if schema is not None and (whole := whole_value(message, beside, schema)):
        model.endpoint.found.report(f"structured answers stand in {beside!r}, and are taken from there")
        text, beside = whole, ""
    reply = Reply(text, str(finish), None, None, None, beside=beside)
    tokens_in, tokens_out = reported_usage(usage, text=text, truncated=reply.truncated)
    raw = metadata.get("token_usage") or metadata.get("usage")
    cached, reasoning = reported_details(usage, raw if isinstance(raw, Mapping) else {}, tokens_in)
    return replace(
        reply,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_cached=cached,
        tokens_reasoning=reasoning,
        cost_usd=model.cost(tokens_in, tokens_out),
    )


def repaired(messages: Messages, reply: Reply, error: Unusable, complaint: str) -> Messages:
    """Return the messages that ask to repair a reply. One that was cut off or empty is not shown again."""
    if error.kind in {"not_json", "invalid"}:
        shown = {"role": "assistant", "content": reply.answer or reply.text}
        return [*messages, shown, {"role": "user", "content": complaint}]
    *earlier, last = messages  # one message: some servers refuse two turns of the same side in a row
    return [*earlier, {**last, "content": f"{last['content']}\n\n{complaint}"}]
