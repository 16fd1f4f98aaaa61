"""The report in a real browser: no errors, filters, plots, keys, dark, a phone's width, axe, and hostile texts."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import DOCUMENTS, PROGRAM, Opened, autodata
from tests.unit.test_report import HOSTILE, write_run

MOST_BYTES = 5_000_000


def shown(page: Page) -> int:
    """How many documents pass the filters, as the page says."""
    return int(page.inner_text("#count").partition(" ")[0].replace(",", ""))


def status(report: Path) -> dict[str, int]:
    command = [PROGRAM, "status", str(report.parent / "run"), "--json"]
    found: dict[str, int] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def violations(page: Page) -> list[str]:
    """What axe finds wrong, in WCAG 2.2 A and AA and its best practices."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}" for one in found]


def test_a_thousand_documents(simulated: Path, opened: Opened) -> None:
    assert simulated.stat().st_size < MOST_BYTES
    page = opened.open(simulated.as_uri())
    counted = status(simulated)
    assert shown(page) == DOCUMENTS
    for outcome in ("accepted", "rejected"):
        page.select_option("[name=outcome]", outcome)
        assert shown(page) == counted[outcome] > 0
    page.select_option("[name=mode]", "too_easy")
    few = shown(page)
    assert 0 < few < counted["rejected"]
    page.fill("[name=low]", "0.99")
    assert shown(page) < few
    page.click("button[type=reset]")
    expect(page.locator("#count")).to_have_text(f"{DOCUMENTS:,} of {DOCUMENTS:,} documents")
    # A word that stands in one document's own text alone.
    page.fill("[name=text]", f"STELLA{DOCUMENTS - 1}.")
    assert shown(page) == 1
    page.click("#list button")
    page.click("details.source summary")
    expect(page.locator("details.source .text")).to_contain_text(f"stella{DOCUMENTS - 1}.")


def test_plots_are_drawn_and_a_point_opens_its_document(simulated: Path, opened: Opened) -> None:
    page = opened.open(simulated.as_uri())
    for title in (
        "Weak against strong",
        "Gap of the rounds",
        "What became of the rounds",
        "Map of the questions",
    ):
        marks = page.locator(f"article:has(h3:text-is('{title}')) figure > svg").first
        box = marks.bounding_box()
        assert box is not None
        assert box["width"] > 200
        assert marks.locator("circle, rect").count() > 5
    point = page.locator("article:has(h3:text-is('Map of the questions')) circle").last
    at = (point.get_attribute("data-at") or "").split(".")
    point.dispatch_event("click")
    assert page.evaluate("location.hash") == f"#doc=0.{at[0]}"
    expect(page.locator(".round[open]")).to_have_attribute("data-n", at[1])


def test_keys(simulated: Path, opened: Opened) -> None:
    page = opened.open(simulated.as_uri())
    page.keyboard.press("j")
    first = page.evaluate("location.hash")
    page.keyboard.press("j")
    assert page.evaluate("location.hash") != first
    page.keyboard.press("k")
    assert page.evaluate("location.hash") == first
    assert page.evaluate("document.activeElement.id") == "detail"
    page.keyboard.press("n")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.key") == "0.0"
    page.keyboard.press("/")
    page.keyboard.type("stella1")
    assert page.input_value("[name=text]") == "stella1"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "outcome"


def test_what_changed_since_the_round_before(simulated: Path, opened: Opened) -> None:
    page = opened.open(simulated.as_uri())
    page.select_option("[name=outcome]", "accepted")
    page.select_option("[name=mode]", "too_easy")
    page.click("#list button")
    page.locator(".round[open] summary:has-text('What changed since')").click()
    expect(page.locator(".round[open] ins")).not_to_have_count(0)  # they are made a moment after it opens
    assert page.locator(".round[open] del").count() > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_in_light_and_dark_wide_and_narrow(
    scheme: str, width: int, simulated: Path, opened: Opened
) -> None:
    opened.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    opened.page.set_viewport_size({"width": width, "height": 900})
    page = opened.open(simulated.as_uri())
    page.click("#list button")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(13, 17, 23)")
    assert violations(page) == []
    # Nothing is wider than the window: what is, scrolls within its own frame.
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_axe_would_find_something(real: Path, opened: Opened) -> None:
    page = opened.open(real.as_uri())
    page.evaluate("document.querySelector('[name=outcome]').parentNode.replaceWith(document.createElement('select'))")
    assert any(found.startswith("select-name") for found in violations(page))


