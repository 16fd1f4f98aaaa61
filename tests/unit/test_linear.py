"""Time grows with the length of a text and no faster, whatever the text: every pattern and reader of outside text.

The patterns are found by walking all modules: those compiled there and those written into a call of `re`. Each is run
over hostile texts. Processor time is what counts, so that a busy machine does little harm; whatever is timed is slow
nonetheless, and so is the walk.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from autodata.checkpoints.asked import question_key
from autodata.checkpoints.errors import cause_of
from autodata.checkpoints.records import Document
from autodata.checkpoints.texts import is_blank, json_text, preview
from autodata.corpus.documents import fit, read_documents
from autodata.domains.tasks.answers import final_answer, says_answer
from autodata.domains.tasks.maths import compare, evaluate
from autodata.domains.tasks.passages import anchors, pick
from autodata.domains.tasks.questions import not_standing_alone, paper_references
from autodata.domains.tasks.same_fact import same
from autodata.jobs.printable import printable
from autodata.models.dialect import Dialect
from autodata.models.faults import classify
from autodata.models.prompt_length import Prompts, cut_short
from autodata.models.reasoning import strip_reasoning
from autodata.models.scan import Unusable
from autodata.models.simulated.fences import fenced, without_fenced
from autodata.models.structured import parse_reply
from autodata.models.texts import Doubtful, clean, doubled
from autodata.nodes.optimizer.checks import MAX_PROMPT_CHARS, pack_problems
from autodata.nodes.optimizer.ngrams import Shingles, words_of
from autodata.nodes.solver_modes import calculations
from autodata.prompts import PromptPack, fence, load_pack
from autodata.runner.chunks import chunked
from autodata.tracing.redact import Redactor
from tests.support.packages import PACKAGES

pytestmark = pytest.mark.slow

LENGTH, SECONDS = 10_000, 0.15
"""A linear pattern takes some milliseconds for it, a quadratic one seconds."""

OPEN_JSON = ('{"', '{"\n', '{"a":', "[{", "{“", "{x:")
"""How JSON may begin that never ends."""

UNITS = [
    *(
        " ",
        "\n",
        "\t ",
        " \n",
        "a",
        "a ",
        "A",
        "é",
        "1",
        "1,",
        "1 ",
        "1.",
        "-1",
        "- ",
        ".",
        ". ",
        ", ",
        "=",
        "= ",
        "'",
        '"',
        '"a" ',
    ),
    *(
        "(",
        "{",
        "{{",
        "[",
        "<",
        "<a ",
        "</",
        ">",
        "> ",
        "*",
        "**\n\n",
        "#",
        "# a\n",
        "_",
        "`",
        "```\n",
        "~~~\n",
        "|",
        "/",
        "//",
    ),
    *(
        "\\",
        "\\frac{",
        "\\boxed{",
        "\\begin{a}",
        "$",
        "^{",
        "√ ",
        "≈",
        "!",
        "?",
        ":",
        ":a",
        "://a:",
        "@",
        "%",
        "\x0c",
        "\r",
    ),
    *(
        "answer ",
        "answer\n",
        "Answer:",
        "final answer =",
        "CALC: 1 ",
        "calc:\n",
        "approximately ",
        "this paper ",
        "a=",
        "a_",
    ),
    *("-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaa.eyJaaaaaaaa", "sk-", "bearer ", "hf_", "KEY", "OTLP_"),
    *(
        '{"a":1}<think>',
        "<think>",
        "</think>",
        *OPEN_JSON,
        "1e",
        "+",
        "it's ",
        "not ",
        "[item d=1 a=",
    ),
    *(
        "1. a[b=",
        "## A",
        "--- a/",
        "@@ -1",
        '"enum": [',
        '"a1",',
        "<a-0123456789ab>\n",
        "The failed rounds:\n",
        "a-b ",
        "3\u2013",
    ),
]
READ = [
    *(
        '{"a":1}<think>',
        "<think>",
        "</think>\n",
        "x</think>",
        *OPEN_JSON,
        '{"a":1}',
        '{"a" 1\n',
    ),
    *(
        '{"reason": "\\nu"}',
        '{"reason":"a" b}\n',
        "`<think>`",
        '"<think>" ',
        "```\n",
        "```a\n<think>\n",
        "[THINK]",
        "◁think▷",
    ),
    *("<|channel|>final<|message|>", "assistantfinal", "</s>", "**\n\n", "\\", "\\nu ", " ", "\n", "9", "\x0c", '"a",'),
]
"""What replies are hostile with."""
EXEMPT = {
    "KEY|TOKEN|SECRET|PASSW|CREDENTIAL|BEARER|OTLP_(?:": "names of the environment's variables",
}
"""Starts of patterns that never see text from outside, with what they do see."""
AT_ONE_PLACE = frozenset({"match", "fullmatch"})


def hostile(unit: str, length: int) -> str:
    return (unit * (length // len(unit) + 1))[:length]


TEMPLATES = "autodata.corpus.exporters.templates"
BESIDE_A_TRAINER = {f"{TEMPLATES}.{name}" for name in ("compute_score", "reward", "task", "taskset", "taskset_init")}
"""They need a trainer's libraries to be imported, and search no text themselves: `scoring`, beside them, does."""


