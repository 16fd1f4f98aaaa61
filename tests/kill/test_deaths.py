"""Deaths in one process: the saver or the ledger fails at every single write, and the thread is taken up again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from autodata.checkpoints.ledger import MemoryLedger
from tests.graph.test_resume import by_identity, tables, two_rounds


class Fragile:
    """Fails once, at its `n`th operation."""

    def __init__(self, n: int) -> None:
        self.left = n

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError("killed here")


class FragileSaver(InMemorySaver):
    fragile: Fragile

    async def aput(self, *args: Any, **kwargs: Any) -> Any:
        self.fragile.step()
        return await super().aput(*args, **kwargs)

    async def aput_writes(self, *args: Any, **kwargs: Any) -> None:
        self.fragile.step()
        await super().aput_writes(*args, **kwargs)


@pytest.mark.parametrize("domain", ["cs", "facts"])
async def test_a_death_at_any_checkpoint_pays_nothing_twice(domain: str) -> None:
    reference = two_rounds(domain)
    await reference.run()
    assert [mode or "accepted" for mode in reference.modes()] == ["too_easy", "accepted"]
    deaths = 0
    while True:
        bench = two_rounds(domain)
        saver = FragileSaver()
        saver.fragile = Fragile(deaths + 1)
        bench.graph.checkpointer = saver
        try:
            await bench.run()
            break
        except OSError:
            deaths += 1
        started = (await bench.graph.aget_state(bench.config)).next
        await bench.run(resume=bool(started))
        assert len(bench.calls) == len(reference.calls)
        assert tables(bench) == tables(reference)
    assert deaths > 20


class FragileLedger(MemoryLedger):
    fragile: Fragile

    async def save(self, **saved: Sequence[Mapping[str, Any]]) -> None:
        if "documents" not in saved or "rounds" in saved:  # not the one that takes the document in
            try:
                self.fragile.step()
            except OSError:
                self.lost_calls = len(saved.get("calls", ()))
                raise
        await super().save(**saved)


@pytest.mark.parametrize("domain", ["cs", "facts"])
async def test_a_death_at_any_ledger_write_pays_again_only_for_the_reply_that_was_lost(domain: str) -> None:
    reference = two_rounds(domain)
    await reference.run()
    deaths = 0
    while True:
        bench = two_rounds(domain)
        bench.ledger = FragileLedger()
        bench.ledger.fragile = Fragile(deaths + 1)
        object.__setattr__(bench.services, "store", bench.ledger)
        object.__setattr__(bench.services, "blobs", bench.ledger)
        bench.services.caller._journal = bench.ledger
        numbered: dict[str, int] = {}
        for role, chat in bench.chats.items():
            chat.script = by_identity(role, chat.script, numbered)
        try:
            await bench.run()
            break
        except OSError:
            deaths += 1
        await bench.run(resume=True)
        assert len(bench.calls) == len(reference.calls) + bench.ledger.lost_calls
        assert tables(bench) == tables(reference)
    assert deaths > 30
