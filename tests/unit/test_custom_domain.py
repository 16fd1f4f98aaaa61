"""A domain of one's own: every mistake in its folder is one line that names the file and what is wrong there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import digest
from autodata.domains.acceptance.parse import policy_of
from autodata.domains.acceptance.policies import Counts
from autodata.domains.domain import DOMAINS, Domain
from autodata.domains.loader import find_domain
from autodata.domains.tasks import base
from autodata.domains.tasks.reference import ReferenceTask
from autodata.domains.tasks.registry import TASK_TYPES, judge_sees
from autodata.prompts.pack import load_pack
from autodata.prompts.roles import NEEDED, PLACEHOLDERS, ROLES

SOUND: dict[str, Any] = {"kind": "reference", "acceptance": "counts", "final_check": False, "strong_attempts": 4}
ROLES_OF_SOUND = ("challenger", "quality_verifier", "weak_solver", "strong_solver", "verifier")


def prompt(*placeholders: str) -> str:
    """A prompt that uses each placeholder once."""
    body = "\n".join(f"{{{{{name}}}}}" for name in placeholders)
    return f"+++\nplaceholders = {list(placeholders)}\n+++\n# user\nDo it.\n{body}\n"


def angled() -> str:
    """A challenger's prompt that sends each challenger to another side of the document."""
    return prompt("source", "failures", "schema", "angle").replace("]\n+++", "]\nangles = ['causes', 'limits']\n+++")


def texts(kind: str = "reference", roles: tuple[str, ...] = ROLES_OF_SOUND) -> dict[str, str]:
    """The least that the prompts of a domain must hold, by role."""
    found = {role: sorted(NEEDED[role]) for role in (*roles, "feedback")}
    if seen := judge_sees(kind):
        found["verifier"].append(seen)
    return {role: prompt(*names) for role, names in found.items()}


def write(folder: Path, prompts: dict[str, str] | None = None, **changes: Any) -> Path:
    """Write a sound domain with some settings changed; None leaves one out."""
    folder.mkdir(exist_ok=True)
    values = {name: value for name, value in {**SOUND, **changes}.items() if value is not None}
    (folder / "domain.toml").write_text(tomli_w.dumps(values), "utf-8")
    for role, text in {**texts(values.get("kind", "reference")), **(prompts or {})}.items():
        if text:
            (folder / f"{role}.md").write_text(text, "utf-8")
    return folder


def refusal(folder: Path | str) -> str:
    with pytest.raises(UserError) as caught:
        find_domain(str(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is read


def test_a_sound_folder_is_a_domain(tmp_path: Path) -> None:
    domain = find_domain(str(write(tmp_path / "recipes", weak_attempts=2)))
    assert (domain.name, domain.kind, domain.weak_attempts, domain.strong_attempts) == ("recipes", "reference", 2, 4)
    assert domain.folder == tmp_path / "recipes"
    assert domain.roles == ROLES_OF_SOUND
    assert domain.pack()["challenger"].text == texts()["challenger"]
    assert domain.pack().name == "recipes"


def test_every_field_of_a_domain_can_be_set(tmp_path: Path) -> None:
    for like in DOMAINS.values():
        values = {**like.model_dump(exclude_none=True), "name": f"my-{like.name}"}
        folder = tmp_path / f"folder-{like.name}"
        folder.mkdir()
        (folder / "domain.toml").write_text(tomli_w.dumps(values), "utf-8")
        for role, text in load_pack(like.name).prompts.items():
            (folder / f"{role}.md").write_text(text.text, "utf-8")
        assert find_domain(str(folder)).model_dump() == {**like.model_dump(), "name": f"my-{like.name}"}


def test_own_bounds(tmp_path: Path) -> None:
    folder = write(tmp_path / "recipes", acceptance={"weak_right": 0, "strong_right": 2})
    assert policy_of(find_domain(str(folder)).acceptance) == Counts(weak_right=0, strong_right=2)


def test_a_shipped_name_is_the_shipped_domain_even_beside_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "cs", name="mine", weak_attempts=2)
    write(tmp_path / "recipes")
    assert find_domain("cs") is DOMAINS["cs"]
    assert find_domain("./cs").name == "mine"
    assert find_domain("recipes").folder == tmp_path / "recipes"
    assert "unknown domain 'law'" in refusal("law")
    assert "unknown domain ''" in refusal("")


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "recipes")
    assert find_domain("~/recipes").folder == tmp_path / "recipes"


