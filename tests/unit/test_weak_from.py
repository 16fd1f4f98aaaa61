"""`--weak-from`: what it names, what its weights are known by, and that other weights are another run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import UserError
from autodata.models.config import ModelSettings
from autodata.models.local.checkpoint import weights_hash
from autodata.models.local.llama_server import ServerSpec
from autodata.models.local.weights import require_weights
from autodata.runner.config import at_defaults, load_config, read_config
from autodata.runner.fingerprint import changed_since, fingerprint, kept_of
from autodata.runner.weak_from import with_weak

SERVED = {"default": {"provider": "openai", "model": "large", "base_url": "http://127.0.0.1:9/v1", "price_in": 1.0}}


def checkpoint(folder: Path, weights: bytes = b"weights", **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def resolved(weak: str, **models: Any) -> dict[str, Any]:
    config = load_config(None, {"models": {**SERVED, **models}, "weak_from": weak})
    return config.resolved(config.pack().version)


def test_a_folder_is_served_here_and_keeps_what_holds_for_any_model(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "grpo")
    own = {"base_url": "http://127.0.0.1:8/v1", "model": "small", "price_out": 2.0, "temperature": 0.5, "samples": 3}
    weak = resolved(str(folder), weak_solver={**own, "headers": {"x": "y"}})["models"]["weak_solver"]
    assert (weak["provider"], weak["model"]) == ("local", str(folder))
    assert (weak["temperature"], weak["samples"]) == (0.5, 3)
    assert not {"base_url", "price_in", "price_out"} & weak.keys()
    assert weak["headers"] == {}
    assert weak["weights"] == weights_hash(folder)
    gguf = tmp_path / "small.gguf"
    gguf.write_bytes(b"GGUF...")
    assert resolved(str(gguf))["models"]["weak_solver"]["weights"] == weights_hash(gguf)


def test_a_name_is_another_model_of_the_weak_solvers_own_endpoint() -> None:
    own = {"model": "small", "base_url": "http://127.0.0.1:8/v1", "price_in": 2.0}
    weak = resolved("round-1", weak_solver=own)["models"]["weak_solver"]
    assert (weak["model"], weak["base_url"]) == ("round-1", own["base_url"])
    assert "weights" not in weak
    assert "price_in" not in weak, "another model has another price"
    assert resolved("org/round-1")["models"]["weak_solver"]["base_url"] == SERVED["default"]["base_url"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://127.0.0.1:8000/v1", "an address goes into models.weak_solver.base_url"),
        ("./grpo", "no such file or folder"),
        ("out/grpo.gguf", "no such file or folder"),
        ("", "no such file or folder"),
        (".", "no checkpoint"),
        ("round-1", "models.weak_solver is simulated"),
    ],
)
def test_what_names_no_model_is_one_line(
    given: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said) as raised:
        with_weak({"default": {"provider": "simulated"}}, given)
    assert "\n" not in str(raised.value)


def test_a_folder_of_checkpoints_names_them_and_one_without_weights_is_refused(tmp_path: Path) -> None:
    checkpoint(tmp_path / "out" / "checkpoint-100")
    with pytest.raises(UserError, match="name a checkpoint in it: checkpoint-100"):
        with_weak({}, str(tmp_path / "out"))
    (tmp_path / "out" / "checkpoint-100" / "model.safetensors").unlink()
    with pytest.raises(UserError, match="holds no weights"):
        with_weak({}, str(tmp_path / "out" / "checkpoint-100"))


def test_weights_are_known_by_what_a_reply_depends_on(tmp_path: Path) -> None:
    one, same = checkpoint(tmp_path / "one"), checkpoint(tmp_path / "moved" / "same")
    (same / "trainer_state.json").write_text("{}")
    (same / "optimizer.pt").write_bytes(b"state")
    assert weights_hash(one) == weights_hash(same)
    assert weights_hash(checkpoint(tmp_path / "other", b"weightS")) != weights_hash(one)
    assert weights_hash(checkpoint(tmp_path / "deeper", num_hidden_layers=2)) != weights_hash(one)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(one)}))
    (adapter / "adapter_model.safetensors").write_bytes(b"delta")
    before = weights_hash(adapter)
    (one / "model.safetensors").write_bytes(b"another base")
    assert weights_hash(adapter) != before, "an adapter answers as its base does"


def test_other_weights_under_the_same_path_are_another_run(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "grpo")
    begun = resolved(str(folder))
    meta = kept_of(fingerprint(begun))
    assert changed_since(meta, fingerprint(begun), "run") == []
    before = {name: value for name, value in fingerprint(begun).items() if not name.endswith(".weights")}
    assert changed_since(kept_of(before), fingerprint(begun), "run", later=at_defaults(begun)) == [], "an older folder"
    (folder / "model.safetensors").write_bytes(b"trained on")
    again = resolved(str(folder))
    [change] = changed_since(meta, fingerprint(again), "run")
    assert change.startswith("models.weak_solver.weights: ")
    held = ModelSettings.model_validate(begun["models"]["weak_solver"])
    with pytest.raises(UserError, match=r"models.weak_solver: .* holds other weights than before"):
        require_weights("weak_solver", held)
    require_weights("weak_solver", ModelSettings.model_validate(again["models"]["weak_solver"]))


def test_an_example_says_which_weights_answered_and_not_where_they_lie(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "grpo")
    weak = ModelSettings.model_validate(resolved(str(folder))["models"]["weak_solver"])
    assert weak.shown == f"grpo@{weights_hash(folder)[:12]}"
    assert ModelSettings(model="qwen2.5-coder-0.5b", provider="local").shown == "qwen2.5-coder-0.5b"


def test_a_stored_configuration_takes_another_checkpoint_whole(tmp_path: Path) -> None:
    """The hash of the first must not stay with the second."""
    first, second = checkpoint(tmp_path / "first"), checkpoint(tmp_path / "second", b"more")
    text = f'models.weak_solver = {{provider = "local", model = "{first}", weights = "{weights_hash(first)}"}}'
    config = read_config(f'{text}\nmodels.default.model = "m"', "config.toml", {"weak_from": str(second)})
    assert config.roles()["weak_solver"].weights == weights_hash(second)


def test_a_checkpoint_is_served_by_the_python_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoint(tmp_path / "grpo")
    command = ServerSpec(folder, ctx=512, python=sys.executable).command
    assert command[0] == sys.executable
    assert Path(command[2]).name == "transformers_server.py"
    assert command[command.index("--model") + 1] == str(folder)
    with pytest.raises(UserError, match=r"local.python /no/python: no such program"):
        _ = ServerSpec(folder, python="/no/python").command
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"needs torch and transformers: pip install 'autodata-langgraph\[transformers\]'"
    ):
        _ = ServerSpec(folder).command
