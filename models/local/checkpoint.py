"""A checkpoint folder of transformers or PEFT: what makes a folder one, and what its weights are known by."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Final

from autodata.checkpoints.errors import UserError

MODEL, ADAPTER = "config.json", "adapter_config.json"
"""What a whole model's folder holds, and an adapter's (LoRA, say)."""

_CODE: Final = ("*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")
_WEIGHTS: Final = ("*.safetensors", "pytorch_model*.bin", "adapter_model.bin")
_OF_TRAINING: Final = frozenset({"trainer_state.json", "training_args.json", "autodata-export.json"})
"""What a trainer leaves beside a model, and no reply depends on."""


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a model or an adapter."""
    return any((folder / name).is_file() for name in (MODEL, ADAPTER))


def require_checkpoint(folder: Path) -> Path:
    """Return a folder that holds a checkpoint. Raises UserError for any other, naming the nearest that does."""
    if not is_checkpoint(folder):
        inner = sorted(path.parent.name for name in (MODEL, ADAPTER) for path in folder.glob(f"*/{name}"))
        advice = f"name a checkpoint in it: {', '.join(inner[:3])}" if inner else "name the folder that a trainer saved"
        raise UserError(f"{folder} holds no checkpoint (no {MODEL}, no {ADAPTER}): {advice}")
    if not any(path.is_file() for pattern in _WEIGHTS for path in folder.glob(pattern)):
        raise UserError(f"{folder} holds no weights (no .safetensors file): save the model there with save_pretrained")
    return folder


def weights_hash(path: Path) -> str:
    """Return the SHA-256 that stands for a model's weights: a file's own, or that of a folder's model files.

    For a folder it is over the name and SHA-256 of each file that a reply depends on, sorted by name, and of an
    adapter's base where that is a folder too. A file is read once a process, and again when its size or time changed.
    Raises UserError for what cannot be read.
    """
    try:
        if path.is_file():
            return _of_file(path)
        return hashlib.sha256("".join(_lines(path)).encode()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot read the weights {path}: {error.strerror}: make them readable") from error


def base_of(folder: Path) -> str:
    """Return what an adapter's folder names as its base model; empty for a whole model."""
    try:
        found = json.loads((folder / ADAPTER).read_text("utf-8"))
    except FileNotFoundError:
        return ""
    except ValueError as error:
        raise UserError(f"{folder / ADAPTER} is no JSON ({error}): save the adapter anew") from error
    return str(found.get("base_model_name_or_path") or "")


def _lines(folder: Path) -> list[str]:
    names = {path for pattern in (*_CODE, *_WEIGHTS) for path in folder.glob(pattern) if path.is_file()}
    lines = [f"{path.name} {_of_file(path)}\n" for path in sorted(names) if path.name not in _OF_TRAINING]
    base = base_of(folder)
    if base and Path(base).is_dir():
        lines.append(f"base {weights_hash(Path(base))}\n")
    return lines


def _of_file(path: Path) -> str:
    known = path.stat()
    return _digest(str(path.resolve()), known.st_size, known.st_mtime_ns)


@lru_cache(maxsize=1024)
def _digest(path: str, size: int, changed: int) -> str:
    """Return a file's SHA-256; size and time of change are what it is kept under."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
