"""Write the generated parts of pages in docs, and the pictures of docs/graphs: `make docs`.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; all other text is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from typer.testing import CliRunner

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.records import FailureMode
from autodata.cli.app import app
from autodata.cli.draw import draw
from autodata.cli.init import configuration
from autodata.corpus.loaders.registry import FORMATS
from autodata.corpus.summary import MEANINGS
from autodata.domains.domain import CS, DOMAINS
from autodata.jobs.session import Session
from autodata.models.config import ModelSettings, Settings
from autodata.models.simulated.world import Faults
from autodata.prompts.roles import PROMPTED, ROLE
from autodata.runner.config import read_config
from autodata.runner.fingerprint import MODEL_FIELDS_KEPT, fingerprint
from autodata.serving.exports import EXPORTS, compiled

PAGE = Path(__file__).with_name("configuration.md")
DOMAINS_PAGE = Path(__file__).with_name("domains.md")
DOCUMENTS_PAGE = Path(__file__).with_name("documents.md")
SCALING_PAGE = Path(__file__).with_name("scaling.md")
PAGES = (PAGE, DOMAINS_PAGE, DOCUMENTS_PAGE, SCALING_PAGE)
"""The pages with parts that are written here."""
RECORDED = Path(__file__).resolve().parents[1] / "tests" / "golden"
"""The recorded runs, a file a domain."""
PICTURES = Path(__file__).with_name("graphs")

_PART = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

FAILURE_MODES: Mapping[FailureMode, str] = {
    FailureMode.MALFORMED: "The challenger's reply was JSON that breaks the rules of a candidate, after all repairs.",
    FailureMode.DUPLICATE: "The question was tried before for this document; no solver is paid for it again.",
    FailureMode.QUALITY: "The quality verifier, or a check in code, found a fault: a leak, say, or no support.",
    FailureMode.TOO_EASY: "The weak solver did too well: its mean, its best attempt, or how many were right.",
    FailureMode.DEGENERATE_WEAK: "The weak solver scored below what a bound asks for, or 0 where no attempt may.",
    FailureMode.FAILED_ON_STRONG: "The strong solver did not do well enough.",
    FailureMode.SATURATED_STRONG: "The strong solver did too well to leave anything to learn.",
    FailureMode.GAP_TOO_SMALL: "Strong mean minus weak mean lies outside the bounds of the gap.",
    FailureMode.POST_FILTER: "The question breaks a fixed rule: too long, a forbidden phrase, or an old year.",
    FailureMode.SENT_BACK: "The loop judge asked for another round; its suggestion reached the writer word for word.",
    FailureMode.REVIEWER: "All gates passed, but a person rejected the candidate; the reason reached the challenger.",
    FailureMode.NOT_CONFIRMED: "All gates passed, but fresh attempts did not bear it out, where they must.",
    FailureMode.FINAL_CHECK: "All gates passed, but not the last quality check; the document ends with this round.",
}
"""What each failure mode of a round means, in one line."""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ("---",) * len(head), *rows])


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _fingerprinted() -> str:
    """Return the list of settings that may not change between two sessions."""
    config = read_config('models.default = {provider = "simulated", model = "m"}', "docs")
    kept = fingerprint(config.resolved(""))
    names = dict.fromkeys(name.partition(".")[0] for name in kept)
    plain = [name for name in names if not isinstance(getattr(config, name, None), Settings)]
    tables = [f"[{name}]" for name in names if name not in {*plain, "models", "simulated"}]
    free = [name for name in Faults.model_fields if f"simulated.faults.{name}" not in kept]
    return "\n".join(
        (
            f"- {_codes(plain)};",
            f"- {_codes(tables)};",
            f"- of each role: {_codes(name for name in ModelSettings.model_fields if name in MODEL_FIELDS_KEPT)};",
            f"- with simulated models `[simulated]`, but for its faults {_codes(free)}.",
        )
    )


def _exit_codes() -> str:
    """Return the table of exit codes, from the docstrings of what causes them."""
    said = {error: re.sub(r" Exit code \d\.", "", error.__doc__ or "") for error in (RunFailed, UserError)}
    of_run = re.fullmatch(r"0 when (.*), 1 when (.*)\.", Session.exit_code.__doc__ or "")
    assert of_run is not None, "the docstring of Session.exit_code no longer distinguishes 0 from 1"
    rows = [
        ("0", f"The command did its work. `run`: {of_run[1]}."),
        (
            "1",
            f"{said[RunFailed]} `run`: {of_run[2]}. `doctor`: a role, or a server for checkpoints, could not be used.",
        ),
        ("2", said[UserError]),
    ]
    return _table(("code", "meaning"), rows)


def _roles() -> str:
    """Return the table of what each role may and must be shown; the roles of every domain come first."""
    listed = sorted((ROLE[name] for name in PROMPTED), key=lambda role: bool(role.switch))
    rows = ((role.name, ", ".join(role.placeholders), ", ".join(role.needed)) for role in listed)
    return _table(("role", "it may use", "it must use"), rows)


def _formats() -> str:
    """Return the table of the formats of documents: their suffixes, what becomes one document, where it is parted."""
    suffixes: dict[int, list[str]] = {}
    for name, loader in FORMATS.items():
        suffixes.setdefault(id(loader), []).append(f".{name}")
    rows = []
    for loader in {id(loader): loader for loader in FORMATS.values()}.values():
        extras = sorted({*loader.needs.values()})
        rows.append((loader.family, _codes(suffixes[id(loader)]), loader.unit, loader.parts, _codes(extras)))
    return _table(("format", "suffixes", "one document is", "parted at", "extra"), rows)


def _plan() -> str:
    """Return what the plan of the page on scaling prints, for the configuration that stands there."""
    page = SCALING_PAGE.read_text("utf-8")
    [settings] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    [command] = re.findall(r"`autodata (plan [^`]*)`", page)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "autodata.toml"
        file.write_text(settings, "utf-8")
        said = CliRunner(env={"COLUMNS": "100"}).invoke(app, [*command.split(), "--config", str(file)])
    assert said.exit_code == 0, said.output
    lines = [line.rstrip() for line in said.output.strip().splitlines()]
    return "\n".join(["```text", *lines, "```"])


def _prompts_of(domain: str) -> dict[str, list[str]]:
    """Return the prompts of a domain's recorded run by role, in their order."""
    recorded = json.loads((RECORDED / f"{domain}.json").read_text("utf-8"))
    found: dict[str, list[str]] = {}
    for call in recorded["calls"]:
        lines = [
            line
            for turn in call["messages"]
            for text in (turn["role"], *turn["text"])
            for line in ([text] if isinstance(text, str) else recorded["shared"][text["see"]])
        ]
        found.setdefault(call["role"], []).append("\n".join(lines))
    return found


