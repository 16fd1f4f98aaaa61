"""LangGraph's own conformance suite for checkpoint savers, as the tests of each saver run it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability


async def assert_conforms(
    name: str, opened: Callable[[], AbstractAsyncContextManager[BaseCheckpointSaver[Any]]]
) -> None:
    """Run the whole suite on what `opened` opens: every capability must be there, and nothing may fail."""

    @checkpointer_test(name=name)
    async def savers() -> AsyncGenerator[BaseCheckpointSaver[Any], None]:
        async with opened() as saver:
            yield saver

    report = await validate(savers)
    failures = {name: result.failures for name, result in report.results.items() if result.failures}
    assert failures == {}
    assert {name for name, result in report.results.items() if result.passed} == {cap.value for cap in Capability}
    assert min(result.tests_passed for result in report.results.values()) > 0
