"""Numbers in plain text: those written in digits with all they can mean, and those written in words.

Nothing here decides anything: `grounding` and `same_fact` do. Every scanner is linear in the text.
"""

from autodata.domains.tasks.quantities.digits import DIGITS, Number, in_digits, plain_text, readings
from autodata.domains.tasks.quantities.sources import amounts, letters, stated, tokens
from autodata.domains.tasks.quantities.spelled import in_words
from autodata.domains.tasks.quantities.vocabulary import (
    LOOSE,
    MONTHS,
    NUMBER_WORDS,
    ORDINALS,
    SCALES,
    SHORT_SCALES,
    TENS,
    UNITS,
    any_of,
    word_set,
)
from autodata.domains.tasks.quantities.written_fractions import in_fractions

__all__ = [
    "DIGITS",
    "LOOSE",
    "MONTHS",
    "NUMBER_WORDS",
    "ORDINALS",
    "SCALES",
    "SHORT_SCALES",
    "TENS",
    "UNITS",
    "Number",
    "amounts",
    "any_of",
    "in_digits",
    "in_fractions",
    "in_words",
    "letters",
    "plain_text",
    "readings",
    "stated",
    "tokens",
    "word_set",
]
