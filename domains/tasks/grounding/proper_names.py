"""Whether the proper names of an answer stand in its source, in any spelling."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache

from autodata.domains.tasks.quantities import MONTHS, ORDINALS, UNITS, stated, tokens, word_set

_NAME = re.compile(r"[^\W_]+(?:['.&][^\W_]+)*\.?")
_NAME_AND_NUMBER = re.compile(r"([A-Za-z](?<!\w.)[A-Za-z]*)[- ](\d+)\b")
_CAPITALS = re.compile(r"\b[A-Z]{2}\b")
_NUMBER_BEHIND = re.compile(r"[- ]?(\d+)\b")
_NAMES_IN_A_ROW = re.compile(r"[A-Z](?<!\w.)[A-Za-z]+(?:[ -](?:(?:of|the|for|and|on|in) )*[A-Z][A-Za-z]+){1,7}")
_BETWEEN = re.compile(r"[\s\-]*")
_NO_NAME = word_set(
    "a an the this that these those it its he she they we you i his her their our my your who what which when where"
    " there here yes no not true false unknown in on at by of from for to with without within near under over between"
    " before after since until during about around and or but as is was were are be been has had have did does do can"
    " could will would may might must if because so both all each every some any most more less one two mr mrs ms miss"
    " dr prof professor sir lady lord st saint mount mt lake river street road avenue city town county university the"
    " nobody none someone somebody everyone everybody anyone people"
    " company inc ltd co corp answer reference because approximately exactly only even ad ce"
) | {*MONTHS}
_INITIALS = re.compile(r"[A-Z](?<!\w.)\.(?: ?[A-Z]\.){1,5}")
_DERIVED = re.compile(r"(?:(?:ish|ese|ian|ean|can)s?|^(?:greeks?|swiss|czechs?|thai))$")
"""Words made from a country's name, which begin like it."""
_LANDS: Mapping[str, tuple[str, ...]] = {
    "french": ("france",),
    "danish": ("denmark",),
    "dane": ("denmark",),
    "dutch": ("netherlands", "holland"),
    "welsh": ("wales",),
    "irish": ("ireland",),
    "american": ("us", "usa", "states"),
    "british": ("uk", "kingdom", "england", "scotland", "wales"),
    "english": ("britain",),
    "burmese": ("myanmar",),
    "persian": ("iran",),
    "siamese": ("thailand",),
    "greek": ("hellenic",),
    "german": ("deutschland",),
    "spanish": ("spain",),
    "polish": ("poland",),
    "finnish": ("finland",),
    "swiss": ("switzerland",),
    "turkish": ("turkey",),
    "scottish": ("scotland",),
}
"""Words made from a country's name that do not begin like it."""
_OF_LAND = {land: {word for word, lands in _LANDS.items() if land in lands} for row in _LANDS.values() for land in row}
_SENTENCE_END = re.compile(r"[.!?:\n\"(\u201c]\s*$")
_CAPITAL_NOUNS = word_set("der die das und ist wurde eine einen dem den")
_SHORT = {"st": "saint", "mt": "mount", "ft": "fort", "nr": "number", "no": "number", "bce": "bc"}
_LETTERS = re.compile(r"[^\W_]+")


def names_missing(text: str, question: str, known: str) -> Iterator[str]:
    """Yield the names of an answer that its sources and question, `known` together, lack, as the answer writes them."""
    if _names_are_unclear(text, known):
        return
    words, initials = _words_of(known)
    names = list(_NAME.finditer(text))
    at = 0
    while at < len(names):
        run = [names[at]]
        while at + 1 < len(names) and _is_name(run[-1][0]) and _is_name(names[at + 1][0]):
            ends = run[-1][0].endswith(".") and len(run[-1][0]) > 4 and not _is_dotted(run[-1][0])
            if ends or not _BETWEEN.fullmatch(text[run[-1].end() : names[at + 1].start()]):
                break
            at += 1
            run.append(names[at])
        at += 1
        if not _is_name(run[0][0]) or (len(run) == 1 and _begins(text, run[0]) and not _alone(text, run[0], question)):
            continue
        if _follows_number(text, run[0].start()):
            continue  # a unit
        parts = [part for match in run for part in _parts(match[0])]
        if (len(parts) > 1 and "".join(part[:1] for part in parts) in words) or "".join(parts) in words:
            continue  # written out here, by its letters there; or as one word
        number = _NUMBER_BEHIND.match(text, run[-1].end())
        if "".join(parts) + (number[1] if number else "-") in words or _by_initials(run) in initials:
            continue  # GPT-4 and GPT4; J.R.R. Tolkien, there with all his names
        missing = [part for part in parts if not _there(part, words, initials) and not _is_number(part, known)]
        if missing:
            yield text[run[0].start() : run[-1].end()].rstrip(".")


