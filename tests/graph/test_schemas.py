"""The served schemas are those that are checked in; what a caller may fill in never changes unseen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autodata.models.config import ModelSettings
from autodata.prompts.roles import OPTIMIZER_ROLES, ROLES
from autodata.serving.exports import EXPORTS, compiled, offered
from autodata.serving.runtime import CONFIG_VARIABLE, SIMULATED
from tests.support import schemas


@pytest.mark.parametrize("name", EXPORTS)
def test_schemas_are_those_checked_in(name: str) -> None:
    assert schemas.kept(schemas.schemas(name)) == (schemas.FOLDER / f"{name}.json").read_text("utf-8"), "make golden"


def test_there_is_a_file_of_every_export_and_no_other() -> None:
    assert {path.stem for path in schemas.FOLDER.iterdir()} == set(EXPORTS)


@pytest.mark.parametrize("name", EXPORTS)
def test_a_context_has_a_model_and_a_prompt_of_each_role_on_a_node_that_there_is(name: str) -> None:
    graph = compiled(name)
    properties: dict[str, Any] = (graph.get_context_jsonschema() or {})["properties"]
    drawn = {node.rpartition(":")[2] for node in graph.get_graph(xray=True).nodes}
    for field, schema in properties.items():
        assert set(schema.get("langgraph_nodes", [])) <= drawn, field
        assert schema.get("langgraph_type") == ("prompt" if field.endswith("_prompt") else None), field
    roles = {field.removesuffix("_model") for field in properties if field.endswith("_model")}
    assert roles <= {*ROLES, *OPTIMIZER_ROLES}
    assert (roles >= {*OPTIMIZER_ROLES}) == (name == "optimizer")
    assert {f"{role}_prompt" for role in roles} | {"feedback_prompt"} == {
        f for f in properties if f.endswith("_prompt")
    }


@pytest.mark.parametrize("name", EXPORTS)
def test_no_setting_of_a_model_can_be_given_by_a_caller(name: str) -> None:
    shown = json.dumps(schemas.schemas(name)["context_schema"])
    properties = json.loads(shown)["properties"]
    assert not {*properties} & {*ModelSettings.model_fields}
    assert "$ref" not in shown, "a nested object could hold what a caller may not choose"
    assert json.loads(shown)["additionalProperties"] is False


def test_every_field_is_described() -> None:
    for name in EXPORTS:
        for kind in ("input_schema", "output_schema", "context_schema"):
            schema = schemas.schemas(name)[kind]
            for field, described in schema["properties"].items():
                assert described.get("description"), (name, kind, field)


@pytest.mark.parametrize("name", EXPORTS)
def test_models_are_a_choice_among_the_profiles_of_the_server(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "server.toml"
    file.write_text(f"{SIMULATED}[serve.profiles.cheap]\nmodel = 'weak'\n", "utf-8")
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    offered.cache_clear()
    graph = offered(name)
    offered.cache_clear()
    properties: dict[str, Any] = (graph.get_context_jsonschema() or {})["properties"]
    plain: dict[str, Any] = (compiled(name).get_context_jsonschema() or {})["properties"]
    assert [*properties] == [*plain]
    listed = ["configured", "simulated-weak", "simulated-strong", "cheap"]
    assert {key: one.pop("enum") for key, one in properties.items() if key.endswith("_model")} == {
        key: listed for key in plain if key.endswith("_model")
    }
    assert properties == plain
    assert graph.output_channels == compiled(name).output_channels
    assert graph.config == compiled(name).config
    assert "human_review" not in graph.nodes or "review" in properties, "a node that asks, where nobody can be asked"
