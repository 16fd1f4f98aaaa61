"""Ask the small server of a checkpoint: `small_server.py FOLDER`."""

import json
import sys
import tempfile
import urllib.error
import urllib.request
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Thread

from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

place = Path(__file__).parents[3] / "models" / "local" / "transformers_server.py"
spec = spec_from_file_location("transformers_server", place)
server_module = module_from_spec(spec)
spec.loader.exec_module(server_module)
server = server_module.server_of(server_module.Checkpoint(sys.argv[1], 256), "tiny")
Thread(target=server.serve_forever, daemon=True).start()
root = f"http://127.0.0.1:{server.server_port}/v1"


def ask(path, **body):
    """Return status and content of a reply."""
    data = json.dumps(body).encode() if body else None
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{root}/{path}", data), timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def chat(content="Why?", **body):
    """Return status and content of a chat's reply."""
    return ask("chat/completions", messages=[{"role": "user", "content": content}], **body)


def text(reply):
    """Return what was answered."""
    return reply[1]["choices"][0]["message"]["content"]


sampled = {"temperature": 1.0, "top_p": 0.9, "max_tokens": 8}
one, same, other = (chat(seed=seed, **sampled) for seed in (1, 1, 2))
form = chat(response_format={"type": "json_object"})
long = chat("long " * 100)
path = ask("completions", prompt="x")
with tempfile.TemporaryDirectory() as folder:
    base = AutoModelForCausalLM.from_pretrained(sys.argv[1])
    lora = LoraConfig(
        target_modules=["o_proj", "down_proj"], lora_alpha=10_000, task_type="CAUSAL_LM", init_lora_weights=False
    )
    get_peft_model(base, lora).save_pretrained(folder)
    adapter = server_module.Checkpoint(folder, 256)
    asked = {"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 8, "temperature": 0}
    adapted = adapter.answer(asked, lambda: False)
    polled = []
    try:
        adapter.answer(asked | {"max_tokens": 200}, lambda: polled.append(1) or len(polled) > 3)
    except server_module.Abandoned:
        abandoned = len(polled)
plain = chat(temperature=0, max_tokens=8)
print(
    json.dumps(
        {
            "adapter": [adapted["usage"], adapted["choices"][0]["message"]["content"] != text(plain)],
            "abandoned": abandoned,
            "models": [model["id"] for model in ask("models")[1]["data"]],
            "same seed": text(one) == text(same),
            "other seed": text(one) == text(other),
            "finish": one[1]["choices"][0]["finish_reason"],
            "tokens": one[1]["usage"]["completion_tokens"],
            "format": [form[0], form[1]["error"]["message"]],
            "long": [long[0], long[1]["error"]["message"]],
            "path": [path[0], path[1]["error"]["message"]],
        }
    )
)
