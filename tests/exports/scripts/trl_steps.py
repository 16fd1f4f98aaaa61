"""One step of GRPO, SFT and DPO by TRL on a tiny random model, on the exports in a folder: `trl_steps.py FOLDER`."""

import json
import os
import sys
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "WANDB_DISABLED": "true"}
root = Path(sys.argv[1])
sys.path.insert(0, str(root / "trl-grpo"))
sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "train"))

import reward  # noqa: E402 - the export's own, on the path now
import tiny_model  # noqa: E402 - the examples' own, on the path now
from datasets import load_dataset  # noqa: E402 - the variables above are read on import
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer  # noqa: E402 - the variables above are read on import

tiny, tokenizer = tiny_model.tiny, tiny_model.tokenizer()


def settings(name, **more):
    """Return the settings of each trainer."""
    steps = {"max_steps": 1, "report_to": [], "use_cpu": True, "save_strategy": "no", "logging_steps": 1}
    return {"output_dir": str(root / "out" / name), "per_device_train_batch_size": 2, **steps, **more}


rewards = []


def watched(*args, **columns):
    """Return the export's rewards, and keep them."""
    found = reward.reward(*args, **columns)
    rewards.extend(found)
    return found


steps = {}
grpo = GRPOConfig(**settings("grpo", num_generations=2, max_completion_length=8))
data = load_dataset(str(root / "trl-grpo"), split="train", cache_dir=str(root / "cache"))
trainer = GRPOTrainer(tiny(), reward_funcs=[watched], args=grpo, train_dataset=data, processing_class=tokenizer)
trainer.train()
steps["grpo"] = trainer.state.global_step

sft = SFTConfig(**settings("sft", max_length=512))
data = load_dataset(str(root / "messages"), split="train", cache_dir=str(root / "cache"))
trainer = SFTTrainer(tiny(), args=sft, train_dataset=data, processing_class=tokenizer)
trainer.train()
steps["sft"] = trainer.state.global_step

dpo = DPOConfig(**settings("dpo", max_length=2048))
data = load_dataset(str(root / "dpo"), split="train", cache_dir=str(root / "cache"))
trainer = DPOTrainer(tiny(), ref_model=tiny(), args=dpo, train_dataset=data, processing_class=tokenizer)
trainer.train()
steps["dpo"] = trainer.state.global_step

print(json.dumps({"steps": steps, "rewards": rewards}))
