"""Layer 1 of the legal loop: every rule, what breaks it and what only looks like it."""

from __future__ import annotations

import pytest

from autodata.domains.tasks.legal_filters import POST_FILTERS, flags

FINE = "My landlord kept my deposit and says the carpet was worn. What can I do, and what do I risk?"

# Rule, a text that breaks it and no other, and one that does not.
RULES = [
    ("over_1000_characters", "x" * 1001, "x" * 1000),
    ("court_of_appeals", "The Court of  Appeals decided this.", "The court of appeal is in town."),
    ("supreme_court_of", "It is like the Supreme Court of Ohio said.", "Would the supreme court often care?"),
    ("in_the_case_of", "What happens in the case of Smith?", "What happens in that case of mine?"),
    ("in_re", "It is as In re Gault put it.", "It is certain records that I lack, in re-sent mail."),
    ("you_are_an", "You are an attorney. Advise me.", "Are you and your firm ready? You are another lawyer."),
    ("act_as", "Act as my lawyer.", "Is the contract as signed binding? They act astonished."),
    ("as_a_law_clerk", "Tell me as a law clerk would.", "I was hired as a law clerkship ended."),
    ("draft_the_arguments", "Please draft the\narguments.", "Please draft the argument."),
    ("draft_the_brief", "Then draft the brief.", "Then draft the briefing note."),
    ("the_trial_court_held", "The trial court held a view.", "The trial court heard us."),
    ("on_appeal", "I lost on appeal.", "I want to go on appealing."),
    ("old_year", "It was built in 1850.", "It was built in 1940 by 18500 people for $1850 and 1,850 more."),
]


def test_there_is_a_test_for_every_rule() -> None:
    assert [name for name, _, _ in RULES] == list(POST_FILTERS)


@pytest.mark.parametrize(("rule", "broken", "kept"), RULES, ids=[name for name, _, _ in RULES])
def test_a_rule(rule: str, broken: str, kept: str) -> None:
    assert list(flags(broken)) == [rule]
    assert flags(broken)[rule]
    assert flags(kept) == {}


@pytest.mark.parametrize("year", ["1800", "1899", "1900", "1939", "1920s", "1890's", "1912-1914"])
def test_an_old_year(year: str) -> None:
    assert list(flags(f"The deed is of {year}.")) == ["old_year"]


@pytest.mark.parametrize("year", ["1799", "1940", "1999", "2024", "19", "190", "€1900", "1900.50", "21900", "AB1900"])
def test_no_old_year(year: str) -> None:
    assert flags(f"The deed is of {year}.") == {}


def test_what_was_found_is_reported() -> None:
    assert flags("x" * 1204)["over_1000_characters"] == "1,204 characters, at most 1,000 are allowed"
    assert flags("We lost ON   APPEAL in 1912.") == {
        "on_appeal": "it says 'ON APPEAL'",
        "old_year": "it names the year 1912",
    }


def test_a_plain_question_breaks_nothing() -> None:
    assert flags(FINE) == {}
