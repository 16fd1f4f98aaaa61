"""Lines hold no types: the card beside them names those of every column, and every row has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from autodata.corpus.exporters.columns import features
from autodata.corpus.exporters.parquet import schema_of
from autodata.corpus.exporters.registry import EXPORTERS
from autodata.corpus.exporters.rows import ExampleRow
from autodata.corpus.exporters.turns import TurnRow
from autodata.corpus.exporters.verl import VerlRow
from tests.unit.test_export import data, rich

PLAIN = {"string": str, "int64": int, "float64": float, "bool": bool}
LINES = ("jsonl", "messages", "dpo", "verifiers", "inspect", "nemo-gym", "llama-factory")


def head_of(folder: Path) -> dict[str, Any]:
    known: dict[str, Any] = yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n", 2)[1])
    return known


def holds(column: dict[str, Any], value: Any) -> bool:
    """Whether a value is of a column's type, as a card names it."""
    if "dtype" in column:
        return value is None or type(value) is PLAIN[column["dtype"]]
    if "list" in column:
        inner = column["list"]
        item = {"dtype": inner} if isinstance(inner, str) else {"struct": inner}
        return isinstance(value, list) and all(holds(item, one) for one in value)
    inner = column["struct"]
    return set(value) == set(names_of(inner)) and all(holds(one, value[one["name"]]) for one in inner)


def names_of(columns: list[dict[str, Any]]) -> list[str]:
    return [one["name"] for one in columns]


@pytest.mark.parametrize("name", LINES)
def test_the_card_of_lines_names_every_column_with_its_type(name: str, tmp_path: Path) -> None:
    """Of a row with all that there may be and of one without, for a reader must not take types from the first ones."""
    bare = rich(2, candidate={"question": "q", "reference_answer": "a"}, weak_mean=None, strong_mean=None, gap=None)
    assert bare["rubric"] == []
    EXPORTERS[name](data(train=[bare, rich()], test=[rich(3)]), tmp_path / "out")
    head = head_of(tmp_path / "out")
    typed = {one["config_name"]: one["features"] for one in head["dataset_info"]}
    assert typed.keys() == {one["config_name"] for one in head["configs"]}
    seen = 0
    for config in head["configs"]:
        columns = typed[config["config_name"]]
        assert [file["split"] for file in config["data_files"]] == ["train", "test"]
        for file in config["data_files"]:
            for line in (tmp_path / "out" / file["path"]).read_text("utf-8").split("\n")[:-1]:
                row = json.loads(line)
                seen += 1
                assert set(row) == set(names_of(columns))
                assert [one["name"] for one in columns if not holds(one, row[one["name"]])] == []
    assert seen >= 3


def test_a_value_of_another_type_would_be_found() -> None:
    (weights,) = [one for one in features(ExampleRow) if one["name"] == "rubric"]
    assert holds(weights, rich()["rubric"])
    assert not holds(weights, [{**rich()["rubric"][0], "weight": 3.0}])
    assert not holds(weights, [{"criterion": "c"}])


@pytest.mark.parametrize("row_type", [ExampleRow, TurnRow, VerlRow])
def test_types_of_lines_are_those_of_parquet(row_type: Any) -> None:
    def typed(column: dict[str, Any]) -> str:
        if "dtype" in column:
            return str(column["dtype"]).replace("float64", "double")
        if isinstance(column.get("list"), str):
            return f"list<element: {column['list']}>".replace("float64", "double")
        inner = ", ".join(f"{one['name']}: {typed(one)}" for one in column.get("list") or column["struct"])
        return f"list<element: struct<{inner}>>" if "list" in column else f"struct<{inner}>"

    found = {field.name: str(field.type).replace("list<item:", "list<element:") for field in schema_of(row_type)}
    assert found == {one["name"]: typed(one) for one in features(row_type)}


def test_the_card_says_how_many_skills_it_leaves_out(tmp_path: Path) -> None:
    skilled = [rich(n, candidate={"question": f"q{n}", "skills": [f"skill {n}"]}) for n in range(14)]
    EXPORTERS["messages"](data(*skilled), tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert text.count("| skill: ") == 12
    assert "Left out: 2 rarer ones by skill.\n" in text


def test_a_split_without_rows_is_not_named_and_parquet_needs_no_types(tmp_path: Path) -> None:
    """`datasets` cannot load a file without rows. A pair may lack where there is an example."""
    alike = rich(2)
    alike["attempts"] = []
    EXPORTERS["dpo"](data(train=[rich()], test=[alike]), tmp_path / "dpo")
    assert [file["split"] for file in head_of(tmp_path / "dpo")["configs"][0]["data_files"]] == ["train"]
    EXPORTERS["hf"](data(rich()), tmp_path / "hf")
    assert "dataset_info" not in head_of(tmp_path / "hf")
    (path,) = (tmp_path / "hf" / "data").iterdir()
    assert pq.read_schema(path) == schema_of(ExampleRow)
