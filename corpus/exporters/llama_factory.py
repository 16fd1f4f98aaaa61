"""LLaMA-Factory: chats and pairs, and the `dataset_info.json` that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autodata.checkpoints.texts import json_text
from autodata.corpus.exporters.dpo import pair
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.jsonl import split_files
from autodata.corpus.exporters.messages import chat
from autodata.corpus.exporters.rows import ExportSet

TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


def export_llama_factory(data: ExportSet, out: Path | None) -> int:
    """Write `sft_SPLIT.jsonl`, `dpo_SPLIT.jsonl` and `dataset_info.json`. Returns how many chats there were.

    Raises UserError and RunFailed as `write_folder`.
    """
    chats = {
        f"sft_{name}": [one for row in rows if (one := chat(row, answers=data.answers))]
        for name, rows in data.splits.items()
    }
    pairs = {
        f"dpo_{name}": [_ranked(one) for row in rows if (one := pair(row, answers=data.answers))]
        for name, rows in data.splits.items()
    }
    info: dict[str, Any] = {}
    for name in chats:
        columns = {"messages": "messages"}
        info[f"autodata_{name}"] = _entry(name, columns)
    for name in pairs:
        columns = {"messages": "messages", "chosen": "chosen", "rejected": "rejected"}
        info[f"autodata_{name}"] = _entry(name, columns) | {"ranking": True}
    contents = split_files(chats) | split_files(pairs)
    contents["dataset_info.json"] = json_text(info, indent=2) + "\n"
    write_folder(out, "llama-factory", contents)
    return sum(map(len, chats.values()))


def _entry(name: str, columns: dict[str, str]) -> dict[str, Any]:
    return {"file_name": f"{name}.jsonl", "formatting": "sharegpt", "columns": columns, "tags": TAGS}


def _ranked(found: dict[str, Any]) -> dict[str, Any]:
    """Return a pair as LLaMA-Factory ranks: one message each, after the conversation so far."""
    known = {name: value for name, value in found.items() if name != "prompt"}
    return {**known, "messages": found["prompt"], "chosen": found["chosen"][0], "rejected": found["rejected"][0]}