def formulas_missing(text: str, question: str, known: str) -> Iterator[str]:
    """Yield what stands in an answer in capitals, in its sources only with a digit behind: CO where they say CO2.

    As words (`co`, `no`, `so`) these are no names, so that `names_missing` passes them over.
    """
    if (text.isupper() and len(text.split()) > 2) or not _ASKS_WHAT.search(question):
        return  # capitals say nothing, or NO may be the answer to a question for yes or no
    for bare in dict.fromkeys(_CAPITALS.findall(text)):
        if bare.lower() in _NO_NAME:
            there = {match[0] for match in re.finditer(rf"\b{bare}\d*\b", known)}
            if there and bare not in there:
                yield bare


def _by_initials(run: list[re.Match[str]]) -> str:
    """Return the first letters of names in a row, the first of which stands there by its initials; else nothing."""
    if len(run) == 1 or not _is_dotted(run[0][0]):
        return ""
    return (run[0][0].replace(".", "") + "".join(match[0][0] for match in run[1:])).lower()


def _is_dotted(token: str) -> bool:
    """Whether a word is initials, as J.R.R."""
    letters = token.replace(".", "")
    return letters.isupper() and len(token.rstrip(".")) == 2 * len(letters) - 1


def _names_are_unclear(text: str, known: str) -> bool:
    """Whether capitals say nothing: all of them, headlines, or a language that gives them to nouns."""
    words = [word for word in _LETTERS.findall(text) if word.isalpha() and len(word) > 1]
    capitals = sum(word[0].isupper() for word in words)
    small = [word for word in words if len(word) > 3 and word[0].islower()]
    if (text.isupper() and len(words) > 2) or (len(words) > 5 and not small and capitals > 3):
        return True
    return len(_CAPITAL_NOUNS & _small_words(known)) > 1


@lru_cache(maxsize=32)
def _small_words(text: str) -> frozenset[str]:
    return frozenset(word for word in tokens(text) if word.islower())


