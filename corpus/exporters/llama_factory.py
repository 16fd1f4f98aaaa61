"""LLaMA-Factory: chats and pairs, and the `dataset_info.json` that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autodata.checkpoints.texts import json_text
from autodata.corpus.exporters.card import card, filled
from autodata.corpus.exporters.dpo import Pair, pair
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.jsonl import split_files
from autodata.corpus.exporters.judged import Message
from autodata.corpus.exporters.messages import Chat, chat
from autodata.corpus.exporters.provenance import Provenance
from autodata.corpus.exporters.rows import ExportSet

TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


class Ranked(Provenance):
    """A pair as LLaMA-Factory ranks: one message each, after the conversation so far."""

    id: str
    messages: list[Message]
    chosen: Message
    rejected: Message
    chosen_score: float | None
    rejected_score: float | None
    margin: float
    chosen_reasoning: str
    rejected_reasoning: str


def export_llama_factory(data: ExportSet, out: Path | None) -> int:
    """Write `sft_SPLIT.jsonl`, `dpo_SPLIT.jsonl`, `dataset_info.json` and a card. Returns how many chats there were.

    Raises UserError and RunFailed as `write_folder`.
    """
    chats = {
        name: [one for row in rows if (one := chat(row, answers=data.answers))] for name, rows in data.splits.items()
    }
    pairs = {
        name: [_ranked(found) for row in rows if (found := pair(row, answers=data.answers))]
        for name, rows in data.splits.items()
    }
    info: dict[str, Any] = {}
    for name in chats:
        columns = {"messages": "messages"}
        info[f"autodata_sft_{name}"] = _entry(f"sft_{name}", columns)
    for name in pairs:
        columns = {"messages": "messages", "chosen": "chosen", "rejected": "rejected"}
        info[f"autodata_dpo_{name}"] = _entry(f"dpo_{name}", columns) | {"ranking": True}
    contents = split_files(chats, "sft_") | split_files(pairs, "dpo_")
    configs = {"sft": filled(chats, "sft_{}.jsonl"), "dpo": filled(pairs, "dpo_{}.jsonl")}
    contents["README.md"] = card(data, configs, row_types={"sft": Chat, "dpo": Ranked})
    contents["dataset_info.json"] = json_text(info, indent=2) + "\n"
    write_folder(out, "llama-factory", contents)
    return sum(map(len, chats.values()))


def _entry(name: str, columns: dict[str, str]) -> dict[str, Any]:
    return {"file_name": f"{name}.jsonl", "formatting": "sharegpt", "columns": columns, "tags": TAGS}


def _ranked(found: Pair) -> dict[str, Any]:
    """Return a pair as a row of `Ranked`."""
    known = {name: value for name, value in found.items() if name != "prompt"}
    return {**known, "messages": found["prompt"], "chosen": found["chosen"][0], "rejected": found["rejected"][0]}
