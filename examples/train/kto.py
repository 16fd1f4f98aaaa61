"""Train a challenger on accepted and rejected turns, by a label alone (KTO): `kto.py --data FOLDER ...`.

The data is what `autodata export --format challenger` wrote. Turns of different rounds answer different prompts, so
they are no pairs; Kahneman-Tversky optimisation needs none.
"""

from __future__ import annotations

import argparse
from tempfile import TemporaryDirectory

import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import KTOConfig, KTOTrainer


def main() -> None:
    """Read the options, train, and save model and tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="an export of format challenger")
    parser.add_argument("--model", required=True, help="the model to begin with: a folder, or a name on a hub")
    parser.add_argument("--out", required=True, help="the folder to save the trained model in")
    parser.add_argument("--steps", type=int, default=-1, help="steps at most; left out: three passes over the data")
    parser.add_argument("--batch", type=int, default=4, help="turns a step")
    parser.add_argument("--max-length", type=int, default=8192, help="tokens of a turn; the rest is cut off")
    given = parser.parse_args()

    with TemporaryDirectory() as cache:  # else datasets keeps rows and columns of what the folder held before
        data = load_dataset(given.data, "turns", split="train", cache_dir=cache, keep_in_memory=True)
    data = data.select_columns(["prompt", "completion", "label"])
    accepted = sum(data["label"])
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype="auto")
    reference = AutoModelForCausalLM.from_pretrained(given.model, dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    settings = KTOConfig(
        output_dir=f"{given.out}-steps",
        use_cpu=not torch.cuda.is_available(),
        max_steps=given.steps,
        per_device_train_batch_size=given.batch,
        max_length=given.max_length,
        # Rejected turns are many: together both kinds should weigh about the same.
        desirable_weight=max(1.0, (len(data) - accepted) / max(1, accepted)),
        save_strategy="no",
        report_to=[],
        seed=0,
    )
    trainer = KTOTrainer(model, ref_model=reference, args=settings, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    trainer.save_model(given.out)
    print(f"{trainer.state.global_step} steps on {len(data)} turns, {accepted} accepted: the model is in {given.out}")


if __name__ == "__main__":
    main()
