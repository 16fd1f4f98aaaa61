"""An OpenAI-compatible server for tests, on the loopback interface, that counts what it is asked.

Every reply is the simulated model's: a pure function of the request's model, messages and seed. Faults are switches.
Within a test: `async with ChatServer() as server:`. As a process of its own, which outlives its clients:

    python -m tests.support.server --log requests.jsonl --switches '{"latency_s": 0.005}'

It prints one JSON line with its `base_url` and ends when its standard input is closed. The log has a JSON line for each
request at arrival (`n`, `key`, `model`, `call`, `format`) and one once its reply was handed over (`n`, `status`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections import Counter
from contextlib import ExitStack
from typing import Any, Self, TextIO

from aiohttp import web
from pydantic import Field

from autodata.checkpoints.ids import digest
from autodata.models.config import Settings
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.models.simulated.world import World

Body = dict[str, Any]

_TITLE = re.compile(r'\\"title\\": ?\\"(\w+)\\"')
ACCOUNT_HEADERS = frozenset({"openai-organization", "openai-project", "x-from-environment"})


class Switches(Settings):
    """What is wrong with the server. The defaults are a server without faults."""

    refused_formats: tuple[str, ...] = ()
    """Types of `response_format` that are refused with 400: `json_schema`, `json_object`."""
    failing_formats: dict[str, int] = Field(default_factory=dict)
    """HTTP status with which a type of `response_format` is answered, 0 for an empty reply."""
    refuses_seed: bool = False
    refused_text: str = ""
    """A request whose messages hold this text is refused with 400."""
    always: str = ""
    """The fault that every request meets, named as in `first`."""
    first: tuple[str, ...] = ()
    """What the first requests of a call meet, in order: an HTTP status, or `close`, `html`, `null`, `stall`."""
    one_in: int = Field(default=1, ge=1)
    """Only one call in so many meets `first`; which ones is a function of the request."""
    retry_after: float = 0.0
    """Seconds that a 429 asks to wait."""
    cut_one_in: int = Field(default=0, ge=0)
    """One structured reply in so many is cut off in its middle; 0: none."""
    empty_one_in: int = Field(default=0, ge=0)
    """One answer of a solver in so many is empty, all tokens having gone into reasoning; 0: none."""
    sloppy: bool = False
    """Whether structured replies come as small models write them: see `sloppily`. None leaves a doubt."""
    unreadable: tuple[str, ...] = ()
    """Titles of schemas for which the reply is prose."""
    usage: bool = True
    """Whether replies say how many tokens they took."""
    latency_s: float = Field(default=0.0, ge=0)
    """Seconds before a reply."""


def call_id(model: str, seed: int | None, messages_hash: str) -> str:
    """Return what one call's requests have in common; `messages_hash` is that of the journal."""
    return digest([model, seed, messages_hash])


