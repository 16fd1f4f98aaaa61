"""What is asked and made of the tree of an expression: its names, the order of its factors, sums and products."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

CONSTANTS = frozenset({"pi", "e", "i"})


def has(tree: Tree, test: Any) -> bool:
    """Whether a tree or any part of it passes a test."""
    return bool(test(tree)) or any(has(part, test) for part in tree[1:] if isinstance(part, tuple))


Tree = tuple[Any, ...]
"""("num", Fraction, is_decimal), ("name", str), ("sum", *trees), ("product", *trees), ("quotient", tree, tree),
("power", tree, tree), ("call", function, *trees) or ("applied", name, *trees) for a function that nobody knows."""


def negated(tree: Tree) -> Tree:
    """Return a tree with the other sign."""
    return ("num", -tree[1], tree[2]) if tree[0] == "num" else ("product", ("num", Fraction(-1), False), tree)


def times(one: Tree, other: Tree) -> Tree:
    """Return the product of two trees, as one product where the first is one."""
    return ("product", *(one[1:] if one[0] == "product" else (one,)), other)


def product_of(factors: list[Tree]) -> Tree:
    """Return the product of factors; one factor is itself."""
    return factors[0] if len(factors) == 1 else ("product", *factors)


def is_plain(tree: Tree) -> bool:
    """Whether a quotient is one of two numbers."""
    return all(part[0] == "num" for part in tree[1:])


def is_integer(tree: Tree) -> bool:
    """Whether a tree is a whole number."""
    return tree[0] == "num" and bool(tree[1].denominator == 1)


def is_scalar(tree: Tree, sign: str) -> bool:
    """Whether a factor cannot be a vector: it holds no name, or, at a dot, it is the value of a function or power."""
    return not names(tree) - {"pi"} or (sign == r"\cdot" and tree[0] in {"call", "power", "num"})


def names(tree: Tree) -> frozenset[str]:
    """Return the names in a tree."""
    if tree[0] == "name":
        return frozenset({tree[1]})
    return frozenset[str]().union(*(names(part) for part in tree[1:] if isinstance(part, tuple)))


def order(tree: Tree) -> Tree:
    """Return in which order and grouping a tree multiplies names that may not commute: capitals, spins, quaternions.

    Two products are surely the same only if this is; terms of a sum come in any order.
    """
    if tree[0] == "num":
        return ()
    if tree[0] == "name":
        head = tree[1].partition("_")[0]
        return (tree[1],) if head.isupper() or head in _ORDERED else ()
    parts = [order(part) for part in tree[1:] if isinstance(part, tuple)]
    held = [part for part in parts if part]
    if tree[0] == "product":
        return tuple(name for part in held for name in part)
    if tree[0] == "quotient":
        return parts[0] + (parts[1] if len(parts[1]) < 2 else (("under", *parts[1]),))
    if len(held) < 2 and (tree[0] in {"sum", "power"} and sum(map(len, held)) < 2):
        return held[0] if held else ()
    return ((tree[0], *sorted(held, key=repr)) if tree[0] == "sum" else (tree[0], *held),)


def may_not_commute(held: frozenset[str]) -> bool:
    """Whether among names there are two that may not commute with one another."""
    heads = [name.partition("_")[0] for name in held]
    capitals, spins, units = (
        sum(test(head) for head in heads) for test in (str.isupper, _SPINS.__contains__, _is_unit)
    )
    return max(capitals, spins) > 1 or (units > 1 and "j" in heads)


def _is_unit(head: str) -> bool:
    return head in {"i", "i as a variable", "j", "k"}


_SPINS = frozenset({"sigma", "gamma"})
_ORDERED = _SPINS | {"i", "i as a variable", "j", "k"}
