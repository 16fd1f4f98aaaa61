"""The meanings that a notation leaves open (`a/b c`, `log x`, `e`), and what in a text decides between them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reading:
    """One meaning for each notation that has several."""

    slash: str = "one"
    """What a slash divides by: `one` factor, or `all` that is joined to it."""
    joined: str = "one"
    """What a function without brackets takes: `one` name, or `all` that is joined to it."""
    bracket: str = "group"
    """Square brackets `group`, or are a `function` of their own, such as the integer part."""
    applied: str = "product"
    """A name before a bracket that never stands alone is a factor (`product`) or a `function`."""
    log: str = "e"
    """The base of a logarithm without one: `e`, `10` or `2`."""
    e: str = "constant"
    i: str = "constant"


MEANINGS = {
    "slash": ("one", "all"),
    "joined": ("one", "all"),
    "bracket": ("group", "function"),
    "applied": ("product", "function"),
    "log": ("e", "10", "2"),
    "e": ("constant", "variable"),
    "i": ("constant", "variable"),
}


@dataclass
class Met:
    """What a text holds that has several meanings, or decides which are possible."""

    choices: set[str] = field(default_factory=set)
    """Names of fields of Reading that matter."""
    bare: set[str] = field(default_factory=set)
    """Names that stand alone."""
    applied: set[str] = field(default_factory=set)
    """Names that stand before a bracket."""
    single: set[str] = field(default_factory=set)
    """Those of `applied` whose bracket holds one number or name, as a function's does."""
