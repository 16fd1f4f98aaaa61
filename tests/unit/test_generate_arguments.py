"""What `generate` takes: documents, models and keywords, and the one line it refuses the rest with."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel

from autodata.checkpoints.errors import UserError
from autodata.corpus.documents import read_documents
from autodata.jobs.arguments import KEYS, Options, configuration_of, sources_of
from autodata.jobs.generate import agenerate, generate
from autodata.models.config import ModelSettings
from autodata.runner.chat_models import laid_over
from autodata.runner.config import RunConfig

TEXT = "A valve keeps the pressure.\n\nIt opens at nine bar, and closes at seven."


def configured(**given: Any) -> RunConfig:
    named: dict[str, Any] = {"domain": None, "models": None, "target": None, "out": None, "config": None}
    options = {name: value for name, value in given.items() if name not in named}
    return configuration_of(**{**named, **{k: v for k, v in given.items() if k in named}}, options=options)


def test_documents_are_paths_texts_records_and_iterables_of_them(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text(TEXT, "utf-8")
    assert sources_of(None) == []
    assert sources_of(file) == sources_of(str(file)) == [file]
    assert sources_of(TEXT) == [{"text": TEXT}]
    assert sources_of({"text": "x"}) == [{"text": "x"}]
    assert sources_of(item for item in [file, {"text": "x"}, TEXT]) == [file, {"text": "x"}, {"text": TEXT}]
    assert sources_of(["word " * 61]) == [{"text": "word " * 61}]


def test_both_calls_take_the_same() -> None:
    assert signature(generate).parameters == signature(agenerate).parameters


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ("papers", r"documents: no such file or folder 'papers': check the path, or give a short text as"),
        (["a short line"], r"documents\[0\]: no such file"),
        ("", "no such file"),
        ("a\0b", "no such file"),
        (7, r"documents: give a path, a text, .*, not int"),
        (b"text", "not bytes"),
        ([TEXT, 7], r"documents\[1\]: .*, not int"),
    ],
    ids=repr,
)
def test_what_is_no_document_is_refused(documents: object, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        sources_of(documents)
    assert "\n" not in str(refused.value)


def test_a_text_that_looks_like_a_path_does_not_make_its_file_be_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(TEXT, "utf-8")
    with pytest.raises(UserError, match=r"documents\[1\] is a path and documents\[0\] a text"):
        sources_of([TEXT, str(secret)])
    assert sources_of([TEXT, {"text": str(secret)}]) == [{"text": TEXT}, {"text": str(secret)}]


def test_records_are_read_as_lines_of_jsonl_are(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text(f"# Valves\n{TEXT}", "utf-8")
    records: list[Mapping[str, Any] | Path] = [
        {"text": TEXT, "id": 7, "title": "On valves", "more": 1},
        {"text": f"# Heading\n{TEXT}"},
        {"text": None},
        {"text": TEXT},
        tmp_path / "b.md",
    ]
    first, second, third, fourth, fifth = read_documents(records)
    assert (first.name, getattr(first, "title", "")) == ("7", "On valves")
    assert (second.name, getattr(second, "title", "")) == ("documents[1]", "Heading")
    assert (third.name, getattr(third, "reason", "")) == ("documents[2]", 'no "text"')
    assert getattr(fourth, "reason", "") == "the same text as 7"
    assert (fifth.name, getattr(fifth, "title", "")) == ("b.md", "Valves")


def test_every_option_has_its_key_and_arrives() -> None:
    assert set(KEYS) == set(Options.__annotations__)
    config = configured(
        domain="facts",
        models="simulated:strong",
        target=3,
        preset="majority",
        seed=5,
        max_rounds=2,
        concurrency=4,
        limit=9,
        max_usd=1.5,
        max_calls=10,
        max_tokens=1000,
        max_seconds=60,
    )
    assert (config.domain, config.target, config.acceptance, config.seed) == ("facts", 3, "majority", 5)
    assert (config.max_rounds, config.concurrency, config.limit) == (2, 4, 9)
    budget = config.budget
    assert (budget.max_usd, budget.max_calls, budget.max_tokens, budget.max_seconds) == (1.5, 10, 1000, 60)
    assert {(s.provider, s.model) for s in config.roles().values()} == {("simulated", "strong")}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_dolars": 1}, r"unknown keyword 'max_dolars': did you mean"),
        ({"max_call": 1}, "did you mean 'max_calls'"),
        ({"zzz": 1}, "unknown keyword 'zzz': known are documents, domain"),
        ({"max_calls": 0}, r"budget\.max_calls"),
        ({"preset": "no-such"}, "acceptance"),
        ({"domain": "no-such"}, "unknown domain 'no-such'"),
        ({"models": "gpt"}, r"models\.default: 'gpt': write 'provider:model'"),
        ({"models": {"weak_solver": "gpt"}}, r"models\.weak_solver: 'gpt'"),
        ({"models": {"judge": "openai:gpt"}}, r"unknown key 'models\.judge'"),
        ({"models": {"default": 7}}, r"models\.default: int is no model"),
        ({"models": 7}, "models: give 'provider:model'.*not int"),
        ({"config": 7}, "config: give a file.*not int"),
        ({"config": {"colour": 1}}, "unknown key 'colour'"),
        ({"config": {"models": 7}}, "models"),
        ({"config": {"budget": 7}, "max_calls": 3}, "budget"),
        ({"config": "no-such.toml"}, r"no-such\.toml: no such configuration"),
    ],
    ids=repr,
)
def test_what_cannot_be_is_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        configured(**given)
    assert "\n" not in str(refused.value)


def test_the_working_directorys_configuration_is_not_read_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("autodata.toml").write_text('[models.weak_solver]\nmodel = "m"\nbase_url = "https://elsewhere.example/v1"\n')
    assert configured(models="simulated:strong").models.weak_solver == ModelSettings()
    assert configured(config="autodata.toml").models.weak_solver.model == "m"


def test_one_model_plays_every_role_and_takes_the_place_of_all_tables() -> None:
    config = {"models": {"weak_solver": {"model": "paid", "base_url": "https://elsewhere.example/v1"}}}
    roles = configured(config=config, models="simulated:strong").roles()
    assert {(s.provider, s.model, s.base_url) for s in roles.values()} == {("simulated", "strong", None)}
    assert config["models"]["weak_solver"]["model"] == "paid", "what was given is not changed"


def test_a_string_replaces_a_table_and_settings_lie_over_it() -> None:
    table = {"provider": "openai", "model": "a", "base_url": "http://127.0.0.1:1/v1", "temperature": 0.5}
    over = laid_over({"weak_solver": "ollama:llama3:8b"}, {"weak_solver": table})
    assert over == {"weak_solver": {"provider": "ollama", "model": "llama3:8b"}}
    assert laid_over({"weak_solver": {"model": "b"}}, {"weak_solver": table}) == {
        "weak_solver": {**table, "model": "b"}
    }
    chat = GenericFakeChatModel(messages=iter([]))
    assert laid_over({"default": chat}, {"default": table})["default"]["provider"] == "own"
