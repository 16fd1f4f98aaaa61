"""The documentation against the code: every command, option, default and number in it is run or compared here."""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.records import FailureMode
from autodata.cli import demo
from autodata.cli.app import app
from autodata.corpus.away import MOST_BYTES
from autodata.corpus.loaders.encodings import LEAST_SIGNS
from autodata.corpus.loaders.pdf import LEAST_PAGES
from autodata.corpus.summary import MEANINGS, summarise
from autodata.domains.acceptance.bounds import Bounds
from autodata.domains.acceptance.policies import PRESETS, AcceptancePolicy, Counts, LoopJudge, Majority, Thresholds
from autodata.domains.domain import DOMAINS, Domain
from autodata.graphs.optimizer import build_optimizer
from autodata.graphs.self_instruct import build_self_instruct
from autodata.jobs.inputs import SHOWN_SKIPPED
from autodata.models.local.weights import KNOWN_MODELS
from autodata.runner.config import RunConfig, read_config
from autodata.runner.rooms import CHARS_PER_TOKEN, MOST_CHARS
from autodata.serving.context import SearchContext
from autodata.serving.exports import EXPORTS
from autodata.serving.optimizer import MOST_ITERATIONS, Splits
from docs import make
from tests.support.stages import first_quick

ROOT = Path(__file__).resolve().parents[2]
PROSE = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
"""What people read; prompts and example documents are Markdown too, but no documentation."""

MARKDOWN = MarkdownIt("commonmark").enable("table")
LANGUAGES = {"sh", "toml", "mermaid", "python", "text"}
WORDS = {3: "three", 5: "five"}


@dataclass(frozen=True)
class Block:
    """A fenced block and where it stands."""

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


@cache
def tokens(path: Path) -> list[Token]:
    return MARKDOWN.parse(path.read_text("utf-8"))


def inline(path: Path) -> Iterator[Token]:
    for token in tokens(path):
        yield from token.children or ()


def spans(path: Path) -> list[str]:
    """The code in running text, on one line each."""
    return [" ".join(token.content.split()) for token in inline(path) if token.type == "code_inline"]


def tables(path: Path) -> dict[str, list[list[str]]]:
    """The rows of every table by its first head cell."""
    found: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for token, after in pairwise(tokens(path)):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in {"th_open", "td_open"}:
            rows[-1].append(after.content.replace("`", ""))
        elif token.type == "table_close":
            found[rows[0][0]] = rows[1:]
    return found


def headings(path: Path) -> list[str]:
    return [after.content for token, after in pairwise(tokens(path)) if token.type == "heading_open"]


