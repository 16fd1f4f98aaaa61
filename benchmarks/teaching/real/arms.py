"""The arms of a real small model: weights, data, training by `examples/train/sft.py`, and what it then can do."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from autodata.models.local.weights import find_weights
from benchmarks.teaching.real.answers import answers
from benchmarks.teaching.real.examples import ARMS, WEAK, Asked, Models, Paragraph, asked, chats, make, paragraphs

DATA: Mapping[str, Sequence[str]] = {"one-shot": ["one-shot"], "agentic": ["agentic"], "both": ARMS}
"""Arm -> whose examples it is trained on."""
SCRIPT = Path(__file__).resolve().parents[3] / "examples" / "train" / "sft.py"
CARD = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: train.jsonl\n---\n"


@dataclass(frozen=True)
class Scale:
    """How much of everything. `models` make the examples; the one that is trained is WEAK."""

    paragraphs: int = 40
    steps: int = 30
    batch: int = 4
    rate: float = 1e-4
    seeds: tuple[int, ...] = (1, 2, 3)
    models: Models = Models()  # noqa: RUF009 - frozen
    anything: bool = False
    """Whether every scored candidate is an example, to see that all of it runs."""


@dataclass(frozen=True)
class Place:
    """Where the work lies, and what all arms share."""

    folder: Path
    scale: Scale
    said: Callable[[str], None]

    @property
    def known(self) -> list[Paragraph]:
        """The paragraphs that are asked about."""
        return paragraphs()[: self.scale.paragraphs]

    def asked(self, arm: str, *, held_out: bool) -> list[Asked]:
        """Return an arm's examples of the paragraphs that are held out, or of the others."""
        every = asked(self.folder / arm, self.known)
        return [one for one in every if one.paragraph.held_out is held_out]

    @property
    def count(self) -> int:
        """How many examples an arm has: as many as that with fewest."""
        return min(len(self.asked(arm, held_out=False)) for arm in ARMS)

    @property
    def held(self) -> dict[str, list[Asked]]:
        """The held-out sets."""
        return {
            "one-shot": self.asked("one-shot", held_out=True),
            "accepted": self.asked("agentic", held_out=True),
        }


def run(place: Place) -> None:
    """Do what is left to do: examples, the base, every arm of every seed.

    Raises ValueError where there are no examples, RuntimeError where a training failed.
    """
    scale = place.scale
    for arm in ARMS:
        make(place.folder / arm, arm, place.known, scale.models, anything=scale.anything)
        place.said(f"{arm}: {len(asked(place.folder / arm, place.known))} examples of {scale.paragraphs} paragraphs")
    if not place.count or not all(place.held.values()):
        raise ValueError(f"{place.folder}: an arm or a held-out set has no examples")
    base = _base(place.folder)
    own = [one for arm in ARMS for one in place.asked(arm, held_out=False)[: place.count]]
    if not (done := place.folder / "base.json").exists():
        _write(done, {"answers": answers(base, {**place.held, "own": own})})
        place.said("base measured")
    for seed in scale.seeds:
        for arm in DATA:
            _arm(place, arm, seed, base)


def _base(folder: Path) -> Path:
    """Return the folder of the weak solver's weights as transformers has them, read once from the GGUF file."""
    base, part = folder / "base", folder / "base.part"
    if not base.exists():
        file = asyncio.run(find_weights(WEAK))
        AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(part)
        read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
        # Its weights are plain numbers, but it is marked as quantised, and such a one is not saved.
        read.config.quantization_config = None
        plain = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
        plain.load_state_dict(read.state_dict())
        plain.save_pretrained(part)
        part.rename(base)
    return base


def _arm(place: Place, arm: str, seed: int, base: Path) -> None:
    done = place.folder / f"{arm} {seed}.json"
    if done.exists():
        return
    own = [one for name in DATA[arm] for one in place.asked(name, held_out=False)[: place.count]]
    data, trained, scale = place.folder / f"data {arm}", place.folder / "trained", place.scale
    _write_data(data, place.folder, DATA[arm], place.count, place.known)
    began = time.monotonic()
    command = [sys.executable, str(SCRIPT), "--data", str(data), "--model", str(base), "--out", str(trained)]
    command += ["--steps", str(scale.steps), "--batch", str(scale.batch), "--learning-rate", str(scale.rate)]
    ended = subprocess.run([*command, "--seed", str(seed)], check=False, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"{SCRIPT.name}: {ended.stderr[-2000:]}")
    if f"{scale.steps} steps on {len(own)} chats" not in ended.stdout:
        raise RuntimeError(f"{SCRIPT.name} took other steps than it should: {ended.stdout[-500:]}")
    found = {"seconds": round(time.monotonic() - began, 1), "examples": len(own)}
    _write(done, {**found, "answers": answers(trained, {**place.held, "own": own})})
    shutil.rmtree(trained)
    place.said(f"{arm}, seed {seed}: trained in {found['seconds']:.0f} s and measured")


def _write_data(folder: Path, work: Path, arms: Sequence[str], count: int, known: Sequence[Paragraph]) -> None:
    """Write the first chats of the arms' exports that are about paragraphs not held out, as the script reads them."""
    rows: list[dict[str, Any]] = []
    for arm in arms:
        rows += chats(work / arm, [one for one in known if not one.held_out])[:count]
    folder.mkdir(exist_ok=True)
    (folder / "README.md").write_text(CARD, "utf-8")
    (folder / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")


def _write(path: Path, values: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values, indent=1) + "\n", "utf-8")
    part.replace(path)
