"""The saver against LangGraph's own conformance suite for checkpoint savers."""

from __future__ import annotations

from pathlib import Path

from autodata.checkpoints.saver import open_saver
from tests.support.conformance import assert_conforms


async def test_saver_passes_the_whole_conformance_suite(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    # One file for all suites, as in a run: nothing may depend on starting empty.
    await assert_conforms("FileSaver", lambda: open_saver(path))
