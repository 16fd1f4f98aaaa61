"""The optimiser's world: its rules, and the simulated analyst and editor. No evidence about real models."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from typing import Any

import pytest

from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.models.simulated.optimizer import MODES, TASTES, analysis, editor_turn
from autodata.models.simulated.rules import META_RULES, NEUTRAL, Effects, effects_on_review, effects_on_writing, obeyed
from autodata.models.simulated.world import META_WORLD
from autodata.models.structured import schema_text
from autodata.nodes.optimizer.schemas import Analysis, EditorTurn
from autodata.prompts import fence, load_pack
from autodata.prompts.pack import shipped_packs

CS = load_pack("cs")
FILES = ("challenger", "quality_verifier", "feedback")


def shown(texts: dict[str, str]) -> str:
    views = []
    for name, text in texts.items():
        lines = text.removesuffix("\n").split("\n")
        views.append(f"{name}:\n" + fence("file", "\n".join(f"{n:>3}| {line}" for n, line in enumerate(lines, 1))))
    return "\n\n".join(views)


def ask(texts: dict[str, str], modes: str = "", earlier: str = "") -> str:
    found = fence("analysis", f"mostly {modes}")
    return f"The files:\n{shown(texts)}\n\nThe analysis:\n{found}\n\n{earlier}\n{schema_text(EditorTurn)}"


def shipped() -> dict[str, str]:
    return {f"{role}.md": CS[role].text for role in FILES}


def apply(texts: dict[str, str], edits: list[dict[str, Any]]) -> dict[str, str]:
    """Carry out edits as the edit sandbox does, as far as an honest editor goes."""
    after = dict(texts)
    for edit in edits:
        text = after[edit["file"]]
        if edit["action"] == "insert":
            lines = text.split("\n")
            lines[edit["line"] : edit["line"]] = [edit["new"]]
            after[edit["file"]] = "\n".join(lines)
        else:
            assert text.count(edit["old"]) == 1
            after[edit["file"]] = text.replace(edit["old"], edit["new"])
    return after


@pytest.mark.parametrize("pack", shipped_packs())
def test_shipped_prompts_obey_no_rule_of_the_optimisers_world(pack: str) -> None:
    for prompt in load_pack(pack).prompts.values():
        assert obeyed("meta", prompt.text) == ()


@pytest.mark.parametrize("rule", META_RULES, ids=lambda rule: rule.name)
def test_every_phrasing_is_known_as_its_own_rule_and_as_no_other(rule: Any) -> None:
    assert len(rule.phrases) >= 3
    for phrase in rule.phrases:
        assert [found.name for found in obeyed("meta", f"Some text.\n{phrase.upper()}\nMore text.")] == [rule.name]


def test_neutral_sentences_are_no_rules() -> None:
    for phrases in NEUTRAL.values():
        assert all(not obeyed("meta", phrase) for phrase in phrases)


def test_a_rule_counts_once_and_acts_in_its_own_role_only() -> None:
    insight, *_, lenient = (next(rule for rule in META_RULES if rule.name == n) for n in ("insight", "pass in doubt"))
    text = "\n".join([*insight.phrases, *lenient.phrases])
    assert effects_on_writing("meta", text) == Effects(difficulty=0.15, discrimination=0.2)
    assert effects_on_review("meta", text) == Effects(detects=-0.85, false_alarms=-0.02)


def test_fenced_material_is_no_rule() -> None:
    assert effects_on_writing("meta", fence("document", "Keep the question simple.")) == Effects()


@pytest.mark.slow
def test_the_editor_adds_removes_and_rephrases_and_every_edit_applies() -> None:
    texts, seen = shipped(), Counter[str]()
    for seed in range(300):
        turn = EditorTurn.model_validate(editor_turn(ask(texts, "too_easy"), random.Random(seed)))
        seen[turn.thought] += 1
        if turn.done:
            assert turn.edits
            texts = apply(texts, [edit.model_dump() for edit in turn.edits])
        if seed % 30 == 0:
            texts = shipped()
    assert set(seen) == {f"simulated: {what}" for what in ("adding", "removing", "rephrasing", "trying")}
    assert seen["simulated: trying"] == pytest.approx(300 * TASTES.forbidden, abs=4 * (300 * 0.04) ** 0.5)


def test_what_the_editor_adds_are_whole_lines_of_the_part_that_may_be_edited() -> None:
    for seed in range(40):
        turn = editor_turn(ask(shipped()), random.Random(seed))
        if not turn["done"]:
            continue
        for edit in turn["edits"]:
            after = apply(shipped(), [edit])[edit["file"]]
            head, _, body = after[4:].partition("+++\n")
            assert edit["new"] in body.split("\n")
            if "# system" in body:
                assert edit["new"] in body.split("# user")[0]
            assert head == shipped()[edit["file"]][4:].partition("+++\n")[0]


def helpful_share(modes: str, name: str) -> float:
    rule = next(rule for rule in META_RULES if rule.name == name)
    added = [
        edit["new"]
        for seed in range(400)
        for edit in editor_turn(ask(shipped(), modes), random.Random(seed))["edits"]
        if edit["action"] == "insert"
    ]
    return sum(sentence in rule.phrases for sentence in added) / len(added)


@pytest.mark.slow
def test_the_editor_heeds_the_analysis() -> None:
    assert helpful_share("malformed_candidate", "strict integers") > 1.25 * helpful_share("", "strict integers")


def test_a_forbidden_first_turn_is_followed_by_an_edit_and_an_edit_sent_back_by_nothing() -> None:
    tries = [editor_turn(ask(shipped()), random.Random(seed)) for seed in range(200)]
    trying = next(turn for turn in tries if not turn["done"])
    after = editor_turn(ask(shipped(), earlier=json.dumps(trying)), random.Random(0))
    assert after["done"]
    assert after["edits"]
    edit = next(turn for turn in tries if turn["done"])
    given_up = editor_turn(ask(shipped(), earlier=json.dumps(edit)), random.Random(0))
    assert given_up["done"]
    assert given_up["edits"] == []


def test_the_analyst_names_the_modes_of_its_material_and_cites_labels_that_stand_there() -> None:
    system = "evidence: labels such as a3 or r1\n"
    material = "r4 too_easy\na11 weak 0.9\nr5 too_easy\nr6 gap_too_small\n" + fence("answer", "r99 saturated_strong")
    prompt = f"{system}The failed rounds:\n{material}\n\nAnswer with one JSON object that fits: {schema_text(Analysis)}"
    right = 0
    for seed in range(100):
        found = Analysis.model_validate(analysis(prompt, random.Random(seed)))
        assert {label for cause in found.causes for label in cause.evidence} <= {"r4", "r5", "r6", "a11"}
        assert set(re.findall("|".join(MODES), found.summary))
        right += "too_easy" in found.causes[0].cause
    assert 65 < right < 100


def test_the_simulated_model_plays_both_roles() -> None:
    model = SimulatedChatModel(solver="strong", world=META_WORLD)
    for schema, prompt in ((Analysis, "The failed rounds:\nr1 too_easy\n\nAnswer with one JSON"), (EditorTurn, "")):
        turns = [{"role": "user", "content": f"{prompt}\n{shown(shipped())}\n{schema_text(schema)}"}]
        assert model.reply(turns, 3) == model.reply(turns, 3)
        schema.model_validate_json(model.reply(turns, 3)[0])
