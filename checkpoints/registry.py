"""One registry a kind of part: what comes with the package by its name, and what installed packages add.

A package adds a part by an entry point, whose name is what configuration and commands call it:

    [project.entry-points."autodata.exporters"]
    parquet = "my_package.parquet:export_parquet"

What is installed is looked up when a name is asked for that does not come with the package, or all names are; code is
imported only when a part is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from autodata.checkpoints.errors import UserError

Part = TypeVar("Part")


@dataclass(frozen=True)
class Listed:
    """One part as it is listed."""

    name: str
    source: str
    """The distribution that adds it; empty for a part that comes with the package."""
    problem: str = ""
    """Why it cannot be used; empty when it can."""


class Registry(Mapping[str, Part], Generic[Part]):
    """Parts by name: those of the package first, then those of entry points, which are imported when they are used.

    A name of the package is never replaced: what a run does must not change because something was installed.
    """

    def __init__(
        self, group: str, what: str, shipped: Mapping[str, Part], accept: Callable[[str, Any], Part] | None = None
    ) -> None:
        """`what` is what messages call a part. `accept` turns a name and what its entry point names into a part.

        It raises ValueError, saying what is wrong, for what is none; without it whatever can be called is a part.
        """
        self.group, self.what, self.shipped = group, what, dict(shipped)
        self._accept: Callable[[str, Any], Part] = accept or _callable
        self._loaded: dict[str, Part] = {}

    @cached_property
    def plugins(self) -> Mapping[str, EntryPoint]:
        """The entry points of the group by name, without those that have a shipped name. None is imported."""
        return {point.name: point for point in self._points() if point.name not in self.shipped}

    def __getitem__(self, name: str) -> Part:
        """Return a part. Raises KeyError when there is none of this name, UserError when it cannot be used."""
        if name in self.shipped:
            return self.shipped[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(self.plugins[name])
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is a part of this name. Nothing is imported."""
        return name in self.shipped or name in self.plugins

    def __iter__(self) -> Iterator[str]:
        """Yield the names, those of the package first. Nothing is imported."""
        return iter((*self.shipped, *sorted(self.plugins)))

    def __len__(self) -> int:
        return len(self.shipped) + len(self.plugins)

    def find(self, name: str, option: str) -> Part:
        """Return a part. Raises UserError in one line, naming the parts there are and `option`, where one is chosen."""
        if name not in self:
            raise UserError(f"unknown {self.what} {name!r}: use {option} with one of {', '.join(self)}")
        return self[name]

    def spec(self, name: str) -> str:
        """Return `module:attribute` of a part that an entry point adds; empty for one that comes with the package."""
        return "" if name in self.shipped else self.plugins[name].value.partition("[")[0].strip()

    def listed(self) -> list[Listed]:
        """Return all parts, and why one cannot be used. This imports all of them."""
        found = [Listed(name, "") for name in self.shipped]
        for point in self._points():
            problem = ""
            if point.name in self.shipped:
                problem = f"{self._called(point)}: one of the package has this name: it is left out"
            else:
                try:
                    self._load(point)
                except UserError as error:
                    problem = str(error)
            found.append(Listed(point.name, _distribution(point), problem))
        return found

    def _points(self) -> list[EntryPoint]:
        return sorted(entry_points(group=self.group), key=lambda point: (point.name, point.value))

    def _called(self, point: EntryPoint) -> str:
        return f"{self.what} {point.name!r} ({point.value}, installed by {_distribution(point)})"

    def _load(self, point: EntryPoint) -> Part:
        if others := [one for one in self._points() if one.name == point.name and one.value != point.value]:
            raise UserError(f"{self._called(point)}: {_distribution(others[0])} adds one too: uninstall one of them")
        try:
            found = point.load()
            try:
                return self._accept(point.name, found)
            except ValueError as error:
                problem = f"is no {self.what}: {error}"
        except Exception as error:  # code of others may raise anything while it loads
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(f"{self._called(point)}: cannot be used ({what}): mend it, or uninstall it") from error
        raise UserError(f"{self._called(point)}: {problem}: mend it, or uninstall it")


def _callable(_: str, found: Any) -> Any:
    if not callable(found):
        raise ValueError("it cannot be called")
    return found


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"
