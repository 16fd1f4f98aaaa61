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


def order(tree: Tree) -> Tree:  # noqa: PLR0911 - one answer a kind
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
        return parts[0] + ((("under", *parts[1]),) if parts[1] else ())
    if tree[0] == "power" and is_integer(tree[2]) and 0 < abs(tree[2][1]) < 10:
        factors = parts[0] * int(abs(tree[2][1]))
        return factors if tree[2][1] > 0 or not factors else (("under", *factors),)
    if tree[0] == "sum" and len(held) < 2 and sum(map(len, held)) < 2:
        return held[0] if held else ()
    return ((tree[0], *sorted(held, key=repr)) if tree[0] == "sum" else (tree[0], *held),)


def holds_commutator(tree: Tree) -> bool:
    """Whether in a sum the same factors stand in two orders, as in `AB - BA`: then they do not commute."""
    if tree[0] == "sum":
        seen: dict[Tree, Tree] = {}
        for term in tree[1:]:
            row = tuple(repr(factor) for factor in _factors(term))
            if len(row) > 1 and seen.setdefault(tuple(sorted(row)), row) != row:
                return True
    return any(holds_commutator(part) for part in tree[1:] if isinstance(part, tuple))


def _factors(tree: Tree) -> list[Tree]:
    """Return the factors of a product, those of products in it too, without numbers."""
    if tree[0] != "product":
        return [] if tree[0] == "num" else [tree]
    return [factor for part in tree[1:] for factor in _factors(part)]


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
