"""Which estimator, selector and acceptance the settings name."""

from __future__ import annotations

from autodata.nodes.optimizer.acceptance import Acceptance, Sequential, Strict
from autodata.nodes.optimizer.estimate import Estimator, LinesEstimator, MeanEstimator, PosteriorEstimator
from autodata.nodes.optimizer.selectors import Boltzmann, Selector, Thompson
from autodata.nodes.optimizer.settings import OptimizeConfig


def estimator_of(settings: OptimizeConfig) -> Estimator:
    """Return the estimator that `optimize.estimator` names."""
    match settings.estimator:
        case "mean":
            return MeanEstimator()
        case "posterior":
            return PosteriorEstimator(settings.effect)
        case "lines":
            return LinesEstimator(settings.effect)


def selector_of(settings: OptimizeConfig) -> Selector:
    """Return the selector that `optimize.select` names."""
    return Boltzmann(settings.temperature) if settings.select == "boltzmann" else Thompson()


def acceptance_of(settings: OptimizeConfig, documents: int) -> Acceptance:
    """Return the acceptance that `optimize.accept` names, where so many documents are validated on.

    A comparison goes on for `max_blocks` blocks at most: the same few documents again and again say little of others.
    """
    if settings.accept == "strict":
        return Strict(settings.racing, settings.wave, settings.racing_error)
    most = min(settings.most_documents, settings.max_blocks * documents)
    return Sequential(settings.accept_above, settings.reject_below, settings.wave, most)
