"""A challenger's turns as its training data: chats of the accepted ones, and all of them with a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from autodata.corpus.exporters.card import card, filled
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.parquet import parquet_bytes
from autodata.corpus.exporters.rows import ExportSet
from autodata.corpus.exporters.turns import ChatRow, TurnRow, chat_of


def export_challenger(data: ExportSet, out: Path | None) -> int:
    """Write the turns of each split, the accepted ones as chats too, and a card. Returns how many turns there were.

    `datasets` reads them as the configurations `turns` and `sft`. Raises UserError and RunFailed as `write_folder`.
    """
    turns = {name: _path("turns", name) for name in data.turns}
    chats = {name: _path("sft", name) for name in data.turns}
    accepted = {name: [row for row in rows if row["label"]] for name, rows in data.turns.items()}
    files: dict[str, str | bytes] = {}
    for name, rows in data.turns.items():
        files[turns[name]] = parquet_bytes(rows, TurnRow)
        files[chats[name]] = parquet_bytes([chat_of(row) for row in accepted[name]], ChatRow)
    configs = {"turns": filled(data.turns, _path("turns", "{}")), "sft": filled(accepted, _path("sft", "{}"))}
    files["README.md"] = card(data, configs, more=(_section(data.turns),))
    write_folder(out, "challenger", files)
    return sum(map(len, data.turns.values()))


def _path(config: str, split: str) -> str:
    return f"{config}/{split}-00000-of-00001.parquet"


def _section(turns: Mapping[str, Sequence[TurnRow]]) -> str:
    rows = [row for rows in turns.values() for row in rows]
    counted = Counter(row["failure_mode"] or "accepted" for row in rows)
    lines = "\n".join(f"| {name} | {count:,} |" for name, count in sorted(counted.items(), key=lambda one: one[0]))
    return (
        "## Turns of the challenger\n\n"
        f"{len(rows):,} turns: what the challenger was asked, what it wrote, and whether that became an example"
        " (`label`). Configuration `sft` holds the accepted ones as chats.\n\n"
        f"| became | turns |\n|---|---|\n{lines}"
    )
