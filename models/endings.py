"""How a reply ended: one table of the reasons that servers give, in any spelling.

Only known good endings are answers. A reply that ended for another reason, known or not, is a failure of the
infrastructure (rule 2): it is asked for again, and never scored.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Ending = Literal["whole", "cut", "refused", "failed"]
"""`whole`: the model was done. `cut`: a limit of tokens or context ended it. `refused`: a filter or the model would not
answer this request. `failed`: anything else."""

ANSWERS: Final = frozenset({"whole", "cut"})

_REASONS: Final[dict[Ending, str]] = {
    # Servers that give no reason end with none of these: an empty one counts as whole.
    "whole": """stop stopped stop_sequence stop_token stop_string stop_str stop_word stop_criteria_met word end end_turn
        end_of_turn end_of_sequence end_of_text endoftext eos eos_token eos_token_id eot im_end complete completed done
        finish finished success succeeded none null""",
    "cut": """length max_length max_len max_tokens max_token maxtokens max_new_tokens max_output_tokens
        max_completion_tokens max_tokens_reached model_length length_limit limit token_limit token_limit_reached
        context_length context_length_exceeded context_window_exceeded context_limit context_overflow context_full
        model_context_window_exceeded model_context_length_exceeded error_limit truncated num_predict""",
    "refused": """content_filter content_filtered content_filtering contentfilter filtered filter safety image_safety
        recitation image_recitation blocklist blocked prohibited_content image_prohibited_content spii language
        sensitive moderation moderated guardrail guardrails guardrail_intervened policy_violation content_policy
        content_policy_violation refusal refused error_toxic toxic prompt_cut""",
}
_ENDINGS: Final[dict[str, Ending]] = {
    word: ending for ending, words in _REASONS.items() for word in words.replace("_", "").split()
}
_TOOLS: Final = frozenset({"toolcall", "toolcalls", "tooluse", "functioncall", "functioncalls", "function"})
_PREFIX: Final = re.compile(r"(?:finish|stop|done)?_?reason[._]?(?=\w)", re.IGNORECASE)
MAX_MESSAGE: Final = 300
PROMPT_CUT: Final = "prompt_cut"
"""The reason of a reply to a prompt that the server cut: our own word, for no server says so."""


def ending_of(reason: str | None) -> Ending:
    """Return how a reply ended. `reason` may be in any spelling and hold a message after a colon."""
    word = _word(reason)
    return _ENDINGS.get(word, "failed") if word else "whole"


def explained(reason: str) -> str:
    """Return what to say to a user about a reply that is no answer for the way it ended."""
    if _word(reason) in _TOOLS:
        return f"the model called a tool instead of answering (finish reason {reason!r})"
    word, colon, message = reason.partition(":")
    if word.strip() == PROMPT_CUT and message:
        return message.strip()
    return f"the reply ended with {word.strip()!r}{colon}{message}"


def reason_with(reason: object, message: object) -> str:
    """Return a finish reason as it is journalled, with what the server said about it after a colon."""
    name = " ".join(str(reason or "").split())[:60]
    said = " ".join(str(message or "").split())[:MAX_MESSAGE]
    return f"{name}: {said}" if said else name


def _word(reason: str | None) -> str:
    """Return a reason without prefix, case and punctuation: `FinishReason.MAX_TOKENS` is `maxtokens`."""
    name = (reason or "").partition(":")[0].strip().rpartition(".")[2]
    return re.sub(r"[\W_]+", "", _PREFIX.sub("", name, count=1)).lower()
