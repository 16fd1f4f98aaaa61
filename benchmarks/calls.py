"""What a call costs this machine, and how near a run comes to the least time: docs/calls.json and a part of a page.

    python -m benchmarks.calls [DOCUMENTS]

Everything is asked of a server of our own in another process. First clients alone, in one process, at a server that
answers at once: processor time a call of aiohttp, AsyncOpenAI, LangChain's ChatOpenAI and ours. Then whole runs, each
in a process of its own, at a server whose replies take a log-normal time: processor time of the whole process over its
calls, and wall time over the least that list scheduling allows, with so many requests in flight. No figure here is a
promise: what counts are the ratios, which are of one run of this command.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import NormalDist
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from autodata.domains.domain import CS
from autodata.jobs import event_loop
from autodata.models.config import ModelSettings
from autodata.models.factory import connect
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.models.structured import response_format
from autodata.runner.config import RunConfig
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents
from benchmarks.many_documents import documents, machine
from benchmarks.page import DOCS, commit_of_now, write
from benchmarks.scheduling import least_time

DOCUMENTS = 200
IN_FLIGHT = 128
SECONDS = 1.0
"""Mean of the replies' latencies in the runs."""
SIGMA = 0.5
"""Standard deviation of their logarithm."""
CALLS = 1500
"""Requests of each client in each of the rounds."""
ROUNDS = 3
SOLVER = "x-solver"
"""The header by which the weak solver is known: it shares the one model's slots with all other roles."""
TEXT = "The reactor holds seven moles of reagent at three hundred kelvin. " * 60
REPLY = json.dumps({"question": "What is held? " * 20, "reference_answer": "Seven moles. " * 30, "skills": ["a", "b"]})

CLIENTS: Mapping[str, str] = {
    "aiohttp": "aiohttp alone",
    "openai": "AsyncOpenAI",
    "langchain": "ChatOpenAI of LangChain",
    "ours": "our model, as runs use it",
}


def latency_of(seed: int, mean: float) -> float:
    """Return the seconds that the reply to a request takes: a function of its seed, log-normal with this mean."""
    share = (int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:7]) + 0.5) / 2**56
    return mean * math.exp(SIGMA * NormalDist().inv_cdf(share) - SIGMA**2 / 2)


# The server