def anchors(path: Path) -> set[str]:
    """The anchors that a code host gives to headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(path)}


BLOCKS = [
    Block(path, (token.map or [0])[0] + 1, token.info, token.content)
    for path in PROSE
    # A tutorial with files of its own, run as written by tests/e2e/test_tutorial.py, and whole programs, run by
    # tests/graph/test_composition.py and tests/graph/test_generate_docs.py.
    if path.name not in {"domains.md", "composition.md", "python.md", "api.md"}
    for token in tokens(path)
    if token.type in {"fence", "code_block"}
]


def blocks(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def lines_of(block: Block) -> list[list[str]]:
    """The commands of a block, as words."""
    return [words for line in block.text.splitlines() if (words := shlex.split(line, comments=True))]


@cache
def commands() -> Mapping[str, Any]:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    context: Any = None  # neither asks for it
    return {name: group.get_command(context, name) for name in group.list_commands(context)}


def prose(path: Path) -> str:
    return " ".join(path.read_text("utf-8").split())


def test_the_documentation_is_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in PROSE}
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/configuration.md"} <= names
    assert {block.language for block in BLOCKS} == LANGUAGES


# Generated parts


def test_generated_parts_are_up_to_date() -> None:
    text = "".join(page.read_text("utf-8") for page in make.PAGES)
    assert text == make.rendered(text), "type: make docs"
    assert set(re.findall(r"<!-- generated: (\S+) -->", text)) == set(make.PARTS)
    assert text.count("<!-- end -->") == len(make.PARTS)


def test_a_generated_part_is_replaced_and_the_rest_is_not() -> None:
    part = "<!-- generated: failure-modes -->\n{}\n<!-- end -->"
    page = f"before\n{part}\nbetween\n{part}\nafter\n"
    new = make.PARTS["failure-modes"]()
    assert "| `final_check` |" in new
    assert make.rendered(page.format("old", "")) == page.format(new, new)
    with pytest.raises(KeyError, match="unknown"):
        make.rendered(part.replace("failure-modes", "unknown"))


async def test_every_key_of_status_and_every_failure_mode_has_a_meaning(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "run.db") as ledger:
        summary = await summarise(ledger)
    assert list(summary) == [name for names in MEANINGS for name in names]
    assert set(make.FAILURE_MODES) == set(FailureMode)


# Configurations


def with_models(values: Mapping[str, Any]) -> dict[str, Any]:
    """Name models where a sample leaves them out."""
    models = {role: {k: v for k, v in table.items() if v != ""} for role, table in values.get("models", {}).items()}
    return {**values, "models": {**models, "default": {"model": "m", **models.get("default", {})}}}


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_samples_load(block: Block) -> None:
    values = tomllib.loads(block.text)
    config = read_config(tomli_w.dumps(with_models(values)), str(block))
    for role, settings in config.roles().items():
        if settings.provider == "local":
            assert settings.model in KNOWN_MODELS, role
    assert config != RunConfig(), "a sample that says nothing"


def test_the_samples_of_own_bounds_say_what_they_seem_to() -> None:
    block = next(b for b in blocks("toml") if b.path.name == "README.md" and "[acceptance]" in b.text)
    policy = read_config(block.text, str(block)).policy
    assert isinstance(policy, Thresholds)
    assert [str(*bounds) for bounds in (policy.weak_mean, policy.strong_mean, policy.gap)] == [
        *("< 0.40", ">= 0.65", ">= 0.30")
    ]


# Commands


def command_of(words: Sequence[str]) -> Any:
    """The command that a line's words name, which may stand in a group."""
    command = commands()[words[0]]
    inner = getattr(command, "commands", {})
    return inner[words[1]] if len(words) > 1 and words[1] in inner else command


MAKE_TARGETS = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def require_real(words: Sequence[str]) -> None:
    """Fail unless a command line is one that could be typed: command, options and values are parsed, nothing is run."""
    if words[0] == "make":
        assert set(words[1:]) <= MAKE_TARGETS
        return
    if words[0].endswith("/python"):  # an environment of the reader's, and a script of ours
        assert (ROOT / words[1]).is_file()
        return
    assert words[0] == "autodata"
    commands()[words[1]].make_context(words[1], list(words[2:]))


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_commands_are_real(block: Block) -> None:
    assert lines_of(block)
    for words in lines_of(block):
        require_real(words)


def _options_of(param: Any) -> list[str]:
    return [*param.opts, *param.secondary_opts]


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_commands_in_running_text_are_real(path: Path) -> None:
    every_command = [*commands().values()]
    every_command += [inner for group in every_command for inner in getattr(group, "commands", {}).values()]
    every_option = {option for command in every_command for param in command.params for option in _options_of(param)}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for span in spans(path):
        if match := re.match(r"autodata (\w+)", span):
            options = {option for param in command_of(span.split()[1:]).params for option in _options_of(param)}
            assert set(re.findall(r"--[\w-]+", span)) <= options, span
        elif match := re.match(r"make (\w+)", span):
            assert match[1] in MAKE_TARGETS, span
        elif match := re.match(r"--[\w-]+", span):
            assert match[0] in every_option, span
        elif match := re.search(r"autodata-langgraph\[(\w+)\]", span):
            assert match[1] in extras, span


def test_help_and_docs_know_the_same_commands() -> None:
    named = {match[1] for path in PROSE for span in spans(path) if (match := re.match(r"autodata (\w+)", span))}
    named |= {words[1] for block in blocks("sh") for words in lines_of(block) if words[0] == "autodata"}
    assert named == set(commands())
    shown = CliRunner().invoke(app, ["--help"]).output
    assert named == set(re.findall(r"^\W*([a-z]+) {2,}[A-Z]", shown, re.MULTILINE))


@pytest.mark.parametrize("name", sorted(commands()))
def test_help_holds_an_example_that_is_real(name: str) -> None:
    lines = [line.strip() for line in (commands()[name].help or "").splitlines()]
    (example,) = [line.removeprefix("Example: ") for line in lines if line.startswith("Example: ")]
    words = shlex.split(example.partition(" > ")[0])
    assert words[1] == name
    require_real(words)
    assert "Example: autodata" in CliRunner().invoke(app, [name, "--help"]).output


