"""`--weak-from`: the weak solver as a checkpoint, a GGUF file, or another model that its endpoint serves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from autodata.checkpoints.errors import UserError
from autodata.models.config import SOLVER_MODES
from autodata.models.local.checkpoint import require_checkpoint

WEAK: Final = "weak_solver"
_KEPT: Final = frozenset({"temperature", "top_p", "max_tokens", "timeout", "max_concurrency", *SOLVER_MODES})
"""Settings of the weak solver that hold for any model; all others belong to the one that it replaces."""


def with_weak(models: Mapping[str, Any], given: str) -> dict[str, Any]:
    """Return a configuration's `models` with the weak solver that `--weak-from` names.

    A folder is a checkpoint of transformers or PEFT, a file a GGUF; both are served on this machine. Anything else is a
    name under which the weak solver's own endpoint serves another model, an adapter of vLLM, say.
    Raises UserError for an address, for a path that leads to neither, and for a name without an endpoint to serve it.
    """
    if given.startswith(("http://", "https://")):
        raise UserError(
            f"--weak-from {given}: an address goes into models.weak_solver.base_url: give --weak-from the name of the"
            " model that is served there"
        )
    default, own = (_table(models, name) for name in ("default", WEAK))
    path = Path(given).expanduser()
    if given.strip() and os.path.exists(path):
        if path.is_dir():
            require_checkpoint(path)
        kept = {name: value for name, value in own.items() if name in _KEPT}
        return {**models, WEAK: {**kept, "provider": "local", "model": str(path.resolve())}}
    provider = own.get("provider") or default.get("provider") or "openai"
    if given.startswith((".", "/", "~")) or given.endswith((".gguf", ".safetensors")) or not given.strip():
        raise UserError(f"--weak-from {given}: no such file or folder: name a checkpoint's folder or a GGUF file")
    if provider in {"local", "simulated"}:
        raise UserError(
            f"--weak-from {given}: no such folder or file, and no served name, for models.{WEAK} is {provider}: name a"
            f" checkpoint's folder, or set models.{WEAK}.base_url"
        )
    rest = {name: value for name, value in own.items() if name not in {"weights", "price_in", "price_out", "context"}}
    return {**models, WEAK: {**rest, "model": given}}


def _table(models: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = models.get(name)
    return found if isinstance(found, Mapping) else {}
