"""What one call of `autodata run` did, here or on a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autodata.runner.outcome import Outcome


@dataclass(frozen=True)
class Sitting:
    """What one call of the command did."""

    outcome: Outcome
    summary: dict[str, Any]
    examples: list[dict[str, Any]]

    @property
    def exit_code(self) -> int:
        """0 when it ended as asked (all documents, a target or a budget), 1 when something is left to do."""
        return int(self.outcome.failed or bool(self.outcome.errored))