def needs_a_model(words: Sequence[str]) -> bool:
    """Whether a real model or server must answer: those commands are run in tests/e2e, with a queue in tests/kill."""
    alone = list(words) == ["autodata", "demo"] or words[1] == "worker"
    return alone or not {"--server", "--embeddings", "--queue"}.isdisjoint(words)


def simulated(path: Path) -> None:
    """Let simulated models play the roles of a configuration, or write one that says so."""
    values = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(tomli_w.dumps({**values, **tomllib.loads(demo.SIMULATED)}), "utf-8")


@pytest.mark.slow
# The page on training is run as written by tests/exports/test_training.py, for it needs the libraries of a trainer.
@pytest.mark.parametrize(
    "path",
    sorted({block.path for block in blocks("sh") if block.path.name != "training.md"}),
    ids=lambda path: path.name,
)
def test_commands_run_in_their_order(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [words for block in blocks("sh") if block.path == path for words in lines_of(block)]
    shutil.copytree(ROOT / "examples" / "documents", tmp_path / "papers")
    for number, paper in enumerate(sorted((tmp_path / "papers").iterdir())):
        split = tmp_path / "notes" / ("held-out" if number % 2 else "train")
        split.mkdir(parents=True, exist_ok=True)
        shutil.copy(paper, split)
    monkeypatch.chdir(tmp_path)
    Path("benchmark.jsonl").write_text('{"question": "Who is it?"}\n', "utf-8")
    if ["autodata", "init"] not in lines:
        simulated(Path("autodata.toml"))
    for words in lines:
        if words[0] != "autodata" or needs_a_model(words):
            continue
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, (words, result.output, result.exception)
        if words[1] == "init":
            simulated(Path("autodata.toml"))
    if path.name == "README.md":
        exported = Path("examples.jsonl").read_text("utf-8").splitlines()
        assert len(exported) == 4
        assert f"{len(exported)} of 5 documents accepted" in CliRunner().invoke(app, ["status", "runs/first"]).output


# Numbers


def bounds_text(name: str, bounds: Bounds) -> list[str]:
    return [f"{name} {' and '.join(map(str, bounds))}".strip()] if bounds else []


def preset_cells(policy: AcceptancePolicy) -> list[str]:
    """A preset as the README's table gives it: weak, strong, gap."""
    if isinstance(policy, Majority):
        return ["majority wrong", "majority right", ""]
    if isinstance(policy, Counts):
        return [f"at most {policy.weak_right} right", f"at least {policy.strong_right} right", ""]
    if isinstance(policy, LoopJudge):
        return ["all attempts", "all attempts", "a judge reads the pattern"]
    assert isinstance(policy, Thresholds)
    weak = bounds_text("mean", policy.weak_mean) + bounds_text("best", policy.weak_best)
    strong = bounds_text("mean", policy.strong_mean)
    weak += [] if policy.weak_zeros else ["none at 0"]
    strong += [] if policy.strong_zeros else ["none at 0"]
    return [", ".join(weak), ", ".join(strong), *bounds_text("", policy.gap)]


def test_presets_of_the_readme() -> None:
    assert tables(ROOT / "README.md")["preset"] == [[name, *preset_cells(policy)] for name, policy in PRESETS.items()]


def attempts_text(domain: Domain) -> str:
    if domain.curtail:
        return f"up to {domain.weak_attempts} + {domain.strong_attempts}"
    return f"{domain.weak_attempts} weak + {domain.strong_attempts} strong"


def test_domains_of_the_readme() -> None:
    rows = tables(ROOT / "README.md")["domain"]
    assert [(row[0], row[2], row[3]) for row in rows] == [
        (name, attempts_text(domain), domain.acceptance) for name, domain in DOMAINS.items()
    ]


def test_promises_of_the_demo() -> None:
    config = read_config(demo.LOCAL, "demo")
    (model,) = {settings.model for settings in config.roles().values()}
    size, parameters = KNOWN_MODELS[model].size, model.rpartition("-")[2].removesuffix("b")
    assert config.target is not None
    assert config.budget.max_seconds is not None
    minutes = round(config.budget.max_seconds / 60)
    readme = prose(ROOT / "README.md")
    assert f"up to {WORDS[config.target]} examples" in readme
    assert f"at most {WORDS[minutes]} minutes" in readme
    assert f"fetches {size / 1e9:.1f} GB once" in readme
    assert f"{parameters} billion parameters" in readme
    assert f"up to {config.target} examples" in demo.LOCAL_NOTE
    assert f"at most {minutes} minutes" in demo.LOCAL_NOTE
    assert f"{parameters}B parameters" in demo.LOCAL_NOTE


def test_numbers_of_the_configuration_page() -> None:
    page = prose(make.PAGE)
    assert f"passages of at most {DOMAINS['facts'].passage_words} words" in page
    impossible = 'acceptance = { strong_mean = "< 0.95", gap = ">= 0.96" }'
    assert "a gap of at least 0.96 cannot be had from a strong mean below 0.95" in page
    with pytest.raises(Exception, match="no scores can pass"):
        read_config(impossible, "page")
    read_config(impossible.replace("0.96", "0.94"), "page")


def test_numbers_of_the_documents_page() -> None:
    page = prose(ROOT / "docs" / "documents.md")
    assert f"at most {MOST_BYTES:,} bytes each" in page
    assert f"fewer than {LEAST_SIGNS} signs outside of ASCII" in page
    assert f"at least {WORDS[LEAST_PAGES]} pages and of a third of them" in page
    assert f"`documents.max_chars` is {MOST_CHARS:,} unless" in page
    assert f"{WORDS[CHARS_PER_TOKEN].capitalize()} characters a token are counted" in page
    assert "ten are named" in page
    assert SHOWN_SKIPPED == 10


def test_numbers_of_the_studio_page() -> None:
    iterations = Splits.model_fields["iterations"].default
    page = prose(ROOT / "docs" / "studio.md")
    assert f"`iterations`, {iterations} unless you say otherwise and {MOST_ITERATIONS} at most" in page
    fields = [name for name in SearchContext.model_fields if name != "seed"]
    assert all(f"`{name}`" in page.partition("Better prompts")[2].partition("What a caller")[0] for name in fields)


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    _, newest, *_ = headings(ROOT / "CHANGELOG.md")
    assert newest.split()[0] == project["version"]
    lowest, beyond = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups()  # type: ignore[union-attr]  # else it fails
    *most, last = (f"3.{minor}" for minor in range(int(lowest), int(beyond)))
    assert f"Python {', '.join(most)} or {last}" in prose(ROOT / "README.md")


# Links, files and pictures


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_links_resolve(path: Path) -> None:
    links = [str(token.attrs["href"]) for token in inline(path) if token.type == "link_open"]
    for link in links:
        if re.match(r"https?://", link):
            continue
        target, _, anchor = link.partition("#")
        file = path.parent / target if target else path
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_files_that_are_named_exist(path: Path) -> None:
    for span in spans(path):
        if re.fullmatch(r"[\w./]+/\w+\.py|tests/\w+", span):
            named = ROOT / span
            # NAME stands for what the reader writes: its folder must be there.
            assert (named.parent if named.stem == "NAME" else named).exists(), span


@pytest.mark.slow
@pytest.mark.parametrize("name", first_quick(*EXPORTS, quick=2))
def test_pictures_are_up_to_date(name: str, tmp_path: Path) -> None:
    assert make.picture(name, tmp_path).read_bytes() == (make.PICTURES / f"{name}.svg").read_bytes(), "type: make docs"


def test_there_is_a_picture_of_every_served_graph() -> None:
    assert {path.stem for path in make.PICTURES.iterdir()} == set(EXPORTS)
    assert {row[0] for row in tables(ROOT / "docs" / "studio.md")["graph"]} == set(EXPORTS)


PICTURES = {
    "architecture.md": lambda: build_self_instruct(DOMAINS["cs"]),
    "optimizer.md": build_optimizer,
}


@pytest.mark.parametrize("page", PICTURES)
def test_the_picture_of_the_graph_is_the_graph(page: str) -> None:
    picture = next(block.text for block in blocks("mermaid") if block.path.name == page)
    ends = {"start": "__start__", "ended": "__end__"}
    drawn = re.findall(r"^ *(\w+)(?:\(\[\w+\]\))? (?:-->|-\.->)(?:\|[^|]*\|)? (\w+)", picture, re.MULTILINE)
    build: Any = PICTURES[page]
    edges = build().compile().get_graph().edges
    assert {tuple(ends.get(name, name) for name in edge) for edge in drawn} == {(e.source, e.target) for e in edges}
