"""docs/lessons.md shows what docs/lessons.json holds, and that is what the code of today measures."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from autodata.checkpoints.shingles import THRESHOLD, ShingleIndex
from autodata.models.simulated import variety
from autodata.models.simulated.world import World, key_of
from autodata.nodes.dataset.choose import OFTEN, SELDOM
from autodata.nodes.dataset.settings import LessonsConfig
from autodata.prompts import fence
from benchmarks import lessons

PAGE = (lessons.DOCS / "lessons.md").read_text("utf-8")


def tables() -> dict[str, object]:
    found: dict[str, object] = json.loads((lessons.DOCS / "lessons.json").read_text("utf-8"))
    return found


def test_the_page_shows_the_measured_figures() -> None:
    assert lessons.placed(PAGE, tables()) == PAGE, "type: python -m benchmarks.lessons"


@pytest.mark.slow
def test_a_slice_of_the_measurement_is_measured_again() -> None:
    assert lessons.one(*lessons.SLICE) == tables()["slice"]


def test_every_arm_had_the_same_calls() -> None:
    arms = tables()["arms"]
    assert isinstance(arms, dict)
    assert set(arms) == set(lessons.ARMS)
    assert {row["calls"] for rows in arms.values() for row in rows} == {lessons.CALLS}
    assert {len(rows) for rows in arms.values()} == {len(lessons.SEEDS)} == {20}


def test_the_text_says_in_how_many_seeds_skills_were_more() -> None:
    arms = tables()["arms"]
    assert isinstance(arms, dict)
    more = [own["skills"] > plain["skills"] for plain, own in zip(arms["plain run"], arms["lessons"], strict=True)]
    said = " ".join(PAGE.split())
    assert f"It held in {sum(more[:10])} of the first 10 seeds and in {sum(more[10:])} of the next 10" in said
    for arm in ("plain run", "lessons"):
        accepted = sum(row["accepted"] for row in arms[arm]) / len(arms[arm])
        assert f"{accepted:.1f}" in said.partition("| accepted examples |")[0]


def test_numbers_on_the_page_are_the_defaults() -> None:
    own = LessonsConfig()
    said = " ".join(PAGE.split())
    assert f"a sample of at most {own.sample} of the batch's rounds" in said
    assert f"at most {own.new} lessons, each one sentence" in said
    assert f"At most {own.most} hold at once" in said
    assert f"none of the last {own.patience} batches" in said
    assert own.near_duplicate == THRESHOLD
    assert f"shares {THRESHOLD} of its words in threes" in said
    assert [Fraction(2), Fraction(1, 2)] == [OFTEN, SELDOM]
    assert f"knows {lessons.WORLD.skills} skills" in said
    assert f"to the power of -{lessons.WORLD.habit}" in said


def asking(*lines: str) -> str:
    return fence("lessons", "\n".join(lines))


def drawn(prompt: str, count: int = 300) -> dict[str, int]:
    import random

    rng = random.Random(1)
    skills = [variety.draw(lessons.WORLD, prompt, rng)[0] for _ in range(count)]
    return {skill: skills.count(skill) for skill in set(skills)}


def test_a_simulated_challenger_obeys_lessons_good_or_bad() -> None:
    first, *_, last = variety.names(lessons.WORLD.skills)[0]
    plain = drawn("")
    assert plain[first] == max(plain.values()), "it has habits"
    assert drawn(asking(f"- L1: Ask less often for {first}."))[first] < plain[first] / 2
    assert drawn(asking(f"- L1: Ask more for {last}."))[last] > 2 * plain.get(last, 1)
    assert drawn(asking(f"- L1: Ask more for {first}."))[first] > plain[first]
    assert drawn(f"Ask less often for {first}.") == plain, "what is no lesson is not heeded"


def test_lessons_move_its_difficulty_within_bounds() -> None:
    assert variety.shift("") == 0
    assert variety.shift(asking("Ask harder questions.")) == 1
    assert variety.shift(asking(*["Go deeper."] * 9)) == 3
    assert variety.shift(asking("Ask easier questions.", "Go deeper.", "Keep it simpler.")) == -1


def test_one_skill_and_topic_make_nearly_one_question_and_others_do_not() -> None:
    skills, topics = variety.names(variety.MOST)
    assert len({*skills}) == len({*topics}) == variety.MOST
    index: ShingleIndex[str] = ShingleIndex()
    index.add("x", variety.question(skills[0], topics[0], "[item d=+0.123 a=1.200 fault=none]"))
    other = "[item d=-1.456 a=0.871 fault=leak]"
    assert index.nearest(variety.question(skills[0], topics[0], other)) == "x"
    assert index.nearest(variety.question(skills[1], topics[0], other)) is None
    assert index.nearest(variety.question(skills[0], topics[1], other)) is None


def test_an_analyst_that_is_misled_says_the_opposite() -> None:
    import random

    first, second, *_ = variety.names(24)[0]
    prompt = fence("coverage", f"asked often: {first}\nasked seldom: {second}") + fence("rounds", "r1: accepted")
    said = [
        [one["text"] for one in variety.analysis(world, prompt, random.Random(3))["lessons"]]
        for world in (lessons.WORLD, lessons.ARMS["wrong lessons"][0])
    ]
    assert said[0][:2] == [f"Ask less often for {first}.", f"Ask more for {second}."]
    assert said[1][:2] == [f"Ask less often for {second}.", f"Ask more for {first}."]


def test_worlds_without_skills_are_what_they_were() -> None:
    assert not {"skills", "habit", "heeds", "misled"} & key_of(World()).keys()