def test_on_a_phone_the_list_gives_way_to_the_document(real: Path, opened: Opened) -> None:
    opened.page.set_viewport_size({"width": 390, "height": 844})
    page = opened.open(real.as_uri())
    page.click("#list button")
    expect(page.locator("#list")).to_be_hidden()
    expect(page.locator("#detail")).to_be_visible()
    page.click("#back")
    expect(page.locator("#list")).to_be_visible()


def test_a_real_models_run(real: Path, opened: Opened) -> None:
    page = opened.open(real.as_uri())
    counted = status(real)
    assert shown(page) == 5
    for title in ("Weak against strong", "Gap of the rounds", "What became of the rounds", "Map of the questions"):
        assert page.locator(f"article:has(h3:text-is('{title}')) figure > svg").locator("circle, rect").count() > 0
    page.select_option("[name=outcome]", "accepted")
    assert shown(page) == counted["accepted"] > 0
    page.click("#list button")
    expect(page.locator("#detail")).to_contain_text("strong solver, attempt 1")
    page.click("button[type=reset]")
    page.fill("[name=text]", "chlorides")  # one document's word
    assert shown(page) == 1
    page.click("button[type=reset]")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert page.locator("#detail .round").count() > 0
    assert page.locator("#detail .round > div:not(:empty)").count() == 1  # what is not open is not made yet
    assert violations(page) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str, tmp_path: Path, opened: Opened) -> None:
    with ThreadPoolExecutor(1) as other:  # Playwright's own loop runs in this thread
        other.submit(lambda: asyncio.run(write_run(tmp_path / "run", question=text, answer=text, name=text))).result()
    autodata("report", tmp_path / "run", "--out", tmp_path / "report.html", within=tmp_path)
    opened.page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
    page = opened.open((tmp_path / "report.html").as_uri())
    page.click("#list button")
    while page.locator("#detail details:not([open])").count():  # what is opened may hold more
        page.evaluate("document.querySelectorAll('#detail details').forEach((one) => { one.open = true; })")
        page.wait_for_timeout(50)
    assert page.locator("#detail img, #detail script, #detail b, #detail svg, #list img, #list svg").count() == 0
    assert page.evaluate("document.scripts.length") == 1  # the page's own; its data is taken out when it is read
    kept = text.replace("\x00", "").replace("\x1b", "")
    visible = page.inner_text("#list")
    assert all(word in visible for word in kept.split() if word.isascii())


@pytest.fixture
def going(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """`autodata view` on a simulated run that goes on, and its folder."""
    (tmp_path / "autodata.toml").write_text('domain = "facts"\nmodels.default = {provider = "simulated"}\n')
    documents = tmp_path / "documents.jsonl"
    documents.write_text(
        "\n".join(json.dumps({"text": f"Station {n} kept {n + 17} readings in {1900 + n}. " * 4}) for n in range(400))
    )
    command = [PROGRAM, "run", "--config", "autodata.toml", "--documents", str(documents), "--out", "run"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        status = [PROGRAM, "status", "run", "--json"]
        while subprocess.run(status, cwd=tmp_path, capture_output=True, check=False).returncode:
            assert run.poll() is None
        command = [PROGRAM, "view", "run", "--no-browser"]
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as view:
            assert view.stderr is not None
            said = view.stderr.readline()
            yield said.partition(" ")[0], tmp_path / "run"
            view.terminate()
        run.terminate()


def test_a_run_that_goes_on_is_seen_to_go_on(going: tuple[str, Path], opened: Opened) -> None:
    address, _ = going
    page = opened.open(address)

    def finished() -> int:
        page.click("button[type=reset]")
        for outcome in page.locator("[name=outcome] option").all():
            if outcome.get_attribute("value") == "accepted":
                page.select_option("[name=outcome]", "accepted")
                return shown(page)
        return 0

    before = finished()
    for _ in range(60):
        page.wait_for_timeout(1_000)
        with page.expect_navigation():
            page.click("#again")
        page.wait_for_selector("html[data-ready]")
        if finished() > before:
            break
    assert finished() > before
    page.fill("[name=text]", "station 1")
    with page.expect_navigation():
        page.click("#again")
    page.wait_for_selector("html[data-ready]")
    assert page.input_value("[name=text]") == "station 1"  # filters stay
