"""Numbers, dates and names of an answer must stand in its passage, in any spelling; quotes must in the document."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autodata.domains.tasks.grounding import (
    MAX_ANSWER_CHARS,
    MAX_LOOKED_FOR,
    MAX_QUOTES,
    MAX_SOURCE_CHARS,
    QUOTE_CHARS,
    quotes_missing,
    unfounded,
)
from autodata.domains.tasks.quantities import UNITS
from tests.unit.test_linear import slow

TITLE = "Masts of the Coast"
PASSAGE = (
    "The mast at Gull Point was raised on 3 May 1931 by Ada Lind and her forty-one workers. It is 141 metres tall and"
    " cost 5 million crowns. Marie's boat, run by the World Health Organization, sends at 12 kHz from 14:30. In the"
    " 1990s the F-16 flew 1,500 km to Saint-Denis in 2 to 3 million steps; half of Germany heard the Velin engine of"
    " Malmö, and NASA paid 0.75 of it. Version 2.3 fits \u00bd of a dozen. Louis XIV came twice, at \u22125 \u00b0C."
)
QUESTION = "Who raised the mast that Bo Rask planned in 1925?"


@pytest.mark.parametrize(
    "answer",
    [
        *("Ada Lind", "Ada Lind raised it on 3 May 1931.", "Lind's workers", "Lind\u2019s workers", "the Linds"),
        *(
            "on 1931-05-03",
            "May 3, 1931",
            "3rd of May 1931",
            "03.05.1931",
            "May 1931",
            "in 1931",
            "nineteen thirty-one",
        ),
        *(
            "41 workers",
            "forty-one",
            "Forty one",
            "One hundred and forty-one metres",
            "141 m",
            "141m",
            "141 meters tall",
        ),
        *("12 kHz", "12kHz", "12 kilohertz", "5,000,000 crowns", "five million crowns", "5 million", "$5m"),
        *("2:30 pm", "14:30", "at 14:30", "half of Germany", "50% of Germany", "50 percent"),
        *("75 %", "0.75", "1,500 kilometres", "1500 km", "1.500 km", "2 million steps", "3 million", "version 2.3"),
        *("the 1990s", "the F16", "an F-16", "St. Denis", "Saint Denis", "the WHO", "World Health Organization"),
        *("the Germans", "German workers", "Velin Engine", "It was Malmo.", "1/2", "twelve", "2 times"),
        *(
            "It was raised by Marie.",
            "Masts of the Coast",
            "Bo Rask",
            "In 1925.",
            "Louis 14",
            "-5 \u00b0C",
            "5 million",
        ),
        *("one mast", "1 mast", "The first mast", "The copper one", "NASA"),
        *(
            "Yes",
            "Because it was cheap.",
            "They paid for it.",
            "I think it was Ada.",
            "a tall one",
            "",
            "THE MAST WAS RAISED",
        ),
        *("In May", "Dr. Lind", "Mrs Ada Lind", "Gull Point", "The Mast Was Raised By Ada Lind Here Soon"),
    ],
)
def test_what_a_passage_says_in_any_spelling_is_there(answer: str) -> None:
    assert unfounded(answer, QUESTION, [PASSAGE, TITLE]) == []


@pytest.mark.parametrize(
    ("answer", "lacking"),
    [
        ("4 Hz", ["4 Hz"]),
        ("4Hz", ["4Hz"]),
        ("It sends at 12 Hz.", ["12 Hz"]),
        ("12 MHz", ["12 MHz"]),
        ("141 feet", ["141 feet"]),
        ("142 metres", ["142 metres"]),
        ("41.5 workers", ["41.5"]),
        ("forty-two workers", ["forty-two"]),
        ("5 crowns", ["5"]),
        ("5 billion crowns", ["5 billion"]),
        ("1 million crowns", ["1 million"]),
        ("17 %", ["17"]),
        ("3 May 1930", ["3 May 1930"]),
        ("4 May 1931", ["4 May 1931"]),
        ("June 1931", ["June 1931"]),
        ("1931-06-03", ["1931-06-03"]),
        ("in 1932", ["1932"]),
        ("15:45", ["15", "45"]),
        ("Ada Lind and Cy Dahl", ["Cy Dahl"]),
        ("It was Cy.", ["Cy"]),
        ("Cy Dahl raised it.", ["Cy Dahl"]),
        ("Oslo.", ["Oslo"]),
        ("Gull Point, Ireland", ["Ireland"]),
        ("on the B52", ["B52"]),
        ("by UNESCO", ["UNESCO"]),
        ("on a Monday", ["Monday"]),
        ("Cy Dahl, in 1932, for 9 crowns", ["1932", "9", "Cy Dahl"]),
    ],
)
def test_what_a_passage_does_not_say_is_named(answer: str, lacking: list[str]) -> None:
    passage = PASSAGE.replace("\u22125 \u00b0C", "night")
    assert unfounded(answer, QUESTION, [passage, TITLE]) == lacking


def test_dates_are_not_put_together_from_parts_of_others() -> None:
    passage = "It was begun on 3 May 1930 and ended on 7 June 1931; guests came from 9 to 12 June 1931."
    for there in ("3 May 1930", "June 7, 1931", "9 June 1931", "12 June 1931", "May 1930"):
        assert unfounded(there, "When?", [passage]) == [], there
    for mixed in ("3 May 1931", "7 May 1931", "May 1931", "7 June 1930"):
        assert unfounded(mixed, "When?", [passage]) == [mixed], mixed


def test_where_every_noun_has_a_capital_names_are_not_looked_for() -> None:
    passage = "Der Mast wurde 1931 von der Firma Lind gebaut und ist 41 Meter hoch."
    assert unfounded("Er wurde von Ingenieuren in Handarbeit gebaut.", "Wie?", [passage]) == []
    assert unfounded("Er ist 42 Meter hoch.", "Wie?", [passage]) == ["42"]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ('It says "raised on 3 may\n1931" there.', []),
        ("It says \u201cRaised  on 3 May 1931,\u201d there.", []),
        ("It says \u00abraised on 3 May 1931\u00bb there.", []),
        ('"[R]aised on ... 1931 by Ada Lind"', []),
        ('"raised on \u2026 by Ada Lind"', []),
        ('"Marie\u2019s boat"', []),
        ('a "hot" word and 5" of rope, 6" of wire', []),
        ('"cost ten million"', ["cost ten million"]),
        ('"raised on 3 May 1931" and "raised by Bo"', ["raised by Bo"]),
        ("\u201ccost ten million\u201d", ["cost ten million"]),
        ('"raised on ... by Bo Rask"', ["raised on ... by Bo Rask"]),
    ],
)
def test_quotes(text: str, missing: list[str]) -> None:
    found = quotes_missing({"context": "none", "question": text}, PASSAGE)
    assert found == [{"where": "question", "quote": quote} for quote in missing]


def test_few_and_short_quotes_are_kept() -> None:
    text = " ".join(f'"never said {k} {"at all " * 60}ever"' for k in range(9))
    found = quotes_missing({"context": text}, PASSAGE)
    assert len(found) == MAX_QUOTES
    assert all(len(quote["quote"]) <= QUOTE_CHARS for quote in found)


HOSTILE = [
    *("1,111", "1", "one ", "one-", "1 ", "1.", "3 May ", "May, ", "1-1-", "1/1/2000 ", "2000-1-1 ", "12:30 ", "1:"),
    *("1 Hz ", "1 Hz Hz ", "5 to 6 million ", "1 to ", "hundred ", "twenty one thousand ", "1%", "1 per cent "),
    *(
        "A ",
        "Ab ",
        "Ab'",
        "A.B.",
        "A&",
        "Of The ",
        "Aa of the ",
        "Aa-",
        "of ",
        "X ",
        "I",
        "\u00e91 ",
        "\u00bd",
        "\u00b2",
    ),
    *('"a ', "\u201ca", "\u00ab", '"a b" ', "...", " ", "\n", "'"),
]
CHARS, SECONDS = 1_000_000, 1.0


def letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def test_of_very_many_quotes_the_first_are_looked_for() -> None:
    said = [f'"said {k} times"' for k in range(MAX_LOOKED_FOR + 1)]
    document = "; ".join(said[:-2])
    assert [one["quote"] for one in quotes_missing({"context": " ".join(said[1:])}, document)] == [
        f"said {MAX_LOOKED_FOR - 1} times",
        f"said {MAX_LOOKED_FOR} times",
    ]
    assert [one["quote"] for one in quotes_missing({"context": " ".join(said)}, document)] == [
        f"said {MAX_LOOKED_FOR - 1} times"
    ]


VARIED: dict[str, Callable[[int], str]] = {
    "integers": lambda n: f"{n} ",
    "decimals": lambda n: f"{n // 97}.{n % 97} ",
    "grouped": lambda n: f"{n % 999 + 1},{n % 1000:03} {n} ",
    "long numbers": lambda n: f"{7**30 + n} ",
    "fractions": lambda n: f"{n}/{n + 7} ",
    "mixed numbers": lambda n: f"{n} 1/{n % 999 + 2} ",
    "percent": lambda n: f"{n}% ",
    "lengths": lambda n: f"{n} km ",
    "millions": lambda n: f"{n} million ",
    "ranges": lambda n: f"{n} to {n + 1} million ",
    "years": lambda n: f"{n}-{n % 100:02} ",
    "dates": lambda n: f"{n % 28 + 1} May {n % 9000 + 1000} ",
    "dates in digits": lambda n: f"{n % 9000 + 1000}-{n % 12 + 1}-{n % 28 + 1} ",
    "times": lambda n: f"{n % 24}:{n % 60:02} ",
    "words": lambda n: f"{letters(n)} ",
    "names": lambda n: f"{letters(n).title()} ",
    "names in a row": lambda n: f"{letters(n).title()} of ",
    "names and numbers": lambda n: f"{letters(n).title()}-{n} ",
    "accents": lambda n: f"{letters(n).title()}\u00e9's ",
    "capitals": lambda n: f"{letters(n).upper()}. ",
    "numerals": lambda n: "".join("IVXLCDMIVX"[int(digit)] for digit in str(n)) + " ",
    "number words": lambda n: f"{' '.join(list(UNITS)[int(digit)] for digit in str(n))}, ",
    "signs": lambda n: chr(0xA0 + n % 0xD000),
    "signs that stand for several": lambda n: chr(0xFB50 + n % 0x2AF),
    "quotes": lambda n: f'"{letters(n)} {letters(n + 1)}" ',
}
"""Texts that never say the same twice: what is looked at once for each spelling takes longest with them."""


def grounded_in(source: str) -> None:
    unfounded("Bo Rask, on 3 May 1931, with 5 Hz and 5 million of forty-two", "Who?", [source])


def grounded_answer(source: str) -> None:
    for answer in (source[:MAX_ANSWER_CHARS], source[::-1][:MAX_ANSWER_CHARS]):
        unfounded(answer, "Who?", [source])


def quoted_from(source: str) -> None:
    quotes_missing({"question": source}, source)


WORKS = [grounded_in, grounded_answer, quoted_from]


def varied(what: str, chars: int) -> str:
    parts: list[str] = []
    while chars > 0:
        parts.append(VARIED[what](len(parts)))
        chars -= len(parts[-1])
    return "".join(parts)


@pytest.mark.slow
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_a_megabyte_of_hostile_text_is_looked_through_within_a_second(work: Callable[[str], None]) -> None:
    assert slow(work, CHARS, SECONDS, [*HOSTILE, *(varied(what, CHARS) for what in VARIED)]) == []


@pytest.mark.slow
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_the_longest_source_that_is_looked_at_is_so_within_a_second(work: Callable[[str], None]) -> None:
    """Of longer ones nothing is looked at. What is kept of texts seen before is forgotten first."""

    def afresh(source: str) -> None:
        for name, module in sys.modules.items():
            if name.startswith(("autodata.domains.tasks.grounding", "autodata.domains.tasks.quantities")):
                for kept in vars(module).values():
                    if hasattr(kept, "cache_clear"):
                        kept.cache_clear()
        work(source)

    chars = MAX_SOURCE_CHARS - len("xWho?\n")
    assert slow(afresh, chars, SECONDS, HOSTILE) == []
    assert [what for what in VARIED if slow(afresh, chars, SECONDS, [varied(what, chars)])] == []


def test_nothing_is_certainly_missing_from_sources_longer_than_are_looked_at() -> None:
    rest = MAX_SOURCE_CHARS - len("Who?\n")
    assert unfounded("Bo Rask", "Who?", ["x" * rest]) == ["Bo Rask"]
    assert unfounded("Bo Rask", "Who?", ["x" * (rest + 1)]) == []
    assert unfounded("Bo Rask", "Who?", ["\u00bd" * (rest // 5)]) == ["Bo Rask"]
    assert unfounded("Bo Rask", "Who?", ["\u00bd" * (rest // 4)]) == [], "as long when its fractions are written out"
    assert unfounded("x" * (MAX_ANSWER_CHARS - 3) + " 42", "Who?", ["x"]) == ["42"]
    assert unfounded("x" * (MAX_ANSWER_CHARS - 2) + " 42", "Who?", ["x"]) == []
    page = (Path(__file__).parents[2] / "docs" / "domains.md").read_text("utf-8")
    assert f"more than {MAX_SOURCE_CHARS:,} characters is not looked at by code" in page


@pytest.mark.slow
def test_what_takes_longer_is_found() -> None:
    def quadratic(text: str) -> None:
        for at in range(0, len(text), 10):
            text.count("y", at)

    assert slow(quadratic, CHARS, SECONDS, ["1 "]) == ["1 "]
