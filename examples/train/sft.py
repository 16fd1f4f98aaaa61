"""Fine-tune a model on chats: `sft.py --data FOLDER --model FOLDER --out FOLDER`.

The data is what `autodata export --format messages` wrote, or with `--config sft` an export of the challenger's
turns.
"""

from __future__ import annotations

import argparse
from tempfile import TemporaryDirectory

import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer


def main() -> None:
    """Read the options, train, and save model and tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="an export of format messages, or challenger")
    parser.add_argument("--config", help="the data's configuration: sft for the challenger's turns")
    parser.add_argument("--model", required=True, help="the model to begin with: a folder, or a name on a hub")
    parser.add_argument("--out", required=True, help="the folder to save the trained model in")
    parser.add_argument("--steps", type=int, default=-1, help="steps at most; left out: three passes over the data")
    parser.add_argument("--batch", type=int, default=2, help="chats a step")
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--max-length", type=int, default=4096, help="tokens of a chat; the rest is cut off")
    parser.add_argument("--seed", type=int, default=0, help="draws the order of the chats")
    given = parser.parse_args()

    with TemporaryDirectory() as cache:  # else datasets keeps rows and columns of what the folder held before
        data = load_dataset(given.data, given.config, split="train", cache_dir=cache, keep_in_memory=True)
    data = data.select_columns(["messages"])
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    settings = SFTConfig(
        output_dir=f"{given.out}-steps",
        use_cpu=not torch.cuda.is_available(),
        max_steps=given.steps,
        per_device_train_batch_size=given.batch,
        learning_rate=given.learning_rate,
        max_length=given.max_length,
        save_strategy="no",
        report_to=[],
        seed=given.seed,
    )
    trainer = SFTTrainer(model, args=settings, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    trainer.save_model(given.out)
    print(f"{trainer.state.global_step} steps on {len(data)} chats: the model is in {given.out}")


if __name__ == "__main__":
    main()