async def serve(mean: float) -> None:
    """Answer until standard input is closed: at `/v1` as the simulated model, at `/flat/v1` at once."""

    models: dict[str, SimulatedChatModel] = {}

    def completion(model: str, text: str, tokens: int) -> dict[str, Any]:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": tokens, "completion_tokens": max(1, len(text) // 4)}
        usage["total_tokens"] = sum(usage.values())
        return {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [choice],
            "usage": usage,
        }

    async def chat(request: web.Request) -> web.Response:
        begun = time.monotonic()
        body = json.loads(await request.read())
        solver = request.headers.get(SOLVER, "strong")
        model = models.setdefault(solver, SimulatedChatModel(solver=solver))
        text, _ = model.reply(body["messages"], body["seed"])
        made = completion(body["model"], text, sum(len(turn["content"]) for turn in body["messages"]) // 4)
        await asyncio.sleep(latency_of(body["seed"], mean) - (time.monotonic() - begun))
        return web.json_response(made)

    flat = json.dumps(completion("m", REPLY, 1000)).encode()

    async def at_once(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=flat, content_type="application/json")

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/flat/v1/chat/completions", at_once)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=3600, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


@contextmanager
def server(mean: float) -> Iterator[str]:
    """Start the server in another process and give its root."""
    command = [sys.executable, "-m", "benchmarks.calls", "serve", str(mean)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=DOCS.parent
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


# Clients alone


Ask = Callable[[int], Awaitable[object]]


async def clients(root: str, stack: AsyncExitStack) -> dict[str, Ask]:
    """Return what sends one request, by client; what they open is closed with `stack`."""
    import openai  # noqa: PLC0415 - a run that is measured starts without what it does not need
    from langchain_openai import ChatOpenAI  # noqa: PLC0415 - the same

    url = f"{root}/flat/v1"
    schema = CS.scorer.draft
    messages = [{"role": "system", "content": TEXT}, {"role": "user", "content": TEXT}]
    wire = response_format(schema, "json_schema")
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    http = [await stack.enter_async_context(openai.DefaultAioHttpClient()) for _ in range(2)]
    bare = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http[0])
    chain = ChatOpenAI(
        model="m",
        base_url=url,
        api_key=SecretStr("none"),
        max_retries=0,
        http_async_client=http[1],
        stream_usage=True,
    )
    roles = {"challenger": ModelSettings(model="m", base_url=url, max_concurrency=IN_FLIGHT)}
    ours = (await connect(roles, stack))["challenger"]
    ours.endpoint.learned(schema.__name__, "json_schema")

    async def by_aiohttp(seed: int) -> object:
        body = {"model": "m", "messages": messages, "seed": seed, "max_tokens": 4096, "response_format": wire}
        async with session.post(f"{url}/chat/completions", json=body) as response:
            return json.loads(await response.read())

    async def by_openai(seed: int) -> object:
        given: Any = messages
        fmt: Any = wire
        return await bare.chat.completions.create(
            model="m", messages=given, seed=seed, max_tokens=4096, response_format=fmt
        )

    async def by_langchain(seed: int) -> object:
        return await chain.ainvoke(messages, seed=seed, extra_body={"max_tokens": 4096, "response_format": wire})

    async def by_ours(seed: int) -> object:
        return await ours.send(messages, seed, schema, {"role": "challenger"})

    return {"aiohttp": by_aiohttp, "openai": by_openai, "langchain": by_langchain, "ours": by_ours}


async def measure_clients(root: str) -> dict[str, float]:
    """Return milliseconds of processor time a call by client, the least of the rounds."""
    async with AsyncExitStack() as stack:
        asks = await clients(root, stack)
        least = dict.fromkeys(asks, math.inf)
        for _ in range(ROUNDS):
            for name, ask in asks.items():
                least[name] = min(least[name], await _milliseconds(ask))
    return least


async def _milliseconds(ask: Ask) -> float:
    seeds = iter(range(CALLS))

    async def work() -> None:
        for seed in seeds:
            await ask(seed)

    gc.collect()
    await asyncio.gather(*(ask(0) for _ in range(IN_FLIGHT)))  # connections are open from here on
    before = time.process_time()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return (time.process_time() - before) / CALLS * 1000


# Whole runs


def settings(root: str, **changed: Any) -> RunConfig:
    """Return the configuration of a run: domain `cs`, so many requests in flight of all roles together."""
    default = {"base_url": f"{root}/v1", "model": "m", "max_concurrency": IN_FLIGHT, "max_tokens": 2048, **changed}
    models = {"default": default, "weak_solver": {"headers": {SOLVER: "weak"}}}
    return RunConfig.model_validate({"seed": 3, "models": models, "concurrency": IN_FLIGHT * 3 // 2})


async def run_documents(root: str, count: int, folder: Path, changed: Mapping[str, Any]) -> dict[str, float]:
    """Run so many documents and return what it took."""

    async with open_runner(settings(root, **changed), folder) as runner:
        await add_documents(runner.ledger, documents(count))
        begun = time.monotonic()
        outcome = await runner.run()
        assert not outcome.stopped, outcome
        assert not outcome.errored, outcome.errored[:3]
        wall = time.monotonic() - begun
        commits = runner.ledger.commits
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1024, "commits": commits}


def measure_run(root: str, count: int, mean: float, loop: str = "asyncio", **changed: Any) -> dict[str, float]:
    """Return what a run of so many documents comes to, in a process of its own, on an event loop."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "run"
        command = [sys.executable, "-m", "benchmarks.calls", "run", root, str(count), str(folder), json.dumps(changed)]
        environment = {**os.environ, "LANGSMITH_TRACING": "false", event_loop.VARIABLE: loop}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=DOCS.parent, env=environment)
        took: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        calls, rounds, bound = least_time(
            folder / "run.db", lambda seed: latency_of(seed, mean), slots=IN_FLIGHT, documents=IN_FLIGHT * 3 // 2
        )
        sizes = {name: (folder / f"{name}.db").stat().st_size / 1024 / count for name in ("run", "checkpoints")}
    return {
        "calls": calls,
        "rounds": rounds / count,
        "cpu_ms": took["cpu"] / calls * 1000,
        "per_second": calls / took["wall"],
        "wall": took["wall"],
        "bound": bound,
        "ratio": took["wall"] / bound,
        "memory": took["memory"],
        "run_kib": sizes["run"],
        "checkpoints_kib": sizes["checkpoints"],
    }


RUNS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "run": ("as runs are", {}),
    "uvloop": ("with `[fast]`: on uvloop", {"loop": event_loop.UVLOOP}),
    "langchain": ('`models.default.client = "langchain"`', {"client": "langchain"}),
}
"""Whole runs by name: in words, and what is set of the event loop or of `models.default`."""


def shipped(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `autodata plan` reckons with: the part of docs/calls.json that is shipped as jobs/machine.json."""
    run = figures["runs"]["run"]
    kept = {name: run[name] for name in ("cpu_ms", "rounds", "run_kib", "checkpoints_kib")}
    return {name: figures[name] for name in ("date", "machine", "in_flight")} | kept


def rendered(figures: Mapping[str, Any]) -> str:
    """Return the part of docs/benchmarks.md for the content of docs/calls.json."""
    base = figures["clients"]["aiohttp"]
    of_clients = "".join(
        f"| {CLIENTS[name]} | {took:.2f} ms | {took / base:.1f} |\n" for name, took in figures["clients"].items()
    )
    lines = [
        ("calls", "{:,.0f}", "calls"),
        ("rounds", "{:.1f}", "rounds a document"),
        ("cpu_ms", "{:.2f} ms", "processor time a call, all of the process, its start included"),
        ("per_second", "{:.0f}", "calls a second"),
        ("wall", "{:.1f} s", "wall time"),
        ("bound", "{:.1f} s", "what list scheduling of these calls takes"),
        ("ratio", "{:.2f}", "wall time over that"),
        ("memory", "{:.0f} MiB", "the most memory of the process"),
        ("run_kib", "{:.0f} KiB", "`run.db`, a document"),
        ("checkpoints_kib", "{:.0f} KiB", "`checkpoints.db`, a document"),
    ]
    names = [name for name in RUNS if name in figures["runs"]]
    head = "".join(f" {RUNS[name][0]} |" for name in names)
    of_runs = "".join(
        f"| {words} |" + "".join(f" {form.format(figures['runs'][name][key])} |" for name in names) + "\n"
        for key, form, words in lines
    )
    return (
        "# Calls\n\n"
        f"What a call costs this machine. Written by `make bench` on {figures['date']}, commit `{figures['commit']}`,"
        f" {figures['machine']}; the server is another process of the same machine. As it began,"
        f" {figures['load']:g} processes were running or waiting to: where these are more than a few, wall times"
        " say nothing, and processor times are too high.\n\n"
        f"Clients alone, {figures['in_flight']} requests in flight, replies at once, the least of {ROUNDS} rounds of"
        f" {CALLS:,} calls:\n\n"
        f"| client | processor time a call | times aiohttp |\n| --- | ---: | ---: |\n{of_clients}\n"
        f"A whole run of {figures['documents']} documents in domain `cs`, {figures['in_flight']} requests in flight,"
        f" replies after a log-normal time of {figures['seconds']:g} s on average:\n\n"
        f"| what |{head}\n| --- |{' ---: |' * len(names)}\n{of_runs}"
    )


def bench(count: int) -> dict[str, Any]:
    """Measure everything."""
    busy = os.getloadavg()[0]
    with server(SECONDS) as root:
        command = [sys.executable, "-m", "benchmarks.calls", "clients", root]
        alone = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=DOCS.parent)
        runs = {name: measure_run(root, count, SECONDS, **changed) for name, (_, changed) in RUNS.items()}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit_of_now(),
        "machine": machine(),
        "load": round(busy, 1),
        "documents": count,
        "in_flight": IN_FLIGHT,
        "seconds": SECONDS,
        "clients": {name: round(took, 3) for name, took in json.loads(alone.stdout).items()},
        "runs": {name: {key: round(value, 3) for key, value in took.items()} for name, took in runs.items()},
    }


def main(arguments: Sequence[str]) -> None:
    """Measure and write the files, or be one of the processes that are measured."""
    match arguments:
        case ["serve", mean]:
            asyncio.run(serve(float(mean)))
        case ["clients", root]:
            print(json.dumps(asyncio.run(measure_clients(root))))
        case ["run", root, count, folder, changed]:
            given = root, int(count), Path(folder), json.loads(changed)
            print(json.dumps(event_loop.run_long(run_documents(*given))))
        case ["quick", count, mean, *more]:
            with server(float(mean)) as root:
                print(
                    json.dumps(measure_run(root, int(count), float(mean), **json.loads((more or ["{}"])[0])), indent=1)
                )
        case _:
            figures = bench(int(arguments[0]) if arguments else DOCUMENTS)
            (DOCS / "calls.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
            (DOCS.parent / "jobs" / "machine.json").write_text(json.dumps(shipped(figures), indent=1) + "\n", "utf-8")
            write("calls", rendered(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