class ChatServer:
    """The server. `requests` and `replies` hold the lines of the log; `switches` may be changed at any time."""

    def __init__(
        self, switches: Switches | None = None, *, world: World | None = None, log: TextIO | None = None
    ) -> None:
        self.switches = switches or Switches()
        self.requests: list[dict[str, Any]] = []
        self.replies: list[dict[str, Any]] = []
        self.base_url = ""
        self._world, self._log = world or World(), log
        self._seen: Counter[str] = Counter()
        self._ending = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        # Keep-alive outlasts any test, so that no request meets a connection that is just being closed.
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=3600, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._ending.set()
        await self._runner.cleanup()

    def forget(self) -> None:
        """Start over: no request was ever made."""
        self.requests.clear()
        self.replies.clear()
        self._seen.clear()

    def statuses(self) -> Counter[int]:
        """Return how many requests were answered with each HTTP status; 0 is a closed connection, -1 no answer."""
        return Counter(reply["status"] for reply in self.replies)

    async def _models(self, request: web.Request) -> web.Response:
        names = sorted(self._world.abilities)
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body: Body = await request.json()
        messages = [{"role": message["role"], "content": message["content"]} for message in body["messages"]]
        arrived = {
            "n": len(self.requests),
            "key": request.headers.get("Authorization", "").removeprefix("Bearer "),
            "model": body["model"],
            "call": call_id(body["model"], body.get("seed"), digest(messages, 64)),
            "format": body.get("response_format", {}).get("type", "none"),
            # What a client library says of its user unasked.
            "account": {
                name: value
                for name, value in request.headers.items()
                if name.lower() in ACCOUNT_HEADERS or "private" in value
            }
            | ({"body": "private"} if "private " in json.dumps(body) else {}),
        }
        self._note(self.requests, arrived)
        self._seen[arrived["call"]] += 1
        switches = self.switches
        if switches.latency_s:
            await asyncio.sleep(switches.latency_s)
        fault = self._fault(body, arrived["call"])
        if fault in {"", "html"}:
            page = web.Response(text="<html><body>It works!</body></html>", content_type="text/html")
            reply = page if fault else web.json_response(self._completion(body, messages, arrived["call"]))
        elif fault == "null":
            reply = web.json_response({"id": "none", "object": "chat.completion", "choices": None})
        elif fault == "stall":
            self._note(self.replies, {"n": arrived["n"], "status": -1})
            await self._ending.wait()
            return web.Response()
        elif fault == "close":
            self._note(self.replies, {"n": arrived["n"], "status": 0})
            if request.transport:
                request.transport.abort()
            return web.Response()
        else:
            headers = {"Retry-After": f"{switches.retry_after:g}"} if fault == "429" else {}
            error = {"error": {"message": f"fault {fault} of the test server", "type": "fault"}}
            reply = web.json_response(error, status=int(fault), headers=headers)
        await reply.prepare(request)
        await reply.write_eof()
        self._note(self.replies, {"n": arrived["n"], "status": reply.status})
        return reply

    def _fault(self, body: Body, call: str) -> str:
        """Return what goes wrong with this request, nothing as a rule."""
        switches, made = self.switches, self._seen[call]
        if switches.always:
            return switches.always
        wire_format = body.get("response_format", {}).get("type")
        if wire_format in switches.refused_formats:
            return "400"
        if status := switches.failing_formats.get(wire_format, 0):
            return str(status)
        if (switches.refuses_seed and "seed" in body) or (
            switches.refused_text and switches.refused_text in json.dumps(body["messages"], ensure_ascii=False)
        ):
            return "400"
        if made <= len(switches.first) and _chosen(call, "first", switches.one_in):
            return switches.first[made - 1]
        return ""

    def _completion(self, body: Body, messages: list[dict[str, str]], call: str) -> Body:
        model = SimulatedChatModel(solver=body["model"], world=self._world)
        text, finish = model.reply(messages, body.get("seed", 0))
        if body.get("response_format", {}).get("type") in self.switches.failing_formats:
            text, finish = "", "stop"
        asked = _TITLE.findall(json.dumps(messages))
        if "_Sum" in asked:  # of `autodata doctor`
            text, finish = '{"total": 42, "even": true}', "stop"
        if set(asked) & set(self.switches.unreadable):
            text, finish = "I would rather tell it in my own words.", "stop"
        elif self.switches.sloppy and text.startswith("{"):
            text = sloppily(json.loads(text), int(call, 16))
        if text.startswith("{"):
            if _chosen(call, "cut", self.switches.cut_one_in):
                text, finish = text[: len(text) // 2], "length"
        elif _chosen(call, "empty", self.switches.empty_one_in):
            text, finish = "", "length"
        tokens_in, tokens_out = sum(len(message["content"]) for message in messages) // 4, max(1, len(text) // 4)
        usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        completion = {
            "id": call,
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [choice],
        }
        return {**completion, "usage": usage} if self.switches.usage else completion

    def _note(self, lines: list[dict[str, Any]], line: dict[str, Any]) -> None:
        lines.append(line)
        if self._log:
            self._log.write(json.dumps(line) + "\n")
            self._log.flush()


def sloppily(reply: Body, turn: int) -> str:
    """Return a reply of domain cs in the shapes that small models write; `turn` picks among those of a list."""
    long = "Because it is said so, " * 200
    if "rubric" in reply:
        rows = [{**row, "weight": f"{row['weight']} points"} for row in reply["rubric"]]
        by_number = {str(k): row for k, row in enumerate(rows, 1)}
        reply = {
            **reply,
            "skills": ", ".join(reply["skills"]),
            "reference_answer": [reply["reference_answer"]],
            "rubric": by_number if turn % 2 else rows,
            "context": f"{reply['context']} LATEX",
        }
        return json.dumps(reply).replace("LATEX", r"Here $\frac{1}{2} \alpha \times \nu$ holds.")
    if "marks" in reply:
        rows = [{**row, "reason": long} for row in reply["marks"]]
        by_number = {str(row["number"]): {"met": row["met"], "reason": long} for row in rows}
        return json.dumps([rows, by_number, {"marks": by_number}, {"Marks": rows}][turn % 4])
    if "feedback" in reply:
        flags = {
            name: {True: "yes", False: "No."}.get(one, one) if isinstance(one, bool) else one
            for name, one in reply.items()
        }
        return json.dumps({**flags, "feedback": "Good", "leak_reason": long})
    return json.dumps(reply)


def _chosen(call: str, what: str, one_in: int) -> bool:
    return one_in > 0 and int(digest([call, what]), 16) % one_in == 0


async def _serve(switches: Switches, world: World, log: TextIO) -> None:
    async with ChatServer(switches, world=world, log=log) as server:
        sys.stdout.write(json.dumps({"base_url": server.base_url}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Serve until standard input is closed."""
    parser = argparse.ArgumentParser(description="OpenAI-compatible test server")
    parser.add_argument("--log", default="-", help="file that requests are appended to; '-' is standard output")
    parser.add_argument("--switches", default="{}", help="JSON of Switches")
    parser.add_argument("--world", default="{}", help="JSON of the simulated world")
    options = parser.parse_args()
    switches = Switches.model_validate_json(options.switches)
    world = World.model_validate_json(options.world)
    with ExitStack() as stack:
        log = sys.stdout if options.log == "-" else stack.enter_context(open(options.log, "a", encoding="utf-8"))
        asyncio.run(_serve(switches, world, log))


if __name__ == "__main__":
    main()
