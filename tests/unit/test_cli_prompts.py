"""`autodata prompts` and the folder that `autodata init` writes for a domain of one's own."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path

import pytest

from autodata.cli.new_domain import domain_toml
from autodata.domains.domain import DOMAINS, Domain
from autodata.domains.loader import find_domain
from autodata.prompts.pack import load_pack
from autodata.runner.config import load_config
from tests.support.commands import invoke, printed, refusal, words

EVERY_DOMAIN = pytest.mark.parametrize("name", sorted(DOMAINS))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# prompts


def test_one_prompt_as_its_file_has_it() -> None:
    assert printed("prompts", "show", "cs", "challenger") == load_pack("cs")["challenger"].text


@EVERY_DOMAIN
def test_all_prompts_with_their_versions(name: str) -> None:
    text, pack = printed("prompts", "show", name), load_pack(name)
    heads = re.findall(r"^==> (\w+)\.md, version (\w+) <==$", text, re.MULTILINE)
    assert heads == [(role, prompt.version) for role, prompt in pack.prompts.items()]
    assert all(prompt.text in text for prompt in pack.prompts.values())


def test_the_prompts_of_the_optimiser() -> None:
    assert printed("prompts", "show", "optimizer", "editor") == load_pack("optimizer")["editor"].text
    assert re.findall(r"^==> (\w+)\.md", printed("prompts", "show", "optimizer"), re.MULTILINE) == ["analyst", "editor"]


def test_a_diff_is_the_unified_diff_of_the_files(here: Path) -> None:
    printed("prompts", "export", "cs", "mine")
    assert printed("prompts", "diff", "cs", "mine") == ""
    file = here / "mine" / "feedback.md"
    before = file.read_text()
    file.write_text(before.replace("entirely new", "quite new"))
    expected = difflib.unified_diff(
        before.splitlines(keepends=True), file.read_text().splitlines(keepends=True), "a/feedback.md", "b/feedback.md"
    )
    assert "quite new" in file.read_text()
    assert printed("prompts", "diff", "cs", "mine") == "".join(expected)
    assert printed("prompts", "diff", "mine", "cs").startswith("--- a/feedback.md")


@EVERY_DOMAIN
def test_an_export_is_the_pack(name: str, here: Path) -> None:
    result = invoke("prompts", "export", name, here / "a" / "b")
    assert (result.exit_code, result.stdout) == (0, "")
    assert load_pack(here / "a" / "b").version == load_pack(name).version
    assert f"{len(load_pack(name).prompts)} prompts written to" in result.stderr


def test_an_export_overwrites_nothing(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "verifier.md").write_text("mine")
    assert "mine/verifier.md exists: choose another folder" in refusal("prompts", "export", "cs", "mine")
    assert [file.name for file in (here / "mine").iterdir()] == ["verifier.md"]
    assert (here / "mine" / "verifier.md").read_text() == "mine"


def test_mistakes(here: Path) -> None:
    (here / "file").write_text("")
    assert "no prompt pack at law: give one of cs, facts" in refusal("prompts", "show", "law")
    assert "no prompt pack at law" in refusal("prompts", "diff", "cs", "law")
    assert "cs: no prompt for 'judge': it has challenger, " in refusal("prompts", "show", "cs", "judge")
    assert "cannot be written" in refusal("prompts", "export", "cs", "file")


@pytest.mark.parametrize("command", ["show", "diff", "export"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    assert f"Example: autodata prompts {command}" in words(printed("prompts", command, "--help"))


# init --domain mydomain


@EVERY_DOMAIN
def test_a_new_domain_is_the_one_it_is_like(name: str, here: Path) -> None:
    result = invoke("init", "--domain", "mine", "--like", name)
    assert (result.exit_code, result.stdout) == (0, "")
    domain = find_domain("./mine")
    assert domain.model_dump() == {**DOMAINS[name].model_dump(), "name": "mine"}
    assert domain.pack().version == load_pack(name).version
    assert [path.name for path in here.iterdir()] == ["mine"]


def test_the_next_commands_are_printed_and_work() -> None:
    stderr = invoke("init", "--domain", "mine").stderr
    assert "autodata run --domain ./mine --documents PATH --out RUN" in stderr
    assert "prompts copied from cs" in stderr
    for line in re.findall(r"^ +autodata (.*(?:cs ./mine|autodata.toml))$", stderr, re.MULTILINE):
        printed(*line.split())
    config = load_config(Path("autodata.toml"))
    assert (config.domain, config.chosen_domain.name) == ("./mine", "mine")


@EVERY_DOMAIN
def test_domain_toml_holds_and_explains_every_setting(name: str) -> None:
    text = domain_toml(DOMAINS[name], Path("mine"))
    shown = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert set(tomllib.loads(shown)) == set(Domain.model_fields)
    for block in text.split("\n\n")[1:]:
        if not block.startswith("[") and re.search(r"^(# )?\w+ = ", block, re.MULTILINE):
            assert re.match(r"# [A-Z]", block), block
    assert max(map(len, text.splitlines())) <= 120


def test_a_setting_that_is_commented_out_shows_its_default() -> None:
    text = domain_toml(DOMAINS["cs"], Path("mine"))
    values = tomllib.loads("\n".join(re.findall(r"^# (\w+ = .*)$", text, re.MULTILINE)))
    defaults = {name: info.get_default() for name, info in Domain.model_fields.items() if name in values}
    assert {name: value for name, value in values.items() if name not in {"name", "passage_words"}} == {
        name: value for name, value in defaults.items() if name not in {"name", "passage_words"}
    }
    assert {"challengers", "grounding", "weak_attempts", "final_check"} <= set(values)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--domain", "there"], "there exists: choose another name"),
        (["--domain", "there", "--force"], "there exists: choose another name"),
        (["--domain", "./cs"], "'cs' is a domain that comes with the package"),
        (["--domain", "my domain"], "a domain's name holds letters, digits, - and _"),
        (["--domain", "mine", "--like", "law"], "--like law: no such domain: use one of cs, "),
        (["--domain", "cs", "--like", "facts"], "--like is for a new domain"),
        (["--domain", "mine", "--like", "facts", "--out", "a.toml"], "--like is for a new domain"),
        (["--domain", "mine", "--out", "a.toml"], "unknown domain 'mine': use one of cs, "),
        (["--domain", "file/mine"], "file/mine: cannot be written"),
    ],
)
def test_mistakes_with_a_new_domain(arguments: list[str], said: str, here: Path) -> None:
    (here / "there").mkdir()
    (here / "file").write_text("")
    assert said in refusal("init", *arguments)
    assert sorted(path.name for path in here.iterdir()) == ["file", "there"]
    assert list((here / "there").iterdir()) == []


def test_what_exists_is_not_overwritten(here: Path) -> None:
    printed("init", "--domain", "mine")
    (here / "mine" / "domain.toml").write_text("kind = 'mine'")
    assert "autodata init --domain ./mine --out FILE" in refusal("init", "--domain", "mine")
    assert (here / "mine" / "domain.toml").read_text() == "kind = 'mine'"
