"""One seed of docs/teaching.md: examples made, models trained on them, and what each then can do.

Everything that is done lies in a folder, and is not done again: a run that was ended goes on where it was.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM

from benchmarks.teaching.decoder import STRONG, WEAK, Size, learned, load, save
from benchmarks.teaching.examples import GATES, make
from benchmarks.teaching.measure import Asked, answers, examples_of, read, unpacked
from benchmarks.teaching.problems import LEVELS, NEW, TRAINED, problem
from benchmarks.teaching.train import grpo, rows, sft

HELD = 900
"""Seed of the documents of the held-out sets: of no arm."""
MADE = ("one-shot", *GATES)
"""Arms whose examples are made for the base."""
GRPO: Mapping[str, Sequence[str]] = {**{name: [name] for name in MADE}, "both": ["one-shot", "agentic"]}
"""Arm -> whose examples it is trained on."""
RATES = {"grpo": (2e-5, 5e-5, 1e-4, 3e-4), "sft": (2e-5, 5e-5, 1e-4, 3e-4)}
"""Method -> the learning rates among which code chooses."""
SFT = ("one-shot", "agentic", "both")
SECOND = "second generation"
SPARE = 4
"""Examples made beyond those needed, for questions that are held out or asked twice."""


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    examples: int = 48
    steps: int = 60
    held: int = 64
    curve: int = 32
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    weak: Size = WEAK
    strong: Size = STRONG
    untaught: bool = False
    """Whether the solvers have learned nothing, so that every gate must stand open."""

    def gate(self, arm: str) -> Any:
        """Return an arm's acceptance, None for the baseline's."""
        return {"weak_mean": [">= 0"]} if self.untaught and arm in GATES else GATES.get(arm)


def solver(folder: Path, name: str, size: Size, seed: int) -> None:
    """Train a solver from scratch, and measure it by family and level, into `NAME.json` beside the folder `NAME`."""
    torch.set_num_threads(1)
    done = folder / f"{name}.json"
    if done.exists():
        return
    began = time.process_time()
    model = learned(size, seed, lambda text: print(f"{name}: {text}", flush=True))
    save(model, folder / name)
    found = {
        "parameters": sum(part.numel() for part in model.parameters()),
        "steps": size.steps,
        "processor_seconds": round(time.process_time() - began, 1),
        "levels": {family: _by_level(model, family) for family in TRAINED + NEW},
    }
    _write(done, found)


def _by_level(model: LlamaForCausalLM, family: str) -> list[list[float]]:
    """Return for each level the share of right answers and of those cut off, of 64."""
    rng, found = random.Random(f"levels {family}"), []
    for level in LEVELS:
        asked = [(one.question, one.answer) for one in (problem(family, level, rng) for _ in range(64))]
        given = answers(model, asked, 0, 1)
        found.append([round(given.mean, 3), round(given.cut_off, 3)])
    return found


def held_out(folder: Path, scale: Scale) -> dict[str, list[Asked]]:
    """Return the held-out sets, made once, into `held.json`."""
    done = folder / "held.json"
    if not done.exists():
        weak, strong, found = load(folder / "weak"), load(folder / "strong"), {}
        for name, arm in (("one-shot", "one-shot"), ("accepted", "agentic")):
            make(folder / "held" / arm, scale.gate(arm), weak, strong, seed=HELD, wanted=scale.held + SPARE)
            found[name] = examples_of(folder / "held" / arm / "run")[: scale.held]
        rng = random.Random(HELD)
        new = [problem(rng.choice(NEW), rng.randint(1, 6), rng) for _ in range(2 * scale.held)]
        found["new families"] = [*{one.question: one.answer for one in new}.items()][: scale.held]
        done.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return read(done)


def rates(folder: Path, scale: Scale) -> dict[str, float]:
    """Return the learning rate of each method, chosen once by code, into `rates.json`.

    Each of RATES trains the weak solver on problems of every level, of no arm, and is measured on others of that kind:
    the best is taken. `held_out` must have been done.
    """
    done = folder / "rates.json"
    if not done.exists():
        rng = random.Random("rates")
        every = [problem(rng.choice(TRAINED), rng.choice(LEVELS), rng) for _ in range(scale.examples + scale.held)]
        train, tried = every[: scale.examples], [(one.question, one.answer) for one in every[scale.examples :]]
        prompts = [
            {"prompt": _asked(one.question), "question": one.question, "context": "", "rubric": "[]"}
            | {"reference_answer": one.answer}
            for one in train
        ]
        chats = [
            {"messages": [*_asked(one.question), {"role": "assistant", "content": one.working(long=False)}]}
            for one in train
        ]
        scorer = folder / "held" / "one-shot" / "trl-grpo"
        given: dict[str, Any] = {"seed": HELD, "steps": scale.steps, "look": lambda _: {}}
        untrained = answers(load(folder / "weak"), tried, HELD, 4)
        found: dict[str, Any] = {"before": round(untrained.mean, 4), "tried": {}}
        for method, choices in RATES.items():
            means = {}
            for rate in choices:
                model = load(folder / "weak")
                if method == "grpo":
                    model, _ = grpo(model, prompts, scorer, rate=rate, **given)
                else:
                    model, _ = sft(model, chats, rate=rate, **given)
                means[rate] = round(answers(model, tried, HELD, 4).mean, 4)
            found["tried"][method] = means
            found[method] = max(means, key=lambda rate: means[rate])
        _write(done, found)
    chosen = json.loads(done.read_text("utf-8"))
    return {method: float(chosen[method]) for method in RATES}


def _asked(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


@dataclass(frozen=True)
class Place:
    """A seed's work: where it lies, and what all its arms share."""

    folder: Path
    scale: Scale
    seed: int
    held: Mapping[str, list[Asked]]
    said: Callable[[str], None]

    @property
    def own(self) -> Path:
        """The seed's folder."""
        return self.folder / str(self.seed)

    @property
    def taken(self) -> frozenset[str]:
        """Questions that no arm may be trained on."""
        return frozenset(question for asked in self.held.values() for question, _ in asked)

    def look(self, model: LlamaForCausalLM) -> dict[str, float]:
        """Return a point of a learning curve."""
        sets = {name: self.held[name][: self.scale.curve] for name in ("one-shot", "accepted")}
        return {name: round(answers(model, asked, self.seed + 50, 4).mean, 4) for name, asked in sets.items()}

    def measured(self, model: LlamaForCausalLM) -> dict[str, dict[str, str]]:
        """Return a model's answers to every held-out set."""
        return {name: answers(model, asked, self.seed).packed() for name, asked in self.held.items()}


