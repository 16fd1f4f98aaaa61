"""Shared by all stages: where the examples are, and what a skipped test means on a build machine."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("project", deadline=None)  # a busy machine is no defect
settings.register_profile("quick", deadline=None, max_examples=10)  # for `make test`; `make slow` tries all 100
settings.load_profile("project")

# Whoever runs the tests may trace to LangSmith; the tests must not.
for variable in ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY", "LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
    os.environ.pop(variable, None)

STRICT_STAGES = ("browser", "e2e", "kill", "exports", "nemo_gym", "pgbouncer")
REAL_MODELS = ("test_demo.py", "test_local_server.py", "test_science_local.py")
"""These keep every core busy: side by side they would only wait for each other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of real servers may talk to this machine, and to nothing else.

    A file of them stays on one worker, for its tests share servers, and so do all files with real models.
    """
    for item in items:
        path = Path(item.fspath)
        if path.parent.name in STRICT_STAGES:
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1", "::1"]))
            item.add_marker(pytest.mark.xdist_group("real models" if path.name in REAL_MODELS else path.stem))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while modules are imported: that makes a million objects, and next to no garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Spare the garbage collector what every test shares, a million objects of modules: a seventh of the time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """On a build machine a skipped end-to-end or kill test is a failure: nobody would notice that it never ran."""
    report = yield
    if report.skipped and os.environ.get("CI") and Path(item.fspath).parent.name in STRICT_STAGES:
        report.outcome = "failed"
    return report
