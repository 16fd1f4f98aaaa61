"""An OpenAI-compatible judge on the loopback interface, which finds every other criterion met."""

from __future__ import annotations

import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

_CRITERIA = re.compile(r"<criteria-\w+>\n(.*?)\n</criteria-", re.DOTALL)
_NUMBERED = re.compile(r"^\d+\. ", re.MULTILINE)
USAGE = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}


def reply(body: dict[str, Any], *, varies: bool = False) -> str:
    """Return marks for what shows criteria, and an answer to what does not.

    Every other criterion is met, or where marks vary those that a hash of the request picks.
    """
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    found = _CRITERIA.search(text)
    if found is None:
        return "An answer."
    numbers = range(1, len(_NUMBERED.findall(found[1])) + 1)
    signs = hashlib.sha256(text.encode()).digest()
    met = {n: signs[n % len(signs)] % 2 == 1 if varies else n % 2 == 1 for n in numbers}
    return json.dumps({"marks": [{"number": n, "reason": "seen", "met": met[n]} for n in numbers]})


class Judge:
    """The server, for as long as it is entered; `varies` lets its marks depend on the answer."""

    def __init__(self, *, varies: bool = False) -> None:
        self.varies = varies

    def __enter__(self) -> Self:
        judge = self
        self.asked = 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                judge.asked += 1
                self._send(*(streamed(body) if body.get("stream") else whole(body, varies=judge.varies)))

            def _send(self, content: str, kind: str) -> None:
                data = content.encode()
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def whole(body: dict[str, Any], *, varies: bool = False) -> tuple[str, str]:
    """Return a completion and its content type."""
    message = {"role": "assistant", "content": reply(body, varies=varies)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps(_head(body, "chat.completion") | {"choices": [choice], "usage": USAGE}), "application/json"


def streamed(body: dict[str, Any]) -> tuple[str, str]:
    """Return a completion as a stream of events, with its usage, and its content type."""
    head = _head(body, "chat.completion.chunk")
    first = {"index": 0, "delta": {"role": "assistant", "content": reply(body)}, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks = [head | {"choices": [first]}, head | {"choices": [last]}, head | {"choices": [], "usage": USAGE}]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n", "text/event-stream"


def _head(body: dict[str, Any], what: str) -> dict[str, Any]:
    return {"id": "x", "object": what, "created": 1, "model": body["model"]}
