"""Estimators: what the trials of all packs say of each pack's pass rate, and how sure that is.

`mean` is the paper's: a pack's own validation score. The other two are one linear model of all trials, training ones
too: a pack's rate is the baseline's plus the effects of its edits (`posterior`) or of its changed lines (`lines`), so
what is found out about one pack is evidence on its relatives; a document adds an effect of its own. Effects are shrunk
towards none, so that the best of many estimates flatters itself little.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEVEL = 1.959964
"""Standard deviations to either side of a 95% interval."""
LEAST_VARIANCE = 0.05
"""Of a trial, whatever the rates: few trials that all passed prove little."""


@dataclass(frozen=True)
class Evidence:
    """One pack, how it came about, and how its trials came out."""

    pack: str
    iteration: int = 0
    """The iteration that made it; 0 for the baseline."""
    parents: tuple[str, ...] = ()
    """The packs that it was edited from: none for the baseline, two of a merged one."""
    member: bool = True
    """Whether it is one of the population."""
    lines: frozenset[str] = frozenset()
    """What of its lines differs from the baseline: each with its role, and a sign for a line that came or went."""
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By document: trials passed, and trials that did not error; of training and validation."""
    score: Fraction | None = None
    """The mean over its whole validation blocks; None before the first."""
    validated: int = 0
    """Validation trials that did not error, those of unfinished blocks too."""

    @property
    def tried(self) -> int:
        """Trials that did not error."""
        return sum(tried for _, tried in self.counts.values())


class Estimates(Protocol):
    """The rates of some packs: a joint distribution."""

    def rate(self, pack: str) -> float:
        """Return a pack's estimated pass rate, in 0..1. Raises KeyError for a pack without one."""

    def interval(self, pack: str) -> tuple[float, float]:
        """Return the 95% interval of a pack's pass rate, within 0..1."""

    def better(self, one: str, other: str) -> float:
        """Return the probability that the rate of `one` is above that of `other`."""

    def draw(self, packs: Sequence[str], seed: int, count: int) -> list[list[float]]:
        """Return `count` joint draws of the rates of some packs; the same for the same seed."""


class Estimator(Protocol):
    """Estimates pass rates from evidence: the same evidence, the same estimates.

    One of your own is a class with these two methods; `MeanEstimator` is the shortest example.
    """

    @property
    def name(self) -> str:
        """What it is called in reports."""

    def estimate(self, evidence: Sequence[Evidence]) -> Estimates:
        """Return the estimates of every pack of which anything is known. The first is the baseline."""


@dataclass(frozen=True)
class NormalEstimates:
    """`Estimates` as a joint normal distribution."""

    packs: tuple[str, ...]
    means: Sequence[float]
    covariance: Sequence[Sequence[float]] | Any
    """A square of as many rows as packs: nested sequences or an array."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_at", {pack: at for at, pack in enumerate(self.packs)})

    def _place(self, pack: str) -> int:
        places: Mapping[str, int] = self._at  # type: ignore[attr-defined]  # frozen: set when it is made
        return places[pack]

    def rate(self, pack: str) -> float:
        """Return a pack's estimated pass rate, within 0..1."""
        return min(1.0, max(0.0, float(self.means[self._place(pack)])))

    def interval(self, pack: str) -> tuple[float, float]:
        """Return mean -+ 1.96 standard deviations, within 0..1."""
        at = self._place(pack)
        half = LEVEL * math.sqrt(max(0.0, float(self.covariance[at][at])))
        return max(0.0, float(self.means[at]) - half), min(1.0, float(self.means[at]) + half)

    def better(self, one: str, other: str) -> float:
        """Return the probability that the rate of `one` is above that of `other`; one half where nothing is known."""
        a, b, table = self._place(one), self._place(other), self.covariance
        variance = float(table[a][a]) + float(table[b][b]) - 2 * float(table[a][b])
        distance = float(self.means[a]) - float(self.means[b])
        if variance <= 1e-15:
            return 0.5 if distance == 0 else float(distance > 0)
        return 0.5 * (1 + math.erf(distance / math.sqrt(2 * variance)))

    def draw(self, packs: Sequence[str], seed: int, count: int) -> list[list[float]]:
        """Return joint draws. They come from Python's own generator, whose numbers no library's version changes."""
        import numpy as np  # noqa: PLC0415 - commands that only look start without it

        places = [self._place(pack) for pack in packs]
        table = np.asarray(self.covariance)[np.ix_(places, places)]
        values, vectors = np.linalg.eigh(table)
        spread = vectors * np.sqrt(np.maximum(values, 0.0))
        rng = random.Random(seed)  # noqa: S311 - a reproducible draw
        normals = np.array([[rng.gauss(0, 1) for _ in places] for _ in range(count)])
        found: list[list[float]] = (np.asarray(self.means)[places] + normals @ spread.T).tolist()
        return found


