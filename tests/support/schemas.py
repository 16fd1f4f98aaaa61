"""The served JSON schemas as files: `python -m tests.support.schemas` (`make golden`) writes them anew.

A prompt is the default of its field. In a file its text stands as the name of the prompt's own file, so that a changed
prompt is no changed schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import create_model

from autodata.domains.domain import DOMAINS
from autodata.prompts import load_pack
from autodata.serving.exports import EXPORTS, compiled

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "schemas"


def schemas(name: str) -> dict[str, Any]:
    """Return the schemas of an export as a server serves them."""
    graph = compiled(name)
    channels: dict[str, Any] = dict(graph.channels)
    fields: dict[str, Any] = {key: (channels[key].UpdateType, None) for key in graph.stream_channels_list}
    return {
        "input_schema": graph.get_input_jsonschema(),
        "output_schema": graph.get_output_jsonschema(),
        "state_schema": create_model(graph.get_name("State"), **fields).model_json_schema(),
        "context_schema": graph.get_context_jsonschema(),
    }


def kept(of_export: dict[str, Any]) -> str:
    """Return schemas as their file holds them."""
    packs = {"optimizer": load_pack("optimizer")}
    packs |= {name: domain.pack() for name, domain in reversed([*DOMAINS.items()])}
    texts = {
        prompt.text: f"prompts/{name}/{role}.md"
        for name, pack in packs.items()
        for role, prompt in pack.prompts.items()
    }
    short = json.loads(json.dumps(of_export))
    for name, field in short["context_schema"]["properties"].items():
        if name.endswith("_model"):
            field.pop("enum", None)  # the profiles of the server that was asked
        if field.get("default") in texts:
            field["default"] = texts[field["default"]]
    return json.dumps(short, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for export in EXPORTS:
        (FOLDER / f"{export}.json").write_text(kept(schemas(export)), "utf-8")
