"""What the rules of the optimiser's world are worth: writes docs/optimizer-world.json and the tables of its page.

`make tables`. No search takes part: each row is the world's own pass rate at the shipped prompts with some rules added.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from autodata.checkpoints.docstrings import description
from autodata.models.simulated.optimizer import Tastes
from autodata.models.simulated.rules import META_RULES, Effects, Rule
from autodata.models.simulated.world import META_WORLD, World
from autodata.prompts import PromptPack, load_pack
from autodata.prompts.pack import parse_prompt
from benchmarks.optimizer_world import twin_of, world_config

DOCS = Path(__file__).resolve().parents[1] / "docs"
DOCUMENTS = 4_000
SLICE = 100
"""How many of the documents of each row the tests play again."""
BEGIN, END = "<!-- tables: written by make tables -->", "<!-- end of tables -->"


def with_rules(rules: Iterable[Rule], phrase: int = 0) -> PromptPack:
    """Return the shipped prompts of cs with rules put into their files, each in one of its phrasings."""
    pack = load_pack("cs")
    prompts = dict(pack.prompts)
    for rule in rules:
        text = prompts[rule.file].text
        before, user, after = text.partition("# user\n")
        body = f"{rule.phrases[phrase]}\n"
        system = "# system\n" in before
        edited = f"{before}{body}{user}{after}" if system else f"{before}{user}{after}{body}"
        prompts[rule.file] = parse_prompt(rule.file, edited, rule.file)
    return PromptPack(pack.name, prompts)


def rows() -> dict[str, tuple[Rule, ...]]:
    """Return the packs of the table: a name and the rules that it adds."""
    helpful = tuple(rule for rule in META_RULES if rule.kind == "helpful")
    return {"shipped prompts": (), **{rule.name: (rule,) for rule in META_RULES}, "all helpful rules": helpful}


def measured(rules: Iterable[Rule], count: int) -> dict[str, int]:
    """Play documents with the rules added; return how many were accepted, and calls with and without settled stops."""
    pack = with_rules(rules)
    totals = {"documents": count}
    for name, curtail in (("calls", False), ("settled", True)):
        twin = twin_of(world_config({"curtail": curtail}), load_pack("cs"))
        obeyed = replace(twin.obeyed(pack), challenger="", feedback="", verifier="")
        played = [twin.play(obeyed, 0, f"world/{number}") for number in range(count)]
        accepted = sum(one.status == "accepted" for one in played)
        if totals.setdefault("accepted", accepted) != accepted:
            raise AssertionError("stopping settled attempts changed a decision")
        totals[name] = sum(one.calls for one in played)
    return totals


def rendered(tables: Mapping[str, Any]) -> str:
    """Return the tables of docs/optimizer-world.md for the content of docs/optimizer-world.json."""
    base = tables["rows"]["shipped prompts"]
    lines = [
        f"Each row: {tables['documents']:,} made-up documents, played by the numeric twin.\n",
        "| prompts | kind | pass rate, % | against shipped, points | calls a document | with settled stops |",
        "|---|---|---|---|---|---|",
    ]
    kinds = {rule.name: f"{rule.kind}, in {rule.file}" for rule in META_RULES}
    for name, row in tables["rows"].items():
        n = row["documents"]
        rate, start = row["accepted"] / n, base["accepted"] / base["documents"]
        error = 100 * math.sqrt(rate * (1 - rate) / n)
        gain = "" if row is base else f"{100 * (rate - start):+.1f}"
        lines.append(
            f"| {name} | {kinds.get(name, '')} | {100 * rate:.1f} (s.e. {error:.1f}) | {gain} |"
            f" {row['calls'] / n:.1f} | {row['settled'] / n:.1f} |"
        )
    lines += ["", "What each rule shifts:\n", "| rule | shifts | one phrasing |", "|---|---|---|"]
    for rule in META_RULES:
        shifts = {name: getattr(rule, name) for name in Effects.model_fields}
        said = ", ".join(f"`{name}` {value:+g}" for name, value in shifts.items() if value)
        lines.append(f"| {rule.name} | {said} | {rule.phrases[0]} |")
    lines += [
        "",
        "The world's constants where they differ from the default world's:\n",
        "| constant | value | default |",
    ]
    lines += ["|---|---|---|"]
    mine, usual = META_WORLD.model_dump(), World().model_dump()
    lines += [f"| `{name}` | {value} | {usual[name]} |" for name, value in mine.items() if value != usual[name]]
    lines += ["", "The editor's and the analyst's tastes:\n", "| constant | value | meaning |", "|---|---|---|"]
    lines += [f"| `{n}` | {f.default} | {description(Tastes, n)} |" for n, f in Tastes.model_fields.items()]
    return "\n".join(lines) + "\n"


def placed(page: str, tables: Mapping[str, Any]) -> str:
    """Return the page with its tables in place."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{rendered(tables)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Measure every row and write both files."""
    found = {}
    for name, rules in rows().items():
        found[name] = {**measured(rules, DOCUMENTS), "slice": measured(rules, SLICE)}
        print(name, found[name], file=sys.stderr)
    tables = {"simulation": True, "documents": DOCUMENTS, "rows": found}
    (DOCS / "optimizer-world.json").write_text(json.dumps(tables, indent=1) + "\n", "utf-8")
    page = DOCS / "optimizer-world.md"
    page.write_text(placed(page.read_text("utf-8"), tables), "utf-8")


if __name__ == "__main__":
    main()