@dataclass(frozen=True)
class MeanEstimator:
    """A pack's own validation score: the mean over its whole blocks, else over the trials that there are."""

    name: str = "mean"

    def estimate(self, evidence: Sequence[Evidence]) -> NormalEstimates:
        """Return the scores; packs are independent, and the variance is that of a rate with one trial added."""
        known = [one for one in evidence if one.score is not None or one.tried]
        means = [float(_rate(one)) for one in known]
        variances = [
            max(LEAST_VARIANCE, rate * (1 - rate)) / ((one.validated or one.tried) + 1)
            for rate, one in zip(means, known, strict=True)
        ]
        square = [[v if a == b else 0.0 for b in range(len(known))] for a, v in enumerate(variances)]
        return NormalEstimates(tuple(one.pack for one in known), means, square)


def _rate(one: Evidence) -> Fraction:
    if one.score is not None:
        return one.score
    return Fraction(sum(passed for passed, _ in one.counts.values()), one.tried)


@dataclass(frozen=True)
class PosteriorEstimator:
    """Shrinkage along the lineage: each edit adds an effect, about 0 with a standard deviation of `effect`."""

    effect: float = 0.05
    name: str = "posterior"

    def estimate(self, evidence: Sequence[Evidence]) -> NormalEstimates:
        """Return the joint posterior. A pack that was never tried has its parents' rate, less sure by an edit."""
        edits: dict[str, frozenset[str]] = {}
        scales: dict[str, float] = {}
        for one in evidence:  # parents come before their children
            before = frozenset[str]().union(*(edits.get(parent, frozenset()) for parent in one.parents))
            if one.parents:
                # A merged pack says nothing new: what is left is how its halves get along.
                scales[one.pack] = self.effect / (2 if len(one.parents) > 1 else 1)
            edits[one.pack] = before | {one.pack} if one.parents else before
        return linear(evidence, [edits[one.pack] for one in evidence], scales)


@dataclass(frozen=True)
class LinesEstimator:
    """Ridge regression over changed lines: a line has the same effect in whatever pack it stands."""

    effect: float = 0.05
    name: str = "lines"

    def estimate(self, evidence: Sequence[Evidence]) -> NormalEstimates:
        """Return the joint posterior of the packs' rates."""
        scales = {line: self.effect for one in evidence for line in sorted(one.lines)}
        return linear(evidence, [one.lines for one in evidence], scales)


def linear(
    evidence: Sequence[Evidence], features: Sequence[frozenset[str]], scales: Mapping[str, float]
) -> NormalEstimates:
    """Return the posterior rates of a linear model of trials: baseline, plus features, plus the document's own effect.

    `features` are those of each pack; an effect is normal about 0 with the standard deviation `scales` gives. How much
    documents differ is estimated from the trials.
    """
    import numpy as np  # noqa: PLC0415 - commands that only look start without it

    names = {name: at for at, name in enumerate(scales, 1)}
    design = np.zeros((len(evidence), len(names) + 1))
    design[:, 0] = 1
    for row, present in enumerate(features):
        design[row, [names[name] for name in present]] = 1
    documents = {name: at for at, name in enumerate(dict.fromkeys(d for one in evidence for d in one.counts))}
    passed, tried = np.zeros((2, len(evidence), max(1, len(documents))))
    for row, one in enumerate(evidence):
        places = [documents[name] for name in one.counts]
        values = list(one.counts.values())
        passed[row, places] = [count for count, _ in values]
        tried[row, places] = [count for _, count in values]
    variance, between = _variances(passed, tried)
    precision = np.diag([1.0, *(1 / scale**2 for scale in scales.values())])
    precision += design.T @ (design * tried.sum(1)[:, None]) / variance
    surplus = passed - 0.5 * tried
    target = design.T @ surplus.sum(1) / variance
    if between > 0:
        shared = design.T @ tried / variance
        of_documents = tried.sum(0) / variance + 1 / between
        precision -= (shared / of_documents) @ shared.T
        target -= shared @ (surplus.sum(0) / variance / of_documents)
    covariance = np.linalg.inv(precision)
    means = 0.5 + design @ (covariance @ target)
    return NormalEstimates(tuple(one.pack for one in evidence), means.tolist(), design @ covariance @ design.T)


def _variances(passed: Array, tried: Array) -> tuple[float, float]:
    """Return the variance of a trial given its pack and document, and that between documents."""
    import numpy as np  # noqa: PLC0415 - commands that only look start without it

    total = tried.sum()
    if not total:
        return 0.25, 0.0
    overall = passed.sum() / total
    whole = max(LEAST_VARIANCE, float(overall * (1 - overall)))
    rates = (passed.sum(1) + 4 * overall) / (tried.sum(1) + 4)
    of_document = tried.sum(0)
    seen = of_document > 0
    residuals = (passed - tried * rates[:, None]).sum(0)[seen]
    excess = float((residuals**2 / of_document[seen]).sum()) - whole * int(np.count_nonzero(seen))
    between = min(max(0.0, excess / float(total)), whole / 2)
    return max(LEAST_VARIANCE, whole - between), between


def leader_of(evidence: Sequence[Evidence], estimates: Estimates) -> str:
    """Return the member with the highest estimate; of equals the earliest. Raises ValueError without a member."""
    members = [one for one in evidence if one.member and (one.score is not None or one.tried)]
    if not members:
        raise ValueError("no pack was tried yet")
    return max(members, key=lambda one: (estimates.rate(one.pack), -one.iteration)).pack
