"""The picture of a search in a report: every validated pack at its iteration and rate, and what came of which."""

from __future__ import annotations

from autodata.corpus.reporting.plots import SIDE, Dot, Line, Picture, at, shares
from autodata.corpus.reporting.search import PackScore, Search


def search_picture(search: Search) -> Picture:
    """Lay out the packs: dots with their 95% intervals, lines from parents to children, the baseline's rate across.

    Lines on the way from the baseline to the best so far are of the kind `best`.
    """
    last = max((row.n for row in search.iterations), default=0) or 1
    known = {one.pack: one for one in search.packs}
    ancestors = _ancestors(known)

    def place(one: PackScore) -> tuple[float, float]:
        return round(one.iteration / last * SIDE, 1), SIDE - at(one.score)

    lines = [Line(0, place(one)[1], SIDE, place(one)[1], "baseline", "gate") for one in search.packs[:1]]
    for one in search.packs:
        x, y = place(one)
        for parent in one.parents:
            if parent in known:
                kind = "best" if one.pack in ancestors and parent in ancestors else "edge"
                lines.append(Line(*place(known[parent]), x, y, kind=kind))
        if one.low is not None and one.high is not None:
            lines.append(Line(x, SIDE - at(one.low), x, SIDE - at(one.high), kind="interval"))
    dots = [
        Dot(*place(one), "best" if one.winner else "yes" if one.member else "no", -1, one.iteration, _label(one))
        for one in search.packs
    ]
    step = max(1, last // 8)
    ticks = [(n / last * SIDE, str(n)) for n in range(0, last + 1, step)]
    return Picture(lines, dots, (), ticks, [(SIDE - at(share), text) for share, text in shares()])


def _label(one: PackScore) -> str:
    name = f"iteration {one.iteration}" if one.iteration else "baseline"
    return f"{name}, {one.pack}: {one}"


def _ancestors(known: dict[str, PackScore]) -> set[str]:
    """Return the best pack so far and all that it descends from."""
    found: set[str] = set()
    left = [one.pack for one in known.values() if one.winner]
    while left:
        name = left.pop()
        if name in known and name not in found:
            found.add(name)
            left += known[name].parents
    return found
