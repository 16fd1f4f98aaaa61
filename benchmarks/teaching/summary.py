"""From what the seeds left in a folder to docs/teaching.json. It needs no trainer's library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
SETS = ("one-shot", "accepted", "new families")
ARMS = (
    *(f"grpo {name}" for name in ("one-shot", "agentic", "both", "gate too easy", "gate too hard")),
    "grpo second generation",
    *(f"sft {name}" for name in ("one-shot", "agentic", "both")),
)
DATA: Mapping[str, tuple[str, ...]] = {"both": ("one-shot", "agentic")}
"""Arms whose examples are those of others."""
START = {"grpo second generation": "grpo agentic"}
"""Where an arm begins, which is else the base."""


def whole(folder: Path, seed: int) -> bool:
    """Whether all arms of a seed are done."""
    return all((folder / str(seed) / f"{arm}.json").exists() for arm in ("base", *ARMS))


def summed(folder: Path) -> dict[str, Any]:
    """Return what docs/teaching.json holds: of seeds of which all arms are done. Raises ValueError without any."""
    seeds = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit() and whole(folder, int(path.name)))
    if not seeds:
        raise ValueError(f"{folder}: no seed is done")
    found: dict[str, Any] = {
        **_read(folder / "scale.json"),
        "seeds": seeds,
        "solvers": {name: _read(folder / f"{name}.json") for name in ("weak", "strong")},
        "rates": _read(folder / "rates.json"),
        "held": {name: len(asked) for name, asked in _read(folder / "held.json").items()},
        "arms": {"base": {}, **{arm: {} for arm in ARMS}},
    }
    for seed in seeds:
        own = folder / str(seed)
        rows = {arm: _read(own / f"{arm}.json") for arm in ("base", *ARMS)}
        for arm, row in rows.items():
            before = rows[START.get(arm, "base")]["after"]
            found["arms"][arm][str(seed)] = _one(own, arm, row, before)
    return found


def _one(own: Path, arm: str, row: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    after = row["after"]
    result: dict[str, Any] = {
        "mean": {name: _share(after[name]["right"]) for name in SETS},
        "cut": {name: _share(after[name]["cut"]) for name in SETS},
        "curve": row["curve"],
    }
    if arm == "base":
        return result
    turned = {}
    for name in SETS:
        changed = [
            cut == "1"
            for was, cut, now in zip(before[name]["right"], before[name]["cut"], after[name]["right"], strict=True)
            if (was, now) == ("0", "1")
        ]
        turned[name] = [len(changed), sum(changed)]
    data = arm.partition(" ")[2]
    made = [_read(own / one / "made.json") for one in DATA.get(data, (data,))]
    kept = ("examples", "processor_seconds", "base_on_own", "base_cut_on_own")
    return {**result, "turned": turned, **{name: row[name] for name in kept}, "made": made}


def _share(digits: str) -> float:
    return round(digits.count("1") / len(digits), 5)


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def write(folder: Path) -> None:
    """Write docs/teaching.json."""
    text = json.dumps(summed(folder), indent=1)
    (DOCS / "teaching.json").write_text(f"{text}\n", "utf-8")