# Mistakes in domain.toml


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weak_atempts": 2}, "unknown key 'weak_atempts': known here are acceptance, "),
        ({"_folder": "x"}, "unknown key '_folder'"),
        ({"weak_attempts": "two"}, "weak_attempts: Input should be a valid integer"),
        ({"weak_attempts": 0}, "weak_attempts: Input should be greater than or equal to 1, got 0"),
        ({"challengers": 9}, "challengers: Input should be less than or equal to 8"),
        ({"quality_check": "maybe"}, "quality_check: Input should be a valid boolean"),
        ({"kind": None}, "kind: Field required"),
        ({"kind": "essay"}, "kind: unknown kind 'essay': use one of rubric, reference, legal, verifiable, or module:"),
        ({"kind": "a b:c"}, "kind: unknown kind 'a b:c'"),
        ({"schema": "x:y"}, "schema: there is a kind already"),
        ({"name": "my domain"}, "name: String should match pattern"),
        ({"name": "facts"}, "name: 'facts' is a domain that comes with the package"),
        ({"acceptance": "papr"}, "acceptance: unknown preset 'papr': use one of "),
        ({"acceptance": {"weak_mean": "0.5"}}, "acceptance.weak_mean: '0.5' is no bound"),
        (
            {"acceptance": {"weak_right": 1, "strong_right": 5}},
            "acceptance: no scores can pass: strong_right >= 5 of 4",
        ),
        ({"acceptance": {"gap": ">= 0.96", "strong_mean": "< 0.95"}}, "acceptance: no scores can pass: gap >= 0.96"),
        ({"acceptance": 3}, "acceptance"),
        ({"final_check": True, "quality_check": False}, "final_check: it asks the quality verifier"),
        ({"loop_judge": True}, 'loop_judge: it goes with acceptance = "loop_judge": set loop_judge = false'),
        ({"acceptance": "loop_judge"}, "set loop_judge = true"),
        ({"role_defaults": {"judge": {}}}, "role_defaults.judge: the domain has no such role: it uses challenger, "),
        ({"role_defaults": {"extractor": {}}}, "role_defaults.extractor: the domain has no such role"),
        ({"role_defaults": {"verifier": {"temprature": 1}}}, "unknown key 'role_defaults.verifier.temprature'"),
        ({"role_defaults": {"verifier": {"temperature": 3}}}, "role_defaults.verifier.temperature: Input should be"),
        ({"role_defaults": {"verifier": {"extra_body": {"api_key": "s"}}}}, "role_defaults.verifier.extra_body: 'api_"),
    ],
    ids=lambda value: re.sub(r"\W+", "-", str(value))[:50],
)
def test_a_wrong_setting_is_named_with_its_file(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "recipes")
    write(folder, **changes)
    message = refusal(folder)
    assert message.startswith(f"{folder / 'domain.toml'}: ")
    assert said in message


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    folder = write(tmp_path / "recipes")
    (folder / "domain.toml").write_text("kind = reference")
    assert f"{folder / 'domain.toml'}: not valid TOML" in refusal(folder)
    (folder / "domain.toml").write_bytes(b"kind = '\xff'")
    assert f"{folder / 'domain.toml'}: cannot be read" in refusal(folder)


def test_folders_that_are_none(tmp_path: Path) -> None:
    assert "no such domain folder" in refusal(tmp_path / "nowhere")
    assert "holds no domain.toml: write a new domain with 'autodata init --domain NAME'" in refusal(tmp_path)