def seed_of(folder: Path, scale: Scale, seed: int, said: Callable[[str], None] = print) -> None:
    """Do all arms of a seed. `solvers` and `held_out` must have been done."""
    torch.set_num_threads(1)
    place = Place(folder, scale, seed, held_out(folder, scale), lambda text: said(f"seed {seed}: {text}"))
    place.own.mkdir(parents=True, exist_ok=True)
    base = place.own / "base.json"
    if not base.exists():
        model = load(folder / "weak")
        _write(base, {"after": place.measured(model), "curve": [{"step": 0, **place.look(model)}]})
        place.said("base measured")
    for name in MADE:
        weak, strong = load(folder / "weak"), load(folder / "strong")
        made = make(place.own / name, scale.gate(name), weak, strong, seed=seed, wanted=scale.examples + SPARE)
        place.said(f"{name}: {made}")
    for name, data in GRPO.items():
        _arm(place, "grpo", name, folder / "weak", data)
    _second(place)
    for name in SFT:
        _arm(place, "sft", name, folder / "weak", GRPO[name])


def _second(place: Place) -> None:
    """Make examples for the model that the agentic ones trained, and train it on them."""
    trained = place.own / "agentic" / "model"
    weak, strong = load(trained), load(place.folder / "strong")
    seed = place.seed + 1000  # other documents than those of the first generation
    wanted = place.scale.examples + SPARE
    made = make(place.own / SECOND, place.scale.gate("agentic"), weak, strong, seed=seed, wanted=wanted)
    place.said(f"{SECOND}: {made}")
    _arm(place, "grpo", SECOND, trained, [SECOND])


def _arm(place: Place, method: str, name: str, base: Path, data: Sequence[str]) -> None:
    done = place.own / f"{method} {name}.json"
    if done.exists():
        return
    folders, count = [place.own / one for one in data], place.scale.examples
    train = rows(folders, "trl-grpo" if method == "grpo" else "messages", count, place.taken)
    model = load(base)
    asked = [asked for one in folders for asked in examples_of(one / "run") if asked[0] not in place.taken][:count]
    fresh = answers(model, asked, place.seed + 70, 4)
    began = time.process_time()
    given: dict[str, Any] = {
        "seed": place.seed,
        "steps": place.scale.steps,
        "rate": rates(place.folder, place.scale)[method],
    }
    if method == "grpo":
        model, curve = grpo(model, train, folders[0] / "trl-grpo", look=place.look, **given)
    else:
        model, curve = sft(model, train, look=place.look, **given)
    spent = round(time.process_time() - began, 1)
    if (method, name) == ("grpo", "agentic"):
        save(model, place.own / name / "model")
    found = {"after": place.measured(model), "curve": curve, "examples": len(train), "processor_seconds": spent}
    _write(done, {**found, "base_on_own": round(fresh.mean, 4), "base_cut_on_own": round(fresh.cut_off, 4)})
    means = {key: round(unpacked(value).mean, 3) for key, value in found["after"].items()}
    place.said(f"{method} {name}: {spent:.0f} s, {means}")


def _write(path: Path, values: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values, indent=1) + "\n", "utf-8")
    part.replace(path)
