"""The card of a dataset: what is in it, how hard it is, how it came about, and where its limits are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, pstdev
from typing import Any

from autodata.checkpoints.texts import json_text
from autodata.corpus.bootstrap import Figure
from autodata.corpus.exporters.columns import features
from autodata.corpus.exporters.rows import ExampleRow, ExportSet
from autodata.corpus.intervals import mean_interval

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


MOST_GROUPS = 12
"""Domains, types and skills of which the difficulty is shown, the most frequent first."""

Files = Mapping[str, Sequence[str]]
"""The data files of each split."""


def card(
    data: ExportSet,
    configs: Mapping[str, Files],
    *,
    row_types: Mapping[str, Any] | None = None,
    more: Sequence[str] = (),
) -> str:
    """Return `README.md` as the Hugging Face hub reads it.

    `configs` are the data files of each split by configuration, the default one first; `row_types` the TypedDicts of
    their rows where the files hold no types themselves; `more` are sections of the format's own.
    """
    return f"{_head(data, configs, row_types or {})}\n\n{card_text(data, more)}"


def filled(splits: Mapping[str, Sequence[Any]], path: str) -> Files:
    """Return the file of each split, `path` with the split's name in it, without those that have no rows.

    `datasets` cannot load a file without rows; where no split has any, all are named.
    """
    return {name: [path.format(name)] for name, rows in splits.items() if rows or not any(splits.values())}


def card_text(data: ExportSet, more: Sequence[str] = ()) -> str:
    """Return the card without its head, for places that have no use for one."""
    sections = [
        _what(data),
        *more,
        _difficulty(data),
        _confirmed(data),
        _failures(data),
        _cost(data),
        _origin(data),
        LIMITS,
    ]
    return "\n\n".join(section.strip() for section in sections if section) + "\n"


LIMITS = """
## Limits

- Scores that selected an example flatter it: of examples chosen for a gap part of the measured gap is luck. Attempts
  made anew come out closer together; figures named confirmed are of such attempts.
