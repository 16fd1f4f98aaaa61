"""Train a model by group-relative policy optimisation, with the export's own reward: `grpo.py --data FOLDER ...`.

The data is what `autodata export --format trl-grpo` wrote. Its `reward.py` asks a judge, which AUTODATA_JUDGE_URL and
AUTODATA_JUDGE_MODEL name (and AUTODATA_JUDGE_KEY, where it wants a key).
"""

from __future__ import annotations

import argparse
import os
import sys
from tempfile import TemporaryDirectory

import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer


def main() -> None:
    """Read the options, train, and save model and tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="an export of format trl-grpo")
    parser.add_argument("--model", required=True, help="the model to begin with: a folder, or a name on a hub")
    parser.add_argument("--out", required=True, help="the folder to save the trained model in")
    parser.add_argument("--steps", type=int, default=-1, help="steps at most; left out: three passes over the data")
    parser.add_argument("--group", type=int, default=8, help="answers to a question, which are compared")
    parser.add_argument("--max-tokens", type=int, default=2048, help="tokens of an answer")
    parser.add_argument("--learning-rate", type=float, default=1e-6)
    given = parser.parse_args()
    for name in ("AUTODATA_JUDGE_URL", "AUTODATA_JUDGE_MODEL"):
        if not os.environ.get(name):
            parser.error(f"{name} is not set: the reward asks a judge; export {name}=...")

    sys.path.insert(0, given.data)
    from reward import reward  # noqa: PLC0415 - the export's own, on the path now

    with TemporaryDirectory() as cache:  # else datasets keeps rows and columns of what the folder held before
        data = load_dataset(given.data, split="train", cache_dir=cache, keep_in_memory=True)
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    settings = GRPOConfig(
        output_dir=f"{given.out}-steps",
        use_cpu=not torch.cuda.is_available(),
        max_steps=given.steps,
        per_device_train_batch_size=given.group,
        num_generations=given.group,
        max_completion_length=given.max_tokens,
        learning_rate=given.learning_rate,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        seed=0,
    )
    trainer = GRPOTrainer(model, reward_funcs=[reward], args=settings, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    trainer.save_model(given.out)
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    print(f"{trainer.state.global_step} steps, mean rewards {rewards}: the model is in {given.out}")


if __name__ == "__main__":
    main()
