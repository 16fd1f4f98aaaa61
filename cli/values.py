"""The names that a shell offers as values of options and arguments. A shell leaves files to itself where none fits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args


def domains() -> Iterable[str]:
    """Return the shipped domains."""
    from autodata.domains.domain import DOMAINS

    return DOMAINS


def packs() -> Iterable[str]:
    """Return the packs of prompts that come with the package."""
    from autodata.cli.prompts import OTHER_PACKS
    from autodata.prompts.pack import shipped_packs

    return [*shipped_packs(), *OTHER_PACKS]


def presets() -> Iterable[str]:
    """Return the acceptance policies, ours and those of installed packages."""
    from autodata.domains.acceptance.policies import PRESETS

    return PRESETS


def reviews() -> Iterable[str]:
    """Return which candidates may wait for a person."""
    from autodata.domains.acceptance.borderline import ReviewMode

    return get_args(ReviewMode)


def formats() -> Iterable[str]:
    """Return the export formats, ours and those of installed packages."""
    from autodata.corpus.exporters.registry import EXPORTERS

    return EXPORTERS


def targets() -> Iterable[str]:
    """Return where examples can be pushed to."""
    from autodata.corpus.push import TARGETS

    return TARGETS


def failures() -> Iterable[str]:
    """Return why a round may have failed."""
    from autodata.checkpoints.records import FailureMode

    return FailureMode


def served_graphs() -> Iterable[str]:
    """Return the graphs that a server serves."""
    from autodata.serving.exports import EXPORTS

    return EXPORTS


def trackers() -> Iterable[str]:
    """Return the trackers that a search can send its figures to."""
    from autodata.nodes.optimizer.settings import TrackerName

    return get_args(TrackerName)
