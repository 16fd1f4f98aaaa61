"""The task types there are: those that come with the package, and those of entry points `autodata.task_types`."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.registry import Registry
from autodata.domains.tasks import plugin
from autodata.domains.tasks.base import TaskType
from autodata.domains.tasks.legal import LegalTask
from autodata.domains.tasks.plugin import SPEC, checked_task_type, hashed, load_task_type
from autodata.domains.tasks.reference import ReferenceTask
from autodata.domains.tasks.rubric import RubricTask
from autodata.domains.tasks.verifiable import VerifiableTask


def _accepted(_: str, found: Any) -> TaskType:
    return checked_task_type(found() if isinstance(found, type) else found)


TASK_TYPES: Registry[TaskType] = Registry(
    "autodata.task_types",
    "kind",
    {
        "rubric": RubricTask(),
        "reference": ReferenceTask(),
        "legal": LegalTask(),
        "verifiable": VerifiableTask(),
    },
    _accepted,
)
"""Each task type by what `kind` calls it."""


def find_task_type(kind: str) -> TaskType:
    """Return a task type by its name, or import `module:attribute`. Raises UserError when it cannot be used."""
    return load_task_type(kind) if SPEC.fullmatch(kind) else TASK_TYPES.find(kind, "kind")


def judge_sees(kind: str) -> str:
    """Return what the judge of a shipped task type sees beside question and answer: `criteria` or `reference`.

    It never sees the other one (rule 6). Empty for a type of one's own, whose `judged_by` alone says what it shows.
    """
    return str(getattr(TASK_TYPES.shipped.get(kind), "judge_sees", ""))


def code_of(kind: str) -> str:
    """Return what names the code of a task type that is not the package's own, `SPEC HASH`; empty for one that is.

    The hash is over the file of its module and of all that this imports from its own folder or package. Raises
    UserError as `find_task_type`.
    """
    if SPEC.fullmatch(kind):
        return plugin.code_of(kind)
    find_task_type(kind)
    spec = TASK_TYPES.spec(kind)
    return hashed(spec) if spec else ""
