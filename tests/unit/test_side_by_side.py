"""How many documents are in work at once follows the endpoints' slots, unless it is set."""

from __future__ import annotations

from typing import Any

import pytest

from autodata.runner.config import RunConfig
from autodata.runner.side_by_side import documents_at_once, side_by_side


def config(models: dict[str, Any], **more: Any) -> RunConfig:
    return RunConfig.model_validate({"models": models, **more})


HTTP = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}


@pytest.mark.parametrize(
    ("models", "more", "expected"),
    [
        ({"default": HTTP}, {}, 24),
        ({"default": HTTP | {"max_concurrency": 128}}, {}, 192),
        ({"default": HTTP | {"max_concurrency": 1}}, {}, 2),
        ({"default": HTTP, "weak_solver": {"model": "w", "max_concurrency": 5}}, {}, 32),
        ({"default": HTTP, "weak_solver": {"max_concurrency": 4}}, {}, 6),
        ({"default": HTTP | {"max_concurrency": 900}}, {}, 1000),
        ({"default": {"provider": "local", "model": "smollm2-135m"}}, {"local": {"n_parallel": 2}}, 3),
        ({"default": HTTP}, {"concurrency": 7}, 7),
        ({}, {}, 1),
    ],
    ids=["stock", "many", "one", "two models", "the least of a model", "the most", "local", "set", "no model"],
)
def test_one_and_a_half_documents_for_each_request(models: dict[str, Any], more: dict[str, Any], expected: int) -> None:
    assert documents_at_once(config(models, **more)) == expected


def test_it_is_said_with_its_reason() -> None:
    assert side_by_side(config({"default": HTTP})) == "At once: 24 documents, for the endpoints take 16 requests"
    assert side_by_side(config({"default": HTTP}, concurrency=1)) == "At once: 1 document (concurrency)"
