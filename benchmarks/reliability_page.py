"""The tables of docs/reliability.md from docs/reliability.json: `python -m benchmarks.reliability_page` writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from benchmarks.confirmed_gaps import DOCS, TABLE, rendered
from benchmarks.judges import noise_table, ways_table

PAGE = DOCS / "reliability.md"
_PART = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def placed(page: str, known: Mapping[str, Any]) -> str:
    """Return the page with its tables as they are now. Raises KeyError for a table that nobody writes."""
    tables = {
        "gaps": rendered(known["gaps"]),
        "noise": noise_table(known["noise"]),
        "ways": "\n".join(ways_table(float(noise), rows) for noise, rows in known["ways"].items()),
    }
    return _PART.sub(lambda match: f"{match[1]}{tables[match[2]]}{match[3]}", page)


if __name__ == "__main__":
    PAGE.write_text(placed(PAGE.read_text("utf-8"), json.loads(TABLE.read_text("utf-8"))), "utf-8")