def test_a_folder_with_a_name_that_a_domain_cannot_have_can_say_another(tmp_path: Path) -> None:
    assert "name: String should match pattern" in refusal(write(tmp_path / "my recipes"))
    assert find_domain(str(write(tmp_path / "my recipes", name="recipes"))).name == "recipes"


# Mistakes in prompts


@pytest.mark.parametrize(
    ("role", "text", "said"),
    [
        ("verifier", "", "no such prompt: the domain uses the role verifier"),
        ("feedback", "", "no such prompt: the domain uses the role feedback"),
        (
            "extractor",
            prompt("source", "schema"),
            "the domain does not use the role extractor: remove the file, or see",
        ),
        ("screen", prompt("candidates", "schema"), "the domain does not use the role screen"),
        ("loop_judge", prompt("packet", "schema"), "the domain does not use the role loop_judge"),
        ("notes", prompt("source"), "no role is called 'notes'"),
        ("challenger", prompt("source", "failures"), "{{schema}} is missing: challenger cannot do without it"),
        ("challenger", prompt("source", "schema"), "{{failures}} is missing"),
        ("weak_solver", prompt("context"), "{{question}} is missing: weak_solver cannot do without it"),
        ("verifier", prompt("question", "reference", "schema"), "{{answer}} is missing"),
        ("verifier", prompt("question", "answer", "schema"), "{{reference}} is missing: answers of kind reference are"),
        ("verifier", prompt("question", "answer", "schema", "reference", "criteria"), "{{criteria}} is nothing here"),
        (
            "challenger",
            prompt("source", "failures", "schema", "anchor"),
            "{{anchor}} is nothing here: it needs passage",
        ),
        (
            "challenger",
            prompt("source", "failures", "schema", "extract"),
            "{{extract}} is nothing here: it needs extra",
        ),
        (
            "challenger",
            prompt("source", "failures", "schema", "grounding"),
            "{{grounding}} is nothing here: it needs g",
        ),
        (
            "challenger",
            prompt("source", "failures", "schema", "angle"),
            "{{angle}} is nothing here: give 'angles'",
        ),
        ("challenger", angled(), "{{angle}} is nothing here: it needs challengers > 1 in domain.toml"),
        (
            "strong_solver",
            prompt("question", "source"),
            "{{source}} is nothing here: it needs privileged_strong = true",
        ),
        ("weak_solver", prompt("question", "source"), "weak_solver may not see {{source}}"),
        ("weak_solver", "hello", "a prompt starts with TOML front matter"),
        ("weak_solver", prompt("question").replace("# user", "# usr"), "after the front matter come"),
        ("weak_solver", prompt("question") + "{{other}}", "{{other}} is not declared"),
        (
            "weak_solver",
            prompt("question").replace("['question']", "['question', 'context']"),
            "declared but never used",
        ),
    ],
    ids=lambda value: re.sub(r"\W+", "-", str(value))[:40],
)
def test_a_wrong_prompt_is_named(role: str, text: str, said: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "recipes")
    write(folder, prompts={role: text})
    if not text:
        (folder / f"{role}.md").unlink()
    message = refusal(folder)
    assert message.startswith(f"{folder / f'{role}.md'}: ")
    assert said in message


def test_a_folder_without_prompts(tmp_path: Path) -> None:
    folder = write(tmp_path / "recipes")
    for file in folder.glob("*.md"):
        file.unlink()
    assert "no prompt pack at" in refusal(folder)


@pytest.mark.parametrize(
    ("placeholder", "setting"),
    [("anchor", {"passage_words": 50}), ("extract", {"extractor": True}), ("grounding", {"grounding": 2})],
)
def test_a_placeholder_is_fine_once_the_domain_fills_it(
    placeholder: str, setting: dict[str, Any], tmp_path: Path
) -> None:
    prompts = {"challenger": prompt("source", "failures", "schema", placeholder)}
    if "extractor" in setting:
        prompts["extractor"] = prompt("source", "schema")
    folder = write(tmp_path / "recipes", prompts, **setting)
    assert placeholder in find_domain(str(folder)).pack()["challenger"].front.placeholders


