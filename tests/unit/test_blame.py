"""Which iteration wrote which line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.nodes.optimizer.blame import Version, blame
from autodata.prompts import PromptPack
from autodata.prompts.pack import parse_prompt

HEAD = "+++\nplaceholders = []\n+++\n# user\n"


def version(iteration: int, score: float | None, body: str, **more: str) -> Version:
    bodies = {"challenger": body, **more}
    return Version(
        iteration,
        score,
        PromptPack("p", {role: parse_prompt(role, HEAD + text, role) for role, text in bodies.items()}),
    )


def test_every_line_has_the_iteration_that_wrote_it_and_what_it_brought() -> None:
    found = blame(
        [
            version(0, 0.5, "one\ntwo\nthree\n", feedback="same\n"),
            version(3, 0.6, "one\n2\nthree\nfour\n", feedback="same\n"),
            version(9, None, "zero\none\n2\nthree\nfour\n", feedback="same\n"),
            version(12, 0.75, "zero\none\n2\nthree\nfour!\n", feedback="same\n"),
        ]
    )
    lines = [(line.number, line.text, line.iteration, line.score) for line in found["challenger"][4:]]
    assert lines == [
        (5, "zero", 9, None),
        (6, "one", 0, 0.5),
        (7, "2", 3, 0.6),
        (8, "three", 0, 0.5),
        (9, "four!", 12, 0.75),
    ]
    assert [line.gain for line in found["challenger"][4:]] == [None, None, pytest.approx(0.1), None, None]
    assert {line.iteration for line in found["challenger"][:4]} == {0}
    assert [line.text for line in found["feedback"]] == [*HEAD.splitlines(), "same"]


def test_a_line_put_back_was_written_anew() -> None:
    found = blame([version(0, 0.5, "a\nb\n"), version(1, 0.6, "a\n"), version(2, 0.7, "a\nb\n")])
    assert [line.iteration for line in found["challenger"][4:]] == [0, 2]


def test_the_baseline_alone_and_nothing() -> None:
    assert {line.iteration for line in blame([version(0, 0.5, "a\n")])["challenger"]} == {0}
    with pytest.raises(ValueError, match="at least the baseline"):
        blame([])


BODIES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=8).map("\n".join)


@given(st.lists(BODIES, min_size=1, max_size=5))
def test_lines_are_those_of_the_last_pack_and_never_younger_than_it(bodies: list[str]) -> None:
    lineage = [version(n, n / 10, body) for n, body in enumerate(bodies)]
    lines = blame(lineage)["challenger"]
    text = lineage[-1].pack["challenger"].text
    assert "\n".join(line.text for line in lines) == text.removesuffix("\n")
    for line in lines:
        assert line.text in lineage[line.iteration].pack["challenger"].text.split("\n")


def test_a_line_of_a_merged_pack_keeps_who_wrote_it_and_that_score() -> None:
    base, one, other = version(0, 0.5, "a\nb\n"), version(1, 0.6, "x\na\nb\n"), version(2, 0.7, "a\nb\ny\n")
    both = version(3, 0.8, "x\na\nb\ny\nz\n")
    names = [each.pack.version for each in (base, one, other)]
    lineage = [
        replace(base, parents=()),
        replace(one, parents=(names[0],)),
        replace(other, parents=(names[0],)),
        replace(both, parents=(names[1], names[2])),
    ]
    lines = blame(lineage)["challenger"][4:]
    assert [(line.text, line.iteration, line.score) for line in lines] == [
        ("x", 1, 0.6),
        ("a", 0, 0.5),
        ("b", 0, 0.5),
        ("y", 2, 0.7),
        ("z", 3, 0.8),
    ]
    assert [line.gain for line in lines] == [pytest.approx(gain) for gain in (0.1,)] + [
        None,
        None,
        pytest.approx(0.2),
        pytest.approx(0.2),
    ]
