"""The examples of a real small model's arms: loop and baseline ask about paragraphs of the shipped documents."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from autodata import BaselineConfig, GenerationResult, RunConfig, generate, open_run, prompts
from autodata.domains.domain import FACTS
from autodata.examples import documents_folder

ARMS = ("one-shot", "agentic")
"""Arms whose examples are made here: by the baseline, and by the loop."""
SEED = 1
ROUNDS = 3
STRONG, WEAK = "qwen2.5-coder-1.5b", "smollm2-135m"
_PARAGRAPH = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of a document: `name` is the document's with the paragraph's number, from 1."""

    name: str
    number: int
    text: str

    @property
    def held_out(self) -> bool:
        """Whether what is asked about it measures, and teaches nobody."""
        return self.number % 2 == 0


def paragraphs(folder: Path | None = None) -> list[Paragraph]:
    """Return all documents' paragraphs without headings: the first of each, then the second of each, and so on."""
    found = []
    for path in sorted((folder or documents_folder()).glob("*.md")):
        texts = [text.strip() for text in _PARAGRAPH.split(path.read_text("utf-8"))]
        prose = [text for text in texts if text and not text.startswith("#")]
        found += [Paragraph(f"{path.stem}-{number}", number, text) for number, text in enumerate(prose, 1)]
    return sorted(found, key=lambda one: one.number)


@dataclass(frozen=True)
class Models:
    """Who plays the roles: names of `autodata.models.local`, or a simulated model for all roles but the weak solver."""

    strong: str = STRONG
    weak: str = WEAK

    def settings(self) -> dict[str, Any]:
        """Return the tables of the roles. All who are shown the passage share a slot of the server, as in the demo."""
        weak = {"provider": "local", "model": self.weak}
        if self.strong.startswith("simulated:"):
            return {"default": self.strong, "weak_solver": weak}
        big: dict[str, Any] = {"provider": "local", "model": self.strong}
        return {
            "default": {**big, "extra_body": {"id_slot": 0}},
            "verifier": {**big, "extra_body": {"id_slot": 1}},
            "weak_solver": weak,
        }


def few_attempts(folder: Path) -> Path:
    """Write the domain `facts` with one attempt of each solver into a folder, and return it."""
    shutil.copytree(Path(prompts.__file__).parent / FACTS.name, folder, dirs_exist_ok=True)
    values = FACTS.model_dump(exclude_defaults=True, exclude={"name", "acceptance", "role_defaults"})
    values |= {"weak_attempts": 1, "strong_attempts": 1, "curtail": False}
    # A baseline rules by no bounds, and those of `counts` need more attempts.
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    lines.append('acceptance = { weak_mean = [">= 0"] }')
    for role, settings in FACTS.role_defaults.items():
        lines += [f"[role_defaults.{role}]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
    (folder / "domain.toml").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def configuration(arm: str, few: Path, *, anything: bool = False) -> RunConfig:
    """Return an arm's configuration. `few` is the domain of `few_attempts`.

    With `anything` the loop accepts whatever is scored, which shows that all of it runs.
    """
    values: dict[str, Any] = {
        "domain": str(few) if anything or arm == "one-shot" else FACTS.name,
        "seed": SEED,
        "concurrency": 1,
        "local": {"n_parallel": 2},
        "checkpoints": {"keep": "none"},
        "tracing": {"local": False},
    }
    if arm == "one-shot":
        return BaselineConfig.of(RunConfig.model_validate(values))
    return RunConfig.model_validate({**values, "max_rounds": ROUNDS})


def make(folder: Path, arm: str, given: Sequence[Paragraph], models: Models, *, anything: bool = False) -> None:
    """Make an arm's examples of some paragraphs in `folder/run`, and export them; what is made already is kept.

    `folder` gets `facts-few`, `messages`, `trl-grpo` and `made.json`.
    """
    few = few_attempts(folder / "facts-few")
    result = generate(
        [{"id": one.name, "text": one.text} for one in given],
        models=models.settings(),
        out=folder / "run",
        config=configuration(arm, few, anything=anything),
        progress=False,
    ).raise_for_status()
    for form in ("messages", "trl-grpo"):
        result.export(folder / form, format=form)
    made = json.dumps(asdict(_made(result, len(given))), indent=1)
    (folder / "made.json").write_text(made + "\n", "utf-8")


@dataclass(frozen=True)
class Made:
    """What making an arm's examples took. Means are of the attempts that decided; rounds are those to an example."""

    paragraphs: int
    accepted: int
    calls: Mapping[str, int]
    """Calls by role."""
    rounds: float
    weak: float
    strong: float


def _made(result: GenerationResult, count: int) -> Made:
    calls = {role: usage.calls for role, usage in result.usage_by_role.items() if usage.calls}
    # Where attempts were left out the run gives no mean: what is here is that of the attempts there are.
    scores = [[mean(example[f"{solver}_scores"]) for example in result] for solver in ("weak", "strong")]
    means = [round(mean(values), 4) if values else 0.0 for values in ([one["round"] for one in result], *scores)]
    return Made(count, len(result), calls, *means)


@dataclass(frozen=True)
class Asked:
    """An example: what was asked about which paragraph, and its reference answer."""

    paragraph: Paragraph
    question: str
    reference: str


def chats(folder: Path, known: Sequence[Paragraph]) -> list[dict[str, Any]]:
    """Return the rows of an arm's `messages` export, in the order of the paragraphs that are known."""
    order = {one.name: n for n, one in enumerate(known)}
    lines = (folder / "messages" / "train.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["document_name"] in order]
    return sorted(rows, key=lambda row: order[row["document_name"]])


def asked(folder: Path, known: Sequence[Paragraph]) -> list[Asked]:
    """Return what each row of `chats` asks about."""
    by_name = {one.name: one for one in known}
    answers = {row["id"]: row["reference_answer"] for row in open_run(folder / "run")}
    return [
        Asked(by_name[row["document_name"]], row["messages"][0]["content"], answers[row["id"]])
        for row in chats(folder, known)
    ]
