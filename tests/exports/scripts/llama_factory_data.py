"""Load the chats and pairs of an export by LLaMA-Factory's own loader: `llama_factory_data.py FOLDER`.

The last line holds, by dataset, how many rows it made of them, and what the first one says.
"""

import json
import os
import sys
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "WANDB_DISABLED": "true", "DISABLE_VERSION_CHECK": "1"}
folder = Path(sys.argv[1])
sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "train"))

import tiny_model  # noqa: E402 - the examples' own, on the path now
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer  # noqa: E402 - the variables are read on import
from llamafactory.hparams import DataArguments, ModelArguments  # noqa: E402 - the variables above are read on import
from transformers import Seq2SeqTrainingArguments  # noqa: E402 - the variables above are read on import

tokenizer = tiny_model.tokenizer()
training = Seq2SeqTrainingArguments(output_dir=str(folder.parent / "out" / "llama-factory"), report_to=[], use_cpu=True)
model = ModelArguments(model_name_or_path=str(folder), cache_dir=str(folder.parent / "cache"))
found = {}
for name in json.loads((folder / "dataset_info.json").read_text("utf-8")):
    stage = "rm" if "_dpo_" in name else "sft"
    data = DataArguments(
        template="chatml", dataset=name, dataset_dir=str(folder), cutoff_len=8192, overwrite_cache=True
    )
    template = get_template_and_fix_tokenizer(tokenizer, data)
    rows = get_dataset(template, model, data, training, stage, tokenizer)["train_dataset"]
    first = rows[0]
    labels = {key: [one for one in ids if one >= 0] for key, ids in first.items() if key.endswith("labels")}
    found[name] = {"rows": len(rows), "texts": {key: tokenizer.decode(ids) for key, ids in labels.items()}}
print(json.dumps(found))