- A judge model marked the attempts, criterion by criterion; code added up the weights. Its mistakes are in the scores.
- Questions, answers and rubrics were written by models from the sources, and carry their errors and their bias.
"""


def _head(data: ExportSet, configs: Mapping[str, Files], row_types: Mapping[str, Any]) -> str:
    """Return the YAML head. JSON is YAML, so that no title can break it."""
    size = next((name for most, name in SIZES if len(data) < most), "n>1M")
    known: dict[str, Any] = {
        "pretty_name": data.facts.name or "Autodata examples",
        "tags": ["synthetic", "autodata"],
        "size_categories": [size],
        "task_categories": ["question-answering", "text-generation"],
        "configs": [
            {
                "config_name": config,
                "data_files": [{"split": name, "path": path} for name, paths in files.items() for path in paths],
                **({"default": True} if number == 0 and len(configs) > 1 else {}),
            }
            for number, (config, files) in enumerate(configs.items())
        ],
    }
    if row_types:
        known["dataset_info"] = [
            {"config_name": config, "features": features(row_type)} for config, row_type in row_types.items()
        ]
    if data.facts.licence:
        known["license"] = data.facts.licence
    return "---\n" + "".join(f"{name}: {json_text(value)}\n" for name, value in known.items()) + "---"


def _what(data: ExportSet) -> str:
    counts = ", ".join(f"{len(rows):,} {name}" for name, rows in data.splits.items())
    documents = len({row["document_id"] for row in data.rows})
    return (
        f"# {data.facts.name or 'Autodata examples'}\n\n"
        f"{len(data):,} questions ({counts}) over {documents:,} documents, domain `{data.facts.domain}`. Each was"
        " accepted because the strong solver could answer it and the weak one could not yet, both measured."
    )


def _difficulty(data: ExportSet) -> str:
    rows = data.rows
    if not rows:
        return ""
    lines = [
        "## Difficulty",
        "",
        "Mean scores of the attempts that selected an example, in 0..1; the spread is the standard deviation.",
        "",
        "| of | examples | weak | strong | gap | weak spread | strong spread | cut off |",
        "|---|---|---|---|---|---|---|---|",
        _figures("all", rows),
    ]
    groups: list[tuple[str, Sequence[ExampleRow]]] = []
    left_out: list[str] = []
    for title, values in (
        ("domain", _by(rows, lambda row: [row["domain"]])),
        ("type", _by(rows, lambda row: [row["question_type"]])),
        ("skill", _by(rows, lambda row: row["skills"] or row["target_capabilities"])),
    ):
        if len(values) > 1 or (values and title == "domain"):
            groups += [(f"{title}: {name}", found) for name, found in list(values.items())[:MOST_GROUPS]]
            if (others := len(values) - MOST_GROUPS) > 0:
                left_out.append(f"{others:,} rarer ones by {title}")
    figures = [_figures(name, found) for name, found in groups]
    return "\n".join([*lines, *figures, *(["", f"Left out: {', '.join(left_out)}."] if left_out else [])])


def _confirmed(data: ExportSet) -> str:
    """Return what fresh attempts scored beside what selected; empty in a run that does not confirm."""
    rows = [row for row in data.rows if row["confirmed_gap"] is not None]
    if not rows:
        return ""
    count = max(len(row["confirmed_weak_scores"]) for row in rows)
    lines = [
        "## Confirmed",
        "",
        f"Means over {len(rows):,} examples of {count} + {count} fresh attempts at each, none of which selected it; the"
        " interval is the 95 % one of the confirmed mean.",
        "",
        "| of | selecting | confirmed | interval |",
        "|---|---|---|---|",
    ]
    sides = (
        ("weak", [(row["weak_mean"], row["confirmed_weak_mean"]) for row in rows]),
        ("strong", [(row["strong_mean"], row["confirmed_strong_mean"]) for row in rows]),
        ("gap", [(row["gap"], row["confirmed_gap"]) for row in rows]),
    )
    for name, pairs in sides:
        fresh = mean_interval([confirmed for _, confirmed in pairs if confirmed is not None])
        lines.append(f"| {name} | {_of(mean, [selecting for selecting, _ in pairs])} | {_interval(fresh)} |")
    shrunk = [one - other for one, other in sides[-1][1] if one is not None and other is not None]
    lines.append(f"| shrinkage of the gap | | {_interval(mean_interval(shrunk))} |")
    if any(row["confirmed_required"] for row in rows):
        lines += ["", _required(data)]
    return "\n".join(lines)


def _interval(figure: Figure) -> str:
    value = "" if figure.value is None else f"{figure.value:.2f}"
    bounds = "" if figure.low is None or figure.high is None else f"{figure.low:.2f} to {figure.high:.2f}"
    return f"{value} | {bounds}"


def _required(data: ExportSet) -> str:
    """Return what must be known where fresh attempts had to pass: then they selected, too."""
    text = "The fresh attempts had to pass, so that these figures selected the examples too, and flatter them."
    known = data.facts.figures.get("confirmed")
    if not known:
        return text
    gap = known["gap"]["confirmed"]
    return (
        f"{text} Over all {known['candidates']:,} candidates that were confirmed, passed or not, the gap is {gap:.2f}."
    )


def _figures(name: str, rows: Sequence[ExampleRow]) -> str:
    weak, strong = ([_mean(row, key) for row in rows] for key in ("weak_scores", "strong_scores"))
    gaps = [row["gap"] for row in rows if row["gap"] is not None]
    attempts = [attempt for row in rows for attempt in row["attempts"]]
    cut = f"{sum(attempt['truncated'] for attempt in attempts) / len(attempts):.0%}" if attempts else ""
    gap = f"{mean(gaps):.2f}" if gaps else ""
    cell = name.replace("|", "\\|").replace("\n", " ")
    return (
        f"| {cell} | {len(rows):,} | {_of(mean, weak)} | {_of(mean, strong)} | {gap} | {_of(pstdev, weak)}"
        f" | {_of(pstdev, strong)} | {cut} |"
    )


def _of(figure: Any, values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{figure(known):.2f}" if known else ""


def _mean(row: ExampleRow, key: str) -> float | None:
    scores: list[float] = row["weak_scores"] if key == "weak_scores" else row["strong_scores"]
    return mean(scores) if scores else None


def _by(rows: Sequence[ExampleRow], keys: Any) -> dict[str, list[ExampleRow]]:
    """Return rows by key, the most frequent key first."""
    counted = Counter(key for row in rows for key in keys(row) if key)
    return {key: [row for row in rows if key in keys(row)] for key, _ in sorted(counted.items(), key=_frequent)}


def _frequent(found: tuple[str, int]) -> tuple[int, str]:
    return -found[1], found[0]


def _failures(data: ExportSet) -> str:
    modes = {name: count for name, count in (data.facts.figures.get("failure_modes") or {}).items() if count}
    if not modes:
        return ""
    rows = "\n".join(f"| {name} | {count:,} |" for name, count in sorted(modes.items(), key=_frequent))
    return f"## Why rounds failed\n\n| reason | rounds |\n|---|---|\n{rows}"


def _cost(data: ExportSet) -> str:
    if not data.facts.usage:
        return ""
    rows = "\n".join(
        f"| {row['role']} | {row['calls']:,} | {_number(row['tokens_in'])} | {_number(row['tokens_out'])}"
        f" | {'' if row['cost_usd'] is None else format(row['cost_usd'], ',.4f')} |"
        for row in data.facts.usage
    )
    return f"## Cost\n\n| role | calls | tokens in | tokens out | USD |\n|---|---|---|---|---|\n{rows}"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _origin(data: ExportSet) -> str:
    models = sorted({(one["role"], one["model"]) for row in data.rows for one in row["models"]})
    lines = ["## How it was made", ""]
    lines += [f"- `{role}`: {model}" for role, model in models]
    lines += [f"- prompt of `{role}`: version {', '.join(asked)}" for role, asked in sorted(data.facts.prompts.items())]
    if changed := data.facts.judge_changed:
        lines.append(f"- where this folder has a reward: {changed}")
    presets = ", ".join(sorted({row["preset"] for row in data.rows}))
    lines += [
        f"- acceptance: {presets or 'no example was accepted'}",
        f"- licence of the sources: {data.facts.licence or 'not given'}",
        f"- configuration: `{data.facts.run}`; `autodata run --config RUN/config.toml`"
        " with the same documents makes it anew",
    ]
    return "\n".join(lines)
