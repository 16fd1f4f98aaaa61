"""The example of the README: real, as its file has it, and decided as the code decides."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from autodata.domains.acceptance.policies import PRESETS, Counts
from autodata.domains.domain import DOMAINS
from autodata.examples import documents_folder
from docs import example as module

EXAMPLE: dict[str, Any] = json.loads(module.FILE.read_text("utf-8"))


def test_the_readme_shows_the_example_as_its_file_has_it() -> None:
    page = module.README.read_text("utf-8")
    assert page.count("<!-- generated: example -->") == 1
    assert page == module.rendered(page, EXAMPLE), "type: make docs"


def test_another_example_makes_another_page() -> None:
    page = module.README.read_text("utf-8")
    other = EXAMPLE | {"candidate": EXAMPLE["candidate"] | {"question": "Which other one?"}}
    changed = module.rendered(page, other)
    assert "**Question**: Which other one?" in changed
    assert module.rendered(changed, EXAMPLE) == page


def test_it_was_asked_of_a_shipped_document() -> None:
    text = " ".join((documents_folder() / EXAMPLE["document"]).read_text("utf-8").split())
    assert " ".join(EXAMPLE["passage"].split()) in text


def test_its_verdict_follows_from_its_marks() -> None:
    facts = DOMAINS["facts"]
    policy = PRESETS[EXAMPLE["verdict"]["preset"]]
    assert isinstance(policy, Counts)
    right = {
        stage: sum(attempt["score"] == "1" for attempt in EXAMPLE["attempts"] if attempt["stage"] == stage)
        for stage in ("weak", "strong")
    }
    assert right["weak"] <= policy.weak_right
    assert right["strong"] >= policy.strong_right
    assert EXAMPLE["verdict"]["decision"] == "accept"
    for attempt in EXAMPLE["attempts"]:
        assert attempt["score"] == str(int(all(mark["met"] for mark in attempt["marks"])))
        assert attempt["saw_the_source"] is (attempt["stage"] == "strong" and facts.privileged_strong)


@pytest.mark.parametrize("text", ["a|b", "<b>", "*x* _y_ `z` [link](there)", "two\nlines"])
def test_a_strangers_text_is_shown_and_not_acted_on(text: str) -> None:
    attempts = [EXAMPLE["attempts"][0] | {"answer": text}]
    row = next(
        line for line in module.markdown(EXAMPLE | {"attempts": attempts}).splitlines() if line.startswith("| weak")
    )
    assert len(re.findall(r"(?<!\\)\|", row)) == 4
    assert not re.search(r"(?<!\\)[<>*_`\[]", row)


async def test_only_what_was_accepted_can_be_shown(tmp_path: Path) -> None:
    from autodata.checkpoints.errors import UserError
    from autodata.checkpoints.ledger import Ledger

    async with Ledger.open(tmp_path / "run.db") as ledger:
        await ledger.save(documents=[{"document_id": "d", "name": "a.md", "status": "rejected"}])
    with pytest.raises(UserError, match="was not accepted"):
        await module.taken(tmp_path, "a.md")
