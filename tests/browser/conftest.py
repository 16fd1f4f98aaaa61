"""A headless Chromium of this machine, and reports of runs that are made once for all tests of the stage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROGRAM = str(Path(sys.executable).with_name("autodata"))
DOCUMENTS = int(os.environ.get("AUTODATA_BROWSER_DOCUMENTS", "1000"))
"""Documents of the simulated run; fewer make the stage quicker while one works on it."""
TOPICS = ("valve", "ledger", "glacier", "compiler", "turbine", "antibody", "antenna", "harvest")
SIMULATED = """
domain = "cs"
max_rounds = 2
concurrency = 16
models.default = {provider = "simulated"}
"""


def place(factory: pytest.TempPathFactory, name: str) -> Path:
    """Return the folder of a run: a new one, or where `AUTODATA_BROWSER_RUNS` keeps runs from one call to the next."""
    if kept := os.environ.get("AUTODATA_BROWSER_RUNS"):
        folder = Path(kept).resolve() / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    return factory.mktemp(name)


def document(number: int) -> str:
    """Return one line of a file of documents; each has words that no other has."""
    topic = TOPICS[number % len(TOPICS)]
    parts = [
        f"The {topic} of station {number} kept {17 * part + number} readings. Each reading changes the pressure balance"
        f" of segment {part}, because controllers sample every {part + 2} seconds. Its crew calls it stella{number}."
        for part in range(1, 6)
    ]
    return json.dumps({"title": f"The {topic} {number}", "text": "\n\n".join(parts)})


def autodata(*arguments: str | Path, within: Path) -> str:
    """Run a command; return what it says on standard error."""
    command = [PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, cwd=within, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def run_of(folder: Path, config: str, documents: Path) -> Path:
    """Make a run and its report, where it is not there yet; return the report."""
    if (folder / "report.html").is_file():
        return folder / "report.html"
    (folder / "autodata.toml").write_text(config)
    autodata("run", "--config", "autodata.toml", "--documents", documents, "--out", folder / "run", within=folder)
    autodata("report", folder / "run", "--out", folder / "report.html", within=folder)
    return folder / "report.html"


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a simulated run of 1,000 documents."""
    folder = place(tmp_path_factory, "simulated")
    (folder / "documents.jsonl").write_text("\n".join(map(document, range(DOCUMENTS))))
    return run_of(folder, SIMULATED, folder / "documents.jsonl")


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of `autodata demo`: a run with a real model on this machine, some of whose examples were accepted."""
    folder = place(tmp_path_factory, "real")
    if not (folder / "report.html").is_file():
        autodata("demo", "--out", folder / "run", within=folder)
        autodata("report", folder / "run", "--out", folder / "report.html", within=folder)
    return folder / "report.html"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail(f"no browser: install one of {', '.join(NAMES)}")
    with sync_playwright() as playwright:
        # As root, as in most containers, Chromium starts without its sandbox alone; it opens our own pages only.
        browser = playwright.chromium.launch(executable_path=found, chromium_sandbox=os.geteuid() != 0)
        yield browser
        browser.close()


class Opened:
    """A page with what it said on the console and what it asked of other places."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def open(self, address: str) -> Page:
        self.page.goto(address)
        self.page.wait_for_selector("html[data-ready]", timeout=120_000)
        return self.page


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """A page that must have said nothing and asked nobody by the end of the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    found = Opened(context.new_page())
    yield found
    context.close()
    assert found.said == []
    assert [one for one in found.asked if not one.startswith(("file:", "http://127.0.0.1:"))] == []