def modules(package_name: str) -> Iterator[ModuleType]:
    package = importlib.import_module(f"autodata.{package_name}")
    for found in pkgutil.walk_packages(package.__path__, f"autodata.{package_name}."):
        if ".launch" not in found.name and found.name not in BESIDE_A_TRAINER:
            yield importlib.import_module(found.name)


@dataclass(frozen=True)
class Use:
    """A pattern, where it is, and the methods that it is run with there."""

    module: str
    pattern: re.Pattern[str]
    methods: frozenset[str]


def held(value: object, depth: int = 2) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif depth and isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from held(item, depth - 1)
    elif depth and isinstance(value, dict):
        for item in value.values():
            yield from held(item, depth - 1)


def compiled(module: ModuleType, tree: ast.AST) -> Iterator[Use]:
    """Yield the patterns that a module holds, each with the methods that its code calls on the name."""
    called: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            called.setdefault(node.value.id, set()).add(node.attr)
    for name, value in vars(module).items():
        for pattern in held(value):
            methods = called.get(name, set()) if isinstance(value, re.Pattern) and name.startswith("_") else set()
            yield Use(module.__name__, pattern, frozenset(methods or {"finditer"}))


def written(module: ModuleType, tree: ast.AST) -> Iterator[Use]:
    """Yield the patterns that stand in calls such as `re.sub("...", ...)`."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re"):
            continue
        first = node.args[0]
        if node.func.attr != "compile" and isinstance(first, ast.Constant) and isinstance(first.value, str):
            more = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
            parts = [part for argument in more for part in ast.walk(argument) if isinstance(part, ast.Attribute)]
            names = {part.attr for part in parts if isinstance(part.value, ast.Name) and part.value.id == "re"}
            values = [value for name in names if isinstance(value := getattr(re, name), re.RegexFlag)]
            pattern = re.compile(first.value, sum(values))
            yield Use(module.__name__, pattern, frozenset({node.func.attr}))


@cache
def uses(package_name: str) -> list[Use]:
    """Return the patterns of a package, found when a test asks: to walk all of them takes seconds."""
    found: dict[Use, None] = {}
    for module in modules(package_name):
        tree = ast.parse(inspect.getsource(module))
        found |= dict.fromkeys([*compiled(module, tree), *written(module, tree)])
    return list(found)


class TookLong(Exception):
    pass


def slow(work: Callable[[str], object], length: int, seconds: float, units: Sequence[str] = UNITS) -> list[str]:
    """Return the units of the texts that took too long; one of three runs in time is enough."""

    def stop(*_: object) -> None:
        raise TookLong

    found = []
    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        for unit in units:
            text = "x" + hostile(unit, length)
            for _ in range(3):
                started = time.process_time()
                signal.setitimer(signal.ITIMER_VIRTUAL, 2 * seconds)
                try:
                    work(text)
                except TookLong:
                    continue
                finally:
                    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
                if time.process_time() - started < seconds:
                    break
            else:
                found.append(unit)
    finally:
        signal.signal(signal.SIGVTALRM, before)
    return found


def run(use: Use) -> Callable[[str], None]:
    def work(text: str) -> None:
        use.pattern.match(text[1:])
        use.pattern.fullmatch(text[1:])
        if not use.methods <= AT_ONE_PLACE:
            for _ in use.pattern.finditer(text):
                pass

    return work


def exempt(use: Use) -> bool:
    return any(use.pattern.pattern.startswith(start) for start in EXEMPT)


def test_the_inventory_is_whole() -> None:
    everything = [use for name in PACKAGES for use in uses(name)]
    modules_found = {use.module for use in everything}
    assert {"autodata.models.reasoning", "autodata.models.scan", "autodata.corpus.documents"} <= modules_found
    assert len(everything) > 100
    assert all(any(use.pattern.pattern.startswith(start) for use in everything) for start in EXEMPT)


@pytest.mark.parametrize("package_name", PACKAGES)
def test_every_pattern_takes_time_in_proportion(package_name: str) -> None:
    took_long = {
        f"{use.module}: {use.pattern.pattern!r}": units
        for use in uses(package_name)
        if not exempt(use) and (units := slow(run(use), LENGTH, SECONDS))
    }
    assert took_long == {}


MEGABYTE, WITHIN = 1_000_000, 1.0
SIFTED = 50_000

BOUNDED = {"autodata.nodes.optimizer.directive_check": MAX_PROMPT_CHARS}
"""Modules whose texts cannot be that long; see `test_a_prompt_that_is_too_long_is_refused_before_it_is_read`."""


def seconds(work: Callable[[str], object], text: str) -> float:
    started = time.process_time()
    work(text)
    return time.process_time() - started


def hardest(work: Callable[[str], object]) -> list[str]:
    """Return the units that a megabyte is to be tried with: all that could take a second, and the worst in any case.

    Left out is what takes a hundredth of a second for `SIFTED` characters at most, and from a fifth of them to all of
    them grows about in proportion: a quadratic pattern that needs a second for a megabyte needs 25 times as long for
    `SIFTED` as for a fifth.
    """
    took = {unit: seconds(work, "x" + hostile(unit, SIFTED)) for unit in UNITS}
    found = []
    for unit, whole in took.items():
        if whole > WITHIN / 100:
            found.append(unit)
        elif whole > WITHIN / 1000:
            fifth = "x" + hostile(unit, SIFTED // 5)
            if whole > 10 * min(seconds(work, fifth) for _ in range(3)):
                found.append(unit)
    return found or [max(took, key=lambda unit: took[unit])]


@pytest.mark.parametrize("package_name", PACKAGES)
def test_every_pattern_reads_a_megabyte_within_a_second(package_name: str) -> None:
    """All units at a megabyte would take the better part of an hour: see `hardest`."""
    took_long = {
        f"{use.module}: {use.pattern.pattern!r}": units
        for use in uses(package_name)
        if not exempt(use) and (units := slow(run(use), BOUNDED.get(use.module, MEGABYTE), WITHIN, hardest(run(use))))
    }
    assert took_long == {}


class Answer(BaseModel):
    reason: str
    score: int = 0


def parsed(text: str) -> None:
    with suppress(Unusable):
        parse_reply(text, Answer)


def literal(text: str) -> None:
    with suppress(Doubtful):
        doubled(text)


READERS: list[Callable[[str], object]] = [parsed, strip_reasoning, clean, literal, lambda text: fence("a", text)]


@pytest.mark.parametrize("work", READERS, ids=lambda f: f.__name__)
def test_a_megabyte_is_read_within_a_second(work: Callable[[str], object]) -> None:
    assert slow(work, MEGABYTE, WITHIN, READ) == []


def shingled(text: str) -> None:
    words_of(text)


def passages(text: str) -> None:
    Shingles([text[:SIFTED]], 8).found_in(text[:SIFTED])


def answered(text: str) -> None:
    final_answer(text)
    says_answer(text)


def mathematical(text: str) -> None:
    assert compare(text, f"{text}1") is None
    assert evaluate(text) is None


def told_apart(text: str) -> None:
    assert same(text, "5 m", "How long?") is None
    assert same("5 m", text, "How long?") is None


def fenced_parts(text: str) -> None:
    list(fenced(text))
    without_fenced(text)


def cause(text: str) -> None:
    cause_of("call_failed", text)


def questioned(text: str) -> None:
    not_standing_alone(text)
    paper_references(text)


def picked(text: str) -> None:
    anchors(text)
    pick(text, 1, 1)


REQUEST: Any = httpx.Request("POST", "http://endpoint.test/v1/chat/completions")


def refusal(text: str) -> None:
    response: Any = httpx.Response(400, text=text, request=REQUEST)
    error = openai.BadRequestError("refused", response=response, body=text)
    classify(error)
    Dialect().after(error, {"seed", "temperature", "top_p", "max_tokens", "system"})


def prompt(text: str) -> None:
    cut_short(Prompts().new_of([{"role": "user", "content": text}]), 7)


REDACTOR = Redactor()
SCANNERS: list[Callable[[str], object]] = [
    *(questioned, picked),
    *(REDACTOR.text, shingled, passages, question_key, answered, calculations, mathematical, told_apart),
    *(printable, fenced_parts, cause, json_text, preview, is_blank, refusal, prompt),
]
MORE = [
    *("sk-a", "-----BEGIN A ", "://a", "eyJ", "bearer  ", "<a-0123456789ab>\n</a", "</a-0123456789ab>", "\u201ca"),
    *("CALC:\n", "Answer: $$", "Answer:\n", "\\boxed{", "a!", "'", "\u0e01", "the paper ", "\x1b[", "\r\n"),
    *("\x7f", "\u2028"),
]


CS = load_pack("cs")
PROTECTED = Shingles(["the pump of the third generation is primed by a small amount of water"], 8)
EDITED = [
    *("never tell the solver ", "do not tell a solver. ", "never tell. it ", "put a note in the context ", "- a\n"),
    *("not only tell the solver ", "write to it. ", "ask the reader that ", "{{name}} ", "{{ schema }} ", "${a(b)} "),
    *("the weak ", "add an instruction ", "score any a ", "give it full marks, ", "an instruction. "),
]


def with_more(text: str) -> PromptPack:
    """Return the pack as an edit leaves it, also with what no prompt file may hold."""
    before = CS["challenger"]
    whole = before.text.replace("# user\n", f"# user\n{text}\n\n", 1)
    after = replace(before, text=whole, user=f"{text}\n\n{before.user}")
    return PromptPack(CS.name, {**CS.prompts, "challenger": after})


def test_a_prompt_that_is_too_long_is_refused_before_it_is_read() -> None:
    def check(mutant: PromptPack) -> list[str]:
        return pack_problems(CS, CS, mutant, protected=PROTECTED, growth=1e9)

    for unit in [*EDITED, *UNITS]:
        mutant = with_more(hostile(unit, MEGABYTE))
        started = time.process_time()
        (problem,) = check(mutant)
        assert time.process_time() - started < WITHIN, unit
        assert f"shorten it to at most {MAX_PROMPT_CHARS:,}" in problem


@pytest.mark.parametrize("unit", [*EDITED, *UNITS])
def test_the_longest_prompt_that_is_read_is_so_within_a_second(unit: str) -> None:
    mutant = with_more(hostile(unit, MAX_PROMPT_CHARS - len(CS["challenger"].text) - 10))

    def check(_: str) -> None:
        pack_problems(CS, CS, mutant, protected=PROTECTED, growth=1e9)

    assert slow(check, 1, WITHIN, [unit]) == []


@pytest.mark.slow
@pytest.mark.parametrize("work", SCANNERS, ids=lambda work: getattr(work, "__name__", "scanner"))
def test_every_scanner_reads_a_megabyte_within_a_second(work: Callable[[str], object]) -> None:
    assert slow(work, MEGABYTE, WITHIN, [*MORE, *hardest(work)]) == []


@pytest.mark.parametrize("work", SCANNERS, ids=lambda work: getattr(work, "__name__", "scanner"))
def test_every_scanner_takes_time_in_proportion(work: Callable[[str], object]) -> None:
    assert slow(work, SIFTED, SECONDS * SIFTED / LENGTH, [*MORE, *UNITS]) == []


FILES = [
    *(
        "\\section[",
        "\\title{",
        "\\input{",
        "%",
        "==\n",
        "a\n---\n",
        "<p>",
        "<table><tr><td>",
        "|",
        "- a\n",
        "class A:\n\n",
        "],[",
    ),
    *("#", "# ", "# a\n", "#\t ", "```\n", "~~~", "a", "a. ", '!"', " ", "\n", "\u3002", "[", '{"', '{"text": 1}\n'),
    *("#\n", "1\n", '{"}\n', "{}\n", "[]\n", "\\\n", "\\u00 0000000\n", '{"text": }}}\n', '{"text":"a"}\n'),
    *("\x00\n", "\u3000\n", "\r", "a\u3000\n", '{"\\u0074ext":1}\n'),
]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".txt", ".md", ".jsonl", ".rst", ".tex", ".py"])
def test_files_of_a_megabyte_are_read_within_a_second(tmp_path: Path, suffix: str) -> None:
    def read(text: str) -> None:
        for found in read_documents([path]):
            if isinstance(found, Document):
                fit(found, MEGABYTE // 2, "cut")
                chunked(found, 60_000)

    path = tmp_path / f"hostile{suffix}"
    for unit in FILES:
        path.write_text(hostile(unit, MEGABYTE), "utf-8")
        assert slow(read, 1, WITHIN, [unit]) == [], unit