@lru_cache(maxsize=32)
def _words_of(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return a source's words as names are compared, and the first letters of its names in a row."""
    words = {part for token in set(_NAME.findall(text)) for part in _parts(token)}
    words |= {re.sub("[^A-Z]", "", run).lower() for run in set(_INITIALS.findall(text))}
    words |= {"".join(pair) for pair in set(_NAME_AND_NUMBER.findall(_plain(text)))}
    words |= {_without_umlauts(word) for word in words}
    words |= {name for sign, name in _SCALES_OF_HEAT.items() if sign in text}
    initials = set()
    for run in set(_NAMES_IN_A_ROW.findall(text)):
        row = re.findall(r"[A-Z][A-Za-z]+", run)
        initials.add("".join(word[0] for word in row).lower())
        if row[0].lower() in _NO_NAME:  # the article of a sentence
            initials.add("".join(word[0] for word in row[1:]).lower())
    return frozenset(words), frozenset(initials)


def _plain(text: str) -> str:
    """Return a text in lower case without accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFD", text.lower().translate(_LETTERS_APART))
    return apart.translate({ord(sign): None for sign in {*apart} if unicodedata.combining(sign)})


_LETTERS_APART = str.maketrans(
    {
        "\u00f8": "o",
        "\u0142": "l",
        "\u0111": "d",
        "\u00f0": "d",
        "\u00df": "ss",
        "\u00e6": "ae",
        "\u0153": "oe",
        "\u00fe": "th",
    }
)
"""Letters with a stroke and joined letters, which no normal form takes apart."""


_SCALES_OF_HEAT = {"\u00b0C": "celsius", "\u00b0 C": "celsius", "\u00b0F": "fahrenheit", "\u00b0 F": "fahrenheit"}


def _without_umlauts(word: str) -> str:
    """Return a word as `_plain` gives it with oe and o made one: Mueller and M\u00fcller, Oersted and \u00d8rsted."""
    return word.replace("ae", "a").replace("oe", "o").replace("ue", "u").replace("aa", "a")


def _is_number(part: str, known: str) -> bool:
    """Whether a name's word is a number that stands there in another spelling: Henrik the Fourth, Henrik IV."""
    value = ORDINALS.get(part, UNITS.get(part))
    return value is not None and Fraction(value) in stated(known)


def _parts(token: str) -> list[str]:
    """Return a name's words as they are compared: lower case, no accents, no possessive, no dots."""
    whole = re.sub(r"'s?$", "", token.rstrip("."))
    if whole.endswith("s'"):
        whole = whole[:-1]
    plain = _plain(whole).replace(".", "")
    parts = [part for part in re.split(r"[&]", plain) if part]
    return [_SHORT.get(part, part) for part in parts] if token[:1].isupper() else parts


def _is_name(token: str) -> bool:
    """Whether a word is written as a name: with a capital, or letters and digits together."""
    bare = token.rstrip(".")
    if bare.lower() in _NO_NAME or bare.replace(".", "").lower() in _NO_NAME:
        return False
    if len(bare) == 1 or bare.isdecimal() or bare[0].isdecimal():
        return False
    return any(sign.isupper() for sign in bare) or (
        any(sign.isdecimal() for sign in bare) and not re.fullmatch(r"[a-z]{1,2}\d", bare)
    )


def _begins(text: str, match: re.Match[str]) -> bool:
    before = text[: match.start()].rstrip(" *_'")
    return not before or bool(_SENTENCE_END.search(before))


_ASKS_NAME = re.compile(
    r"\b(?:who|whom|whose|where)\b"
    r"|\b(?:what|which|name(?: of)?)(?: is| was| are| were)?(?: the| a)? (?:\w+ )?"
    r"(?:city|town|village|country|river|island|person|engineer|company|firm|port|author|inventor|architect|king|queen"
    r"|president|scientist|nationality|language|planet|star|element|mountain|lake|sea|state|province|species|gene"
    r"|protein|enzyme|writer|painter|composer|poet|general|emperor|pope|tribe|religion|disease|virus|drug)\b",
    re.IGNORECASE,
)


_ASKS_WHAT = re.compile(r"\b(?:what|which|how)\b", re.IGNORECASE)
_WHO_DID = re.compile(r"\A\W*who\b", re.IGNORECASE)


def _alone(text: str, match: re.Match[str], question: str) -> bool:
    """Whether a first word that may have its capital from the sentence is the name that the question asks for."""
    if any(sign.isdecimal() for sign in match[0]) or match[0][1:] != match[0][1:].lower():
        return True
    rest = text[match.end() :].strip(" .!'\"*_")
    plural = match[0].lower().endswith("s")
    if rest and _WHO_DID.search(question):  # Who wrote the log? Cook wrote it.
        did = rest.split(" ", 1)[0].rstrip(".,;").lower()
        return not plural and len(did) > 2 and did not in _NO_NAME and did in _small_words(question)
    return not rest and not plural and bool(_ASKS_NAME.search(question))


def _follows_number(text: str, start: int) -> bool:
    before = text[:start].rstrip(" -")
    return bool(before) and (before[-1].isdecimal() or before[-1] in "\u00b0/")


def _there(part: str, words: frozenset[str], initials: frozenset[str]) -> bool:
    """Whether a source has a name's word: as it is, as a plural or another form of it, or by its first letters."""
    if part in words or part in initials or part in _NO_NAME or _without_umlauts(part) in words:
        return True
    in_order = _in_order(words)
    if _DERIVED.search(part) and _some_begin(in_order, part[:3]):
        return True
    if any(land in words for land in _LANDS.get(part.removesuffix("s"), ())):
        return True
    if not words.isdisjoint(_OF_LAND.get(part, ())):
        return True
    stem = part[:-2] if part.endswith("es") else part.removesuffix("s")
    if len(stem) < 4:
        return stem in words
    return _some_begin(in_order, stem) or any(part[:end] in words for end in range(4, len(part)))


@lru_cache(maxsize=32)
def _in_order(words: frozenset[str]) -> list[str]:
    return sorted(words)


def _some_begin(in_order: list[str], start: str) -> bool:
    """Whether one of some words, which are in order, begins with certain letters."""
    at = bisect_left(in_order, start)
    return at < len(in_order) and in_order[at].startswith(start)
