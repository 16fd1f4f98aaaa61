"""Read every export in a folder with the library that trainers read it with: `read_all.py FOLDER`."""

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
root = Path(sys.argv[1])

import pyarrow.parquet as pq  # noqa: E402 - the variable is read on import
from datasets import Features, load_dataset  # noqa: E402 - the variables above are read on import

found = {}
for name in ("hf", "messages", "dpo", "trl-grpo", "verl", "inspect", "nemo-gym", "verifiers", "jsonl"):
    read = load_dataset(str(root / name), cache_dir=str(root / "cache"))
    found[name] = {split: len(rows) for split, rows in read.items()}
for name, config in (
    ("challenger", "turns"),
    ("challenger", "sft"),
    ("llama-factory", "sft"),
    ("llama-factory", "dpo"),
):
    read = load_dataset(str(root / name), config, cache_dir=str(root / "cache"))
    found[f"{name} {config}"] = {split: len(rows) for split, rows in read.items()}
turns = load_dataset(str(root / "challenger"), split="train", cache_dir=str(root / "cache"))
found["labels"] = sorted(set(turns["label"]))
wide = load_dataset(str(root / "wide"), split="train", cache_dir=str(root / "cache"))
hub = load_dataset(str(root / "hf"), split="train", cache_dir=str(root / "cache"))
found["wide"] = len(wide)
found["same columns"] = wide.features == hub.features

sys.path.insert(0, str(root / "verl"))
from compute_score import compute_score  # noqa: E402 - the export's own

rows = pq.read_table(root / "verl" / "train.parquet").to_pylist()
found["verl"] = [
    compute_score(row["data_source"], "An answer.", row["reward_model"]["ground_truth"], row["extra_info"])
    for row in rows
]
assert isinstance(hub.features, Features)
print(json.dumps(found))
