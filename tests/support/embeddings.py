"""An endpoint of vectors for tests, over real HTTP: it counts what is asked, and answers as it is set to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from aiohttp import web

Vector = Callable[[str], list[float]]


class EmbeddingsServer:
    """`requests` holds (headers, body) of each; `failures` are statuses to answer the next requests with."""

    def __init__(self, vector: Vector) -> None:
        self.vector = vector
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.failures: list[int] = []
        self.usage = True
        self.spoilt: Callable[[dict[str, Any]], object] = lambda reply: None
        self.base_url = ""

    @property
    def texts(self) -> list[str]:
        """All texts that vectors were asked of, in their order."""
        return [text for _, body in self.requests for text in body["input"]]

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/embeddings", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append((dict(request.headers), body))
        if self.failures:
            return web.json_response({"error": {"message": "as it was set to"}}, status=self.failures.pop(0))
        data = [
            {"object": "embedding", "index": n, "embedding": self.vector(text)} for n, text in enumerate(body["input"])
        ]
        reply: dict[str, Any] = {"object": "list", "model": body["model"], "data": data[::-1]}
        if self.usage:
            tokens = sum(len(text.split()) for text in body["input"])
            reply["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        self.spoilt(reply)
        return web.json_response(reply)