def _common(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    return next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _shared_beginnings() -> str:
    """Return the table of how much of a prompt is the beginning of an earlier one of its role, by role and domain."""
    shares: dict[str, dict[str, str]] = {}
    for domain in DOMAINS:
        for role, prompts in _prompts_of(domain).items():
            each = [
                max(_common(prompt, earlier) for earlier in prompts[:k]) / len(prompt)
                for k, prompt in enumerate(prompts)
                if k
            ]
            if each:
                shares.setdefault(role, {})[domain] = f"{sum(each) / len(each):.0%}"
    rows = ((role, *(of_role.get(domain, "") for domain in DOMAINS)) for role, of_role in sorted(shares.items()))
    return _table(("role", *DOMAINS), rows)


PARTS: Mapping[str, Callable[[], str]] = {
    "fingerprint": _fingerprinted,
    "configuration": lambda: f"```toml\n{configuration(CS)}```",
    "status": lambda: _table(("key", "meaning"), ((_codes(names), text) for names, text in MEANINGS.items())),
    "failure-modes": lambda: _table(("mode", "meaning"), ((f"`{m.value}`", FAILURE_MODES[m]) for m in FailureMode)),
    "exit-codes": _exit_codes,
    "roles": _roles,
    "formats": _formats,
    "plan": _plan,
    "shared-beginnings": _shared_beginnings,
}
"""The generated parts by name."""


def rendered(text: str) -> str:
    """Return a page with every generated part as it is now. Raises KeyError for a part that is not known."""
    return _PART.sub(lambda match: f"{match[1]}{PARTS[match[2]]()}\n{match[3]}", text)


def picture(name: str, folder: Path = PICTURES) -> Path:
    """Draw a served graph into a folder; return the file."""
    file = folder / f"{name}.svg"
    draw(compiled(name).get_graph(), file)
    return file


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(rendered(page.read_text("utf-8")), "utf-8")
    PICTURES.mkdir(exist_ok=True)
    for export in EXPORTS:
        picture(export)
