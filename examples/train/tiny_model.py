"""Make a tiny random model with a tokenizer, to try the training scripts in seconds: `tiny_model.py FOLDER`.

It has never learned anything. For real training give the scripts a model of your own in its place.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}<eos>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
SIGNS = ["<pad>", "<eos>", "<unk>", *map(chr, range(32, 127))]


def tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token a sign."""
    raw = Tokenizer(models.WordLevel({sign: n for n, sign in enumerate(SIGNS)}, unk_token="<unk>"))  # noqa: S106 - a token
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    named = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    made = PreTrainedTokenizerFast(tokenizer_object=raw, **named)
    made.chat_template = TEMPLATE
    return made


def tiny() -> LlamaForCausalLM:
    """Return a random model of one layer, the same every time."""
    set_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokens = {"vocab_size": len(SIGNS), "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 1}
    return LlamaForCausalLM(LlamaConfig(**sizes, **tokens, max_position_embeddings=16_384))


def main(folder: Path) -> None:
    """Write model and tokenizer into a folder."""
    tiny().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    print(f"a tiny random model is in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
