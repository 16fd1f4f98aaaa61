"""The table of the code's structure in docs/architecture.md is of the code as it is, and its counts count."""

from __future__ import annotations

from itertools import pairwise

import pytest

from docs import metrics

pytestmark = pytest.mark.slow  # every module is parsed, and one simulated run stands in it


def test_the_table_is_of_today() -> None:
    text = metrics.PAGE.read_text("utf-8")
    assert metrics.rendered(text) == text, "make docs"
    assert f"| {metrics.FIGURES['chain'][0]} |" in text


def test_every_link_of_the_longest_chain_is_an_import() -> None:
    chain = metrics.longest_chain()
    assert all(later in metrics.imported(earlier) for earlier, later in pairwise(chain))
    assert metrics.imported(chain[-1]) == set()


def test_what_is_counted_is_found() -> None:
    assert {"autodata.checkpoints.ledger", "autodata.checkpoints.queries.rounds"} <= set(metrics.with_sql())
    assert "autodata.nodes.challenger" not in metrics.with_sql()
    assert {"autodata.prompts.roles", "autodata.domains.domain"} <= set(metrics.with_roles())
    assert "autodata.checkpoints.ledger" not in metrics.with_roles()


def test_frames_lead_from_the_command_to_the_model() -> None:
    found = metrics.frames()
    assert found[:2] == ["autodata.cli.app:Commands.invoke", "autodata.cli.run:run"]
    assert found[-1].startswith("autodata.models.role_model:")
    assert any(frame.startswith("autodata.nodes.") for frame in found)
    assert len(found) == len(set(found))
