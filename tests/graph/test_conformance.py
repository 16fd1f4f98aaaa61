"""The saver against LangGraph's own conformance suite for checkpoint savers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability

from autodata.checkpoints.saver import open_saver


async def test_saver_passes_the_whole_conformance_suite(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"

    # One file for all suites, as in a run: nothing may depend on starting empty.
    @checkpointer_test(name="FileSaver")
    async def savers() -> AsyncGenerator[BaseCheckpointSaver[str], None]:
        async with open_saver(path) as saver:
            yield saver

    report = await validate(savers)

    failures = {name: result.failures for name, result in report.results.items() if result.failures}
    assert failures == {}
    assert {name for name, result in report.results.items() if result.passed} == {cap.value for cap in Capability}
    assert min(result.tests_passed for result in report.results.values()) > 0
