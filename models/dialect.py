"""What an endpoint does not take, found out from what it refuses, and how a request is changed for it.

A dialect holds for one model at one address. It changes the form of a request and never what is asked: it is no part of
a call's identity (`models/call.py`), so a reply that is paid for is found again whatever was found out since.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Self

from autodata.models.bodies import named_in, words_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Turns = list[dict[str, str]]

LENGTHS: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""The two names of the longest reply, each with the other."""
PARAMETERS: Final = ("seed", "top_p", "temperature")
"""What is left out where it is refused, in the order in which it is tried without a word from the server."""
_ADAPTED: Final = frozenset({400, 404, 405, 415, 422, 500, 501})
"""Statuses with which servers refuse a field; a template that fails for a role is a 500 in some."""

_REFUSED: Final = re.compile(
    r"unsupported|not (?:currently )?support|n[o']t support|no support"
    r"|not (?:permitted|allowed|available|accepted|valid|enabled)|un(?:known|recogni[sz]ed|expected|available)"
    r"|extra (?:inputs|fields|parameters)|forbid|deprecated|cannot (?:both )?be|can(?:no|')t (?:both )?be"
    r"|cannot find field|only (?:the )?default|only \w+ ?= ?[\d.]|only [\d.]{1,8} is|may only be"
    r"|must be (?:set to )?1\b|does not accept|invalid|not one of|input should be '",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(
    r"must be (?:between|less|greater|at (?:most|least)|in|within|<|>|a )|out of range|too (?:large|high|small|low)"
    r"|at most|less than|greater than|maximum value|minimum value|between \d|exceeds?",
    re.IGNORECASE,
)
"""Words about a value: the field is known, and what was asked of it is wrong."""
_LISTS_WHAT_IS_TAKEN: Final = re.compile(
    r"\b(?:supported|allowed|valid|accepted|permitted|expected)(?: (?:parameters|params|fields|arguments|values))?"
    r"(?: (?:are|is|include)\b|:)|\bexpected one of\b",
    re.IGNORECASE,
)
_BOTH: Final = re.compile(r"both|only one of|use only one|at the same time", re.IGNORECASE)
_SYSTEM: Final = re.compile(
    r"(?:system|developer)\W{0,3}(?:role|message|instruction|prompt)|role\W{0,10}(?:system|developer)\b"
    r"|messages?\W{0,3}0\W{0,3}role|(?:system|developer)\W{0,2} is not|support '?(?:system|developer)",
    re.IGNORECASE,
)
_TURNS: Final = re.compile(
    r"must alternate|should alternate|alternat\w+ (?:between )?user|consecutive (?:messages|roles)", re.I
)
_STREAM_ONLY: Final = re.compile(
    r"only supports? stream|stream(?:ing)? (?:mode )?(?:is )?(?:required|only)|enable the stream|must be stream"
    r"|non-?stream\w*[^.]{0,40}(?:not|false)|stream=true|set stream to true",
    re.IGNORECASE,
)
_NO_STREAM: Final = re.compile(r"verified to stream|'?stream'? does not support true|streaming is not supported", re.I)


@dataclass(frozen=True)
class Dialect:
    """How requests to one endpoint differ from what they would be by its settings. The default changes nothing."""

    without: tuple[str, ...] = ()
    """Parameters that are left out: seed, top_p, temperature."""
    length: str = ""
    """By which name the longest reply is sent, where the other one was refused."""
    folded: bool = False
    """Whether the system text stands at the head of the first question: the role of its own is refused."""
    merged: bool = False
    """Whether turns of the same side in a row go out as one."""
    streamed: bool | None = None
    """Whether replies are streamed in any case, or in none; None leaves it to who watches."""

    def after(self, error: Exception, sent: Collection[str]) -> Self | None:
        """Return the dialect in which a refused request may be taken; None where its refusal names nothing to change.

        `sent` are the names of what the request had: parameters, `system`, `turns`, `stream`.
        """
        if getattr(error, "status_code", None) not in _ADAPTED:
            return None
        said = words_of(error) or str(error)
        changed = self._of_form(said, sent) or self._of_fields(said, named_in(error), sent)
        return None if changed == self else changed

    def _of_form(self, said: str, sent: Collection[str]) -> Self | None:
        """Return what to change of the turns and of how the reply comes."""
        if _TURNS.search(said):  # some templates say so of a system text: both are changed
            return replace(self, merged=True, folded=self.folded or "system" in sent)
        if "system" in sent and _SYSTEM.search(said) and _refuses(said):
            return replace(self, folded=True)
        if _NO_STREAM.search(said):
            return replace(self, streamed=False)
        if self.streamed is None and "stream" not in sent and _STREAM_ONLY.search(said):
            return replace(self, streamed=True)
        return None

    def _of_fields(self, said: str, named: Collection[str], sent: Collection[str]) -> Self | None:
        """Return what to change of the fields that a refusal names, in a place of its own or in words."""
        if not _refuses(said):
            return None
        at_fault = _at_fault(said, named, sent)
        if _BOTH.search(said) and {"temperature", "top_p"} <= at_fault:
            at_fault.discard("temperature")
        lengths = at_fault & set(LENGTHS)
        if lengths and not self.length and not _RANGE.search(said):
            return replace(self, length=LENGTHS[lengths.pop()])
        left_out = [name for name in PARAMETERS if name in at_fault]
        if not left_out or (_RANGE.search(said) and not re.search(r"unsupported|only", said, re.IGNORECASE)):
            return None
        return self.leaving_out(*left_out)

    def leaving_out(self, *names: str) -> Self:
        """Return this dialect without these parameters, too."""
        return replace(self, without=tuple(name for name in PARAMETERS if name in {*self.without, *names}))

    def guesses(self, sent: Collection[str]) -> list[Self]:
        """Return what to try where a refusal says nothing: each parameter left out, the other length, all of it."""
        single = [self.leaving_out(name) for name in PARAMETERS if name in sent]
        other = next((LENGTHS[name] for name in sent if name in LENGTHS), "")
        if other and not self.length:
            single.append(replace(self, length=other))
        if len(single) < 2:
            return single
        return [*single, replace(self.leaving_out(*(name for name in PARAMETERS if name in sent)), length=other)]

    def changes_since(self, before: Dialect) -> list[str]:
        """Return what this dialect changes beyond another, in words."""
        reported = [f"{name} is left out" for name in self.without if name not in before.without]
        if self.length != before.length:
            reported.append(f"the longest reply is sent as {self.length}")
        if self.folded and not before.folded:
            reported.append("the system text is sent within the first question")
        if self.merged and not before.merged:
            reported.append("turns of the same side in a row are sent as one")
        if self.streamed != before.streamed:
            reported.append("replies are streamed" if self.streamed else "replies are not streamed")
        return reported

    def turns(self, messages: Turns) -> Turns:
        """Return messages as they are sent."""
        changed = [dict(message) for message in messages]
        if self.folded and len(changed) > 1 and changed[0]["role"] == "system":
            system, first, *rest = changed
            if first["role"] == "user":
                changed = [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]
        elif self.folded and changed and changed[0]["role"] == "system":
            changed = [{**changed[0], "role": "user"}]
        if not self.merged:
            return changed
        joined: Turns = []
        for message in changed:
            if joined and joined[-1]["role"] == message["role"]:
                joined[-1]["content"] += f"\n\n{message['content']}"
            else:
                joined.append(message)
        return joined

    def chat(self, chat: BaseChatModel, body: dict[str, Any]) -> BaseChatModel:
        """Return a chat model as it is asked; `body`, the fields that go out beside its own, is changed in place."""
        update: dict[str, Any] = {
            name: None for name in self.without if name != "seed" and getattr(chat, name, None) is not None
        }
        if self.length == "max_completion_tokens" and "max_tokens" in body:
            update["max_tokens"] = body.pop("max_tokens")
        elif self.length == "max_tokens" and getattr(chat, "max_tokens", None) is not None and "max_tokens" not in body:
            body["max_tokens"], update["max_tokens"] = chat.max_tokens, None  # type: ignore[attr-defined]
        if self.streamed is True and hasattr(chat, "streaming"):
            update["streaming"] = True
        elif self.streamed is False:
            update["disable_streaming"] = True
        return chat.model_copy(update=update) if update else chat

    def kept(self) -> dict[str, Any]:
        """Return the dialect as plain JSON values."""
        return {name: value for name, value in asdict(self).items() if value not in ((), "", False, None)} | (
            {"streamed": False} if self.streamed is False else {}
        )

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """Return the dialect that was kept; what is not known of it is passed over."""
        names = {field.name for field in fields(cls)}
        values = {name: value for name, value in kept.items() if name in names}
        if "without" in values:
            values["without"] = tuple(name for name in PARAMETERS if name in values["without"])
        return cls(**values)


def sent_by(chat: BaseChatModel, messages: Turns, body: Mapping[str, Any], *, seed: bool) -> set[str]:
    """Return the names of what a request has that a server may refuse."""
    names = {name for name in ("temperature", "top_p") if getattr(chat, name, None) is not None}
    names |= {"max_tokens"} if "max_tokens" in body else set()
    if "max_tokens" not in body and getattr(chat, "max_tokens", None) is not None and hasattr(chat, "extra_body"):
        names.add("max_completion_tokens")
    names |= {"seed"} if seed else set()
    names |= {"system"} if messages and messages[0]["role"] == "system" else set()
    return names | ({"stream"} if getattr(chat, "streaming", False) else set())


def names_a_field(error: Exception, sent: Collection[str]) -> bool:
    """Whether a refusal names something that the request had, and so is not to be guessed at."""
    fields_sent = set(sent) & {*PARAMETERS, *LENGTHS}
    return bool(_at_fault(words_of(error) or str(error), named_in(error), fields_sent))


def _at_fault(said: str, named: Collection[str], sent: Collection[str]) -> set[str]:
    places = {*named, *(place.split(".")[-1] for place in named)}
    if found := {name for name in sent if name in places}:
        return found
    taken = _LISTS_WHAT_IS_TAKEN.search(said)
    before = said[: taken.start()] if taken else said
    return {name for name in sent if re.search(rf"(?<!\w){name}(?!\w)", before)}


def _refuses(said: str) -> bool:
    return _REFUSED.search(said) is not None
