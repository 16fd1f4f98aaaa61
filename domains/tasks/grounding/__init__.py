"""Whether what an example says stands in its source: numbers, dates and names of an answer, and quoted words.

A check by code sees spellings only, so it looks for what certainly is missing: every way in which the source may say
the same counts as saying it (41 and forty-one, 3 May 1931 and 1931-05-03, Lind's and Lind).
"""

from autodata.domains.tasks.grounding.facts import MAX_ANSWER_CHARS, MAX_SOURCE_CHARS, unfounded
from autodata.domains.tasks.grounding.quotes import MAX_LOOKED_FOR, MAX_QUOTES, QUOTE_CHARS, quotes_missing

__all__ = [
    "MAX_ANSWER_CHARS",
    "MAX_LOOKED_FOR",
    "MAX_QUOTES",
    "MAX_SOURCE_CHARS",
    "QUOTE_CHARS",
    "quotes_missing",
    "unfounded",
]
