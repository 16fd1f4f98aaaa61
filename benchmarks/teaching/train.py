"""Training of an arm: GRPO with the reward of our export, or SFT on our chats, both by TRL."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from pyarrow.parquet import read_table
from transformers import LlamaForCausalLM, TrainerCallback
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from benchmarks.teaching.decoder import BUDGET, tokenizer

PROMPTS, GROUP = 8, 8
"""Prompts of a step of GRPO, and answers to each."""
CHATS = 16
"""Chats of a step of SFT."""
LOOK = 15
"""Steps between two points of a learning curve."""

Looked = Callable[[LlamaForCausalLM], Mapping[str, float]]


class _Curve(TrainerCallback):
    """Looks at the model every LOOK steps."""

    def __init__(self, look: Looked) -> None:
        self.look, self.points = look, [dict[str, float]()][:0]

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.global_step % LOOK == 0:
            training = model.training
            self.points.append({"step": state.global_step, **self.look(model.eval())})
            model.train(training)


def rows(folders: Sequence[Path], form: str, count: int, without: frozenset[str]) -> list[dict[str, Any]]:
    """Return the first `count` rows of each arm's export, in the order of their documents, without some questions.

    Raises ValueError where there are fewer.
    """
    found: list[dict[str, Any]] = []
    for folder in folders:
        kept = [row for row in _exported(folder / form) if _question(row) not in without]
        if len(kept) < count:
            raise ValueError(f"{folder}: {len(kept)} examples, {count} are needed: take more documents")
        found += kept[:count]
    return found


def _exported(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of an export as they are now: `load_dataset` may give those of an earlier one, from its cache."""
    chats = folder / "train.jsonl"
    if chats.exists():
        return [json.loads(line) for line in chats.read_text("utf-8").splitlines()]
    (path,) = (folder / "data").glob("train-*.parquet")
    return read_table(path).to_pylist()


def _question(row: Mapping[str, Any]) -> str:
    return str((row.get("prompt") or row["messages"])[0]["content"])


def grpo(
    base: LlamaForCausalLM,
    data: Sequence[Mapping[str, Any]],
    scorer: Path,
    *,
    seed: int,
    steps: int,
    rate: float,
    look: Looked,
) -> tuple[LlamaForCausalLM, list[dict[str, float]]]:
    """Train a model by GRPO; return it with its curve.

    `scorer` is the trl-grpo export whose scoring is the reward.
    """
    exported = _module(scorer / "scoring.py")

    def reward(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
        # The export's own reward, but for its judge: where code cannot decide, the answer is wrong.
        names = ("question", "context", "reference_answer", "rubric")
        asked = [dict(zip(names, values, strict=True)) for values in zip(*map(columns.get, names), strict=True)]
        texts = [completion[-1]["content"] for completion in completions]
        return list(exported.scores(asked, texts, lambda _: json.dumps({"correct": False})))

    columns = ("prompt", "question", "context", "reference_answer", "rubric")
    dataset = Dataset.from_list([{name: row[name] for name in columns} for row in data])
    settings = GRPOConfig(
        **_common(seed, steps, rate),
        per_device_train_batch_size=PROMPTS * GROUP,
        num_generations=GROUP,
        max_completion_length=BUDGET,
        temperature=1.0,
        beta=0.0,
    )
    curve = _Curve(look)
    trainer = GRPOTrainer(
        base,
        reward_funcs=[reward],
        args=settings,
        train_dataset=dataset,
        processing_class=tokenizer(),
        callbacks=[curve],
    )
    return _trained(trainer, base, steps), curve.points


def sft(
    base: LlamaForCausalLM, data: Sequence[Mapping[str, Any]], *, seed: int, steps: int, rate: float, look: Looked
) -> tuple[LlamaForCausalLM, list[dict[str, float]]]:
    """Train a model on chats; return it with its curve."""
    # A prompt apart from its answer: only the answer is learned.
    chats = [{"prompt": row["messages"][:1], "completion": row["messages"][1:]} for row in data]
    settings = SFTConfig(**_common(seed, steps, rate), per_device_train_batch_size=CHATS, max_length=256)
    curve = _Curve(look)
    trainer = SFTTrainer(
        base, args=settings, train_dataset=Dataset.from_list(chats), processing_class=tokenizer(), callbacks=[curve]
    )
    return _trained(trainer, base, steps), curve.points


def _trained(trainer: Any, base: LlamaForCausalLM, steps: int) -> LlamaForCausalLM:
    """Train and return the model. Raises RuntimeError where fewer steps were taken: too few rows make no batch."""
    trainer.train()
    if trainer.state.global_step != steps:
        raise RuntimeError(f"{trainer.state.global_step} of {steps} steps were taken: there are too few examples")
    return base.eval()


def _common(seed: int, steps: int, rate: float) -> dict[str, Any]:
    return {
        "output_dir": "/tmp/unused",
        "use_cpu": True,
        "bf16": False,
        "max_steps": steps,
        "learning_rate": rate,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": 3,
        "gradient_checkpointing": False,
        "logging_steps": 10,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "seed": seed,
        "data_seed": seed,
    }


def _module(path: Path) -> Any:
    found = importlib.util.spec_from_file_location(f"exported_{path.stem}", path)
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
