"""The served schemas are those that are checked in; what a caller may fill in never changes unseen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autodata.models.config import ModelSettings
from autodata.prompts.roles import OPTIMIZER_ROLES, ROLES
from autodata.serving.exports import EXPORTS, compiled
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
            for field, told in schema["properties"].items():
                assert told.get("description"), (name, kind, field)
