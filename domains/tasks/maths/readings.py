"""The readings of a text of mathematics: one tree for each meaning that its notation leaves open.

The parser says which of the meanings matter to a text. Nothing is evaluated here, and the work is linear in the text's
length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from autodata.domains.tasks.maths.meanings import MEANINGS, Met, Reading
from autodata.domains.tasks.maths.parser import Parser
from autodata.domains.tasks.maths.tokens import LONGEST, NAMES, Token, Unreadable, tokens
from autodata.domains.tasks.maths.trees import Tree

FUNCTIONS = frozenset({"f", "g", "h", "F", "G", "H", "T", "phi", "psi", "Phi", "Psi", "varphi"})
"""Names that are a function's before a bracket, even where they stand alone too."""


@dataclass(frozen=True)
class Side:
    """What an answer is about (`x` in `x = 5/3`, empty without) and its expression."""

    about: tuple[str, ...]
    tree: Tree


def readings(*texts: str) -> Iterator[tuple[Side, ...]]:
    """Return the sides that texts are under each reading that they leave open, one meaning for all of them at a time.

    Raises Unreadable where any text is not surely one scalar expression under any of them.
    """
    if any(len(text) > LONGEST or "\n" in text for text in texts):
        raise Unreadable("too long, or several lines")
    split = [tokens(text) for text in texts]
    met = Met()
    for each in split:
        _side(each, Reading(), met, frozenset())
    if (met.single | (met.applied & FUNCTIONS)) & met.bare:
        raise Unreadable("perhaps a function")
    functions = frozenset(met.applied - met.bare)
    if functions:
        met.choices.add("applied")
    open_choices = sorted(met.choices)
    for values in product(*(MEANINGS[name] for name in open_choices)):
        reading = replace(Reading(), **dict(zip(open_choices, values, strict=True)))
        called = functions if reading.applied == "function" else frozenset[str]()
        yield tuple(_side(each, reading, met, called) for each in split)


def _side(found: list[Token], reading: Reading, met: Met, functions: frozenset[str]) -> Side:
    equals = [at for at, token in enumerate(found) if token.text == "="]
    if not equals:
        return Side((), Parser(found, reading, met, functions).whole())
    about = tuple(token.text for token in found[: equals[0]])
    if len(equals) > 1 or not _is_subject(found[: equals[0]]):
        raise Unreadable("an equation")
    inner = Met()
    tree = Parser(found[equals[0] + 1 :], reading, inner, functions).whole()
    if "".join(piece.strip("\\{}") for piece in about).partition("(")[0] in inner.bare | inner.applied:
        raise Unreadable("an equation in what it is about")
    met.choices |= inner.choices
    met.bare |= inner.bare
    met.applied |= inner.applied
    met.single |= inner.single
    return Side(about, tree)


def _is_subject(found: list[Token]) -> bool:
    """Whether tokens are a name such as `x`, `v_0` or `f(x)`."""
    pieces = [token.text for token in found]
    if not pieces or not (found[0].kind == "letters" or pieces[0].removeprefix("\\") in NAMES):
        return False
    rest = "".join(pieces[1:])
    return bool(re.fullmatch(r"(?:_(?:\w|\{\w+\}))?(?:\([A-Za-z](?:,[A-Za-z])*\))?", rest, re.ASCII))
