"""Local servers on demand: from a model's name to the address of a server that has it loaded."""

from __future__ import annotations

from collections.abc import Callable

from autodata.models.local.llama_server import LocalServers, ServerSpec
from autodata.models.local.weights import find_weights

Progress = Callable[[str, int, int], None]


class LocalServing:
    """Finds weights and starts one server per model, shared by all roles that use it. Close it to stop them.

    `n_parallel` requests are answered at once, each with `ctx` tokens of context; with `embedding`, by vectors.
    `python` serves checkpoints' folders.
    """

    def __init__(
        self,
        *,
        progress: Progress | None = None,
        n_parallel: int = 4,
        ctx: int = 4096,
        python: str = "",
        embedding: bool = False,
    ) -> None:
        self._servers = LocalServers()
        self._progress = progress
        self._n_parallel, self._ctx, self._python, self._embedding = n_parallel, ctx, python, embedding

    async def base_url(self, model: str) -> str:
        """Return the address of a server for a shipped name, a GGUF file or a checkpoint.

        Raises UserError or RunFailed.
        """
        path = await find_weights(model, progress=self._progress)
        if self._progress:
            self._progress(f"loading {model}", 0, 0)
        spec = ServerSpec(
            path, n_parallel=self._n_parallel, ctx=self._ctx, python=self._python, embedding=self._embedding
        )
        server = await self._servers.get(spec)
        return server.base_url

    async def aclose(self) -> None:
        """Stop all servers."""
        await self._servers.aclose()