def test_angles_are_fine_for_challengers_side_by_side(tmp_path: Path) -> None:
    prompts = {"challenger": angled(), "screen": prompt("candidates", "schema")}
    folder = write(tmp_path / "recipes", prompts, challengers=2)
    assert find_domain(str(folder)).pack()["challenger"].front.angles == ("causes", "limits")


def test_what_is_needed_can_be_had() -> None:
    assert set(NEEDED) == set(PLACEHOLDERS) == {*ROLES, "feedback"}
    assert all(needed <= PLACEHOLDERS[role] for role, needed in NEEDED.items())
    assert {judge_sees(kind) for kind in TASK_TYPES} == {"criteria", "reference"}


@pytest.mark.parametrize("name", ["RubricTask", "ReferenceTask"])
def test_a_kind_that_is_built_on_the_old_place_still_works(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"import {name} from autodata\.domains\.tasks\.\w+, not from"):
        found = getattr(base, name)
    assert found in {type(kind) for kind in TASK_TYPES.values()}
    with pytest.raises(AttributeError):
        base.NoSuchName  # noqa: B018 - reading it is the test


# A kind of one's own


OWN = """
from autodata.domains.tasks.reference import ReferenceTask

class Mine(ReferenceTask):
    final_problems = None if {broken} else ReferenceTask.final_problems

class Needy(ReferenceTask):
    def __init__(self, what): ...

class Odd(ReferenceTask):
    draft = "a text"

class Half:
    draft = review = ReferenceTask.draft

ready = Mine()
nested = type("Nested", (), dict(kind=ready))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module of the user's own, under a name no other test uses."""
    name = f"own_{digest(request.node.name)}"
    (tmp_path / f"{name}.py").write_text(OWN.format(broken=False))
    (tmp_path / f"{name}_broken.py").write_text(OWN.format(broken=True))
    (tmp_path / f"{name}_raises.py").write_text("raise RuntimeError('two\\nlines')")
    (tmp_path / f"{name}_syntax.py").write_text("def")
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize("attribute", ["Mine", "ready", "nested.kind"])
@pytest.mark.parametrize("key", ["kind", "schema"])
def test_an_own_kind(attribute: str, key: str, module: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"kind": None, key: f"{module}:{attribute}"}
    domain = find_domain(str(write(tmp_path / "recipes", **changes)))
    assert isinstance(domain.scorer, ReferenceTask)
    assert type(domain.scorer).__module__ == module
    assert domain.scorer is domain.scorer


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            "no_such_module_here:Kind",
            "cannot be imported (No module named 'no_such_module_here'): install the module, or",
        ),
        ("{}:Missing", "cannot be used (AttributeError: "),
        ("{}_raises:Kind", "cannot be used (RuntimeError: two lines)"),
        ("{}_syntax:Kind", "cannot be used (SyntaxError: "),
        ("{}:Needy", "cannot be used (TypeError: "),
        ("{}:Half", "is no task type: it lacks candidate, criteria, final_problems, "),
        ("{}:Odd", "is no task type: draft must be a pydantic model class"),
        ("{}_broken:Mine", "is no task type: final_problems must be a method"),
    ],
)
def test_what_is_no_kind(spec: str, said: str, module: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "recipes", kind=spec.format(module))
    message = refusal(folder)
    assert message.startswith(f"{folder / 'domain.toml'}: kind: {spec.format(module)}: ")
    assert said in message


def test_a_kind_is_imported_for_a_folder_only(module: str) -> None:
    domain = Domain(name="mine", kind=f"{module}:Mine")
    assert module not in sys.modules
    assert isinstance(domain.scorer, ReferenceTask)
    assert module in sys.modules
