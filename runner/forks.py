"""What the ledger says of forks, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def reported_of(row: Mapping[str, Any]) -> str:
    """Return a row of table `forks` in a few words."""
    if row["changed"] == "feedback":
        return f"feedback after round {row['n']} changed"
    fields = ", ".join(json.loads(row["change"]))
    return f"candidate of round {row['n']} changed: {fields}"
