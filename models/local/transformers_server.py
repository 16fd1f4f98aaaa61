"""A checkpoint of transformers or PEFT behind an OpenAI-compatible HTTP server on 127.0.0.1.

A program by itself: it imports nothing of Autodata, so that the Python of a trainer can run it. It prints one JSON line
with its `base_url` once the model is loaded, and exits when its stdin closes. It answers one request at a time, which
is enough to try a checkpoint; vLLM and the like serve many.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import IO, Any

LIBRARIES = "pip install torch transformers (and peft for an adapter), or set local.python to a Python that has them"


class Refused(ValueError):
    """A request that cannot be answered as it is."""


class Abandoned(Exception):
    """Whoever asked is gone."""


class Checkpoint:
    """A loaded model with its tokenizer; `ctx` is the most tokens of a prompt and its reply together."""

    def __init__(self, folder: str, ctx: int) -> None:
        import torch  # noqa: PLC0415 - what it lacks is said in one line, by main
        from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteriaList  # noqa: PLC0415 - the same

        self._torch, self._criteria = torch, StoppingCriteriaList
        adapter = Path(folder) / "adapter_config.json"
        base = json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"] if adapter.is_file() else folder
        own_tokenizer = any(Path(folder).glob("tokenizer*"))
        self._tokenizer = AutoTokenizer.from_pretrained(folder if own_tokenizer else base)
        model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
        if adapter.is_file():
            from peft import PeftModel  # noqa: PLC0415 - only adapters need it

            model = PeftModel.from_pretrained(model, folder)
        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        longest = getattr(model.config, "max_position_embeddings", None) or ctx
        self._ctx = min(ctx, longest)
        self._turn = Lock()

    def answer(self, body: Mapping[str, Any], gone: Callable[[], bool]) -> dict[str, Any]:
        """Return the completion of a request. `gone` is asked before each token whether nobody waits for it any more.

        Raises Refused for what is not supported or does not fit, Abandoned where nobody waits.
        """
        if (body.get("response_format") or {}).get("type", "text") != "text":
            raise Refused("response_format is not supported")
        if body.get("stream"):
            raise Refused("stream is not supported")
        tokens = self._tokens(body["messages"])
        room = self._ctx - tokens["input_ids"].shape[1]
        if room < 1:
            raise Refused(f"the prompt is longer than the context length of {self._ctx} tokens")
        most = min(room, int(body.get("max_completion_tokens") or body.get("max_tokens") or room))
        with self._turn:
            if gone():  # while others had their turn
                raise Abandoned
            if body.get("seed") is not None:
                self._torch.manual_seed(int(body["seed"]))
            with self._torch.inference_mode():
                made = self._model.generate(
                    **tokens,
                    max_new_tokens=most,
                    stopping_criteria=self._criteria([self._stops(gone)]),
                    **_sampling(body),
                    **self._pad(),
                )
        if gone():
            raise Abandoned
        new = made[0][tokens["input_ids"].shape[1] :]
        ended = len(new) < most or int(new[-1]) in self._ends()
        text = self._tokenizer.decode(new, skip_special_tokens=True)
        usage = {"prompt_tokens": tokens["input_ids"].shape[1], "completion_tokens": len(new)}
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if ended else "length"}
        return {"choices": [choice], "usage": {**usage, "total_tokens": sum(usage.values())}}

    def _stops(self, gone: Callable[[], bool]) -> Callable[..., Any]:
        """Return a criterion that ends every sequence of a batch once nobody waits for it."""
        torch = self._torch

        def stops(input_ids: Any, scores: Any, **_: Any) -> Any:
            return torch.full((input_ids.shape[0],), gone(), dtype=torch.bool, device=input_ids.device)

        return stops

    def _tokens(self, messages: Sequence[Mapping[str, str]]) -> Any:
        if self._tokenizer.chat_template:
            found = self._tokenizer.apply_chat_template(
                [dict(one) for one in messages], add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        else:  # a base model: what is said is all that it can go on with
            found = self._tokenizer("\n\n".join(one["content"] for one in messages) + "\n\n", return_tensors="pt")
        return {name: found[name].to(self._model.device) for name in ("input_ids", "attention_mask")}

    def _ends(self) -> set[int]:
        found = self._model.generation_config.eos_token_id
        ends = found if isinstance(found, list) else [found]
        return {int(end) for end in [*ends, self._tokenizer.eos_token_id] if end is not None}

    def _pad(self) -> dict[str, Any]:
        pad = self._tokenizer.pad_token_id
        return {"pad_token_id": self._tokenizer.eos_token_id if pad is None else pad}


def _sampling(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return how tokens are chosen; what a request leaves open is as the checkpoint's generation_config has it."""
    found: dict[str, Any] = {}
    if (temperature := body.get("temperature")) is not None:
        found = {"do_sample": True, "temperature": float(temperature)} if temperature > 0 else {"do_sample": False}
    if (top_p := body.get("top_p")) is not None and found.get("do_sample", True):
        found |= {"do_sample": True, "top_p": float(top_p)}
    return found


def server_of(checkpoint: Checkpoint, alias: str) -> ThreadingHTTPServer:
    """Return the server of a checkpoint on a free port of the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(200, {"object": "list", "data": [{"id": alias, "object": "model"}]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not self.path.endswith("/chat/completions"):
                self._send(404, _error(f"{self.path}: only /v1/chat/completions is served"))
                return
            try:
                said = {"id": "local", "object": "chat.completion", "created": 0, "model": alias}
                self._send(200, said | checkpoint.answer(json.loads(body), lambda: _is_gone(self.connection)))
            except (Abandoned, ConnectionError):
                self.close_connection = True
            except (ValueError, KeyError, TypeError) as error:
                self._send(400, _error(str(error)))
            except RuntimeError as error:  # out of memory, say
                self._send(500, _error(str(error).splitlines()[0]))

        def _send(self, status: int, content: Mapping[str, Any]) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def _is_gone(connection: socket.socket) -> bool:
    """Whether the other side has closed its connection; one that sends more is still there."""
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and not connection.recv(1, socket.MSG_PEEK)
    except (OSError, ValueError):
        return True


def _error(text: str) -> dict[str, Any]:
    return {"error": {"message": text, "type": "invalid_request_error"}}


def _serve(arguments: argparse.Namespace, ready: IO[str]) -> None:
    server = server_of(Checkpoint(arguments.model, arguments.ctx), arguments.alias)
    Thread(target=server.serve_forever, daemon=True).start()
    ready.write(json.dumps({"base_url": f"http://127.0.0.1:{server.server_port}/v1"}) + "\n")
    ready.flush()
    sys.stdin.buffer.read()
    os._exit(0)  # no orderly end: it would wait for replies that nobody reads any more


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stdin closes, or say on stderr why not and return 1."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", required=True, help="folder of a checkpoint")
    parser.add_argument("--alias", default="local", help="the model's name in replies")
    parser.add_argument("--ctx", type=int, default=4096, help="tokens of prompt and reply together")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads")
    arguments = parser.parse_args(argv)
    # What libraries print on stdout must not be taken for the ready line.
    ready = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        if arguments.threads:
            import torch  # noqa: PLC0415 - what it lacks is said in one line

            torch.set_num_threads(arguments.threads)
        _serve(arguments, ready)
    except ImportError as error:
        sys.stderr.write(f"{error}: {LIBRARIES}\n")
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
