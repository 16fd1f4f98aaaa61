"""The numeric twin of the simulated world against the whole pipeline: the same statistics, without the text."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from statistics import fmean, pvariance

import pytest

from autodata.domains import domain, loader
from autodata.models.simulated.rules import META_RULES
from autodata.models.simulated.world import META_WORLD
from autodata.prompts import PromptPack, load_pack
from autodata.prompts.pack import parse_prompt
from autodata.runner.config import RunConfig
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents
from benchmarks.tables import documents
from benchmarks.world_twin import Played, Twin

COUNT = 160
TWIN = 4000
SIGMAS = 4
CS = load_pack("cs")


def with_rules(*names: str) -> PromptPack:
    """The shipped prompts with the first phrasing of some rules, each in its own file."""
    prompts = dict(CS.prompts)
    for rule in (rule for rule in META_RULES if rule.name in names):
        text = prompts[rule.file].text.replace("# user\n", f"# user\n{rule.phrases[-1]}\n", 1)
        prompts[rule.file] = parse_prompt(rule.file, text, rule.file)
    return PromptPack("cs", prompts)


RULES_ON = ("insight", "strict integers", "full context", "build on what was missed", "quote the fault")


def config() -> RunConfig:
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    return RunConfig.model_validate(
        {
            "acceptance": "meta",
            "max_rounds": 3,
            "models": models,
            "simulated": META_WORLD.model_dump(),
            "checkpoints": {"keep": "none"},
        }
    )


async def piped(
    pack: PromptPack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[bool], list[int], Counter[str]]:
    """Whether each document passed, the calls each took, and the failure modes of all rounds, in the real pipeline."""
    monkeypatch.setattr(domain, "load_pack", lambda name: pack)
    async with open_runner(config(), folder) as runner:
        await add_documents(runner.ledger, documents("cs", COUNT))
        outcome = await runner.run()
        assert not outcome.stopped
        assert not outcome.errored
        rows = await runner.ledger.read(
            "select status, (select count(*) from calls c where c.document_id = d.document_id) as calls"
            " from documents d order by rowid"
        )
        modes = await runner.ledger.read("select failure_mode from rounds")
    return (
        [row["status"] == "accepted" for row in rows],
        [row["calls"] for row in rows],
        Counter(str(row["failure_mode"]) for row in modes),
    )


def twinned(pack: PromptPack) -> list[Played]:
    given = config()
    twin = Twin(META_WORLD, given.policy, given.chosen_domain.planned, max_rounds=given.max_rounds)
    rules = twin.obeyed(pack)
    return [twin.play(rules, 0, f"d{number}") for number in range(TWIN)]


@pytest.mark.parametrize(
    ("names", "curtail"), [((), False), (RULES_ON, True)], ids=["shipped", "with rules, settled stops"]
)
async def test_twin_and_pipeline_agree(
    names: tuple[str, ...], curtail: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = with_rules(*names)
    monkeypatch.setattr(loader, "DOMAINS", {"cs": domain.CS.model_copy(update={"curtail": curtail})})
    passed, calls, modes = await piped(pack, tmp_path / "run", monkeypatch)
    played = twinned(pack)
    rate = fmean(one.status == "accepted" for one in played)
    binomial = math.sqrt(rate * (1 - rate) * (1 / COUNT + 1 / TWIN))
    assert fmean(passed) == pytest.approx(rate, abs=SIGMAS * binomial)
    spread = pvariance([one.calls for one in played])
    off = math.sqrt(spread * (1 / COUNT + 1 / TWIN))
    assert fmean(calls) == pytest.approx(fmean(one.calls for one in played), abs=SIGMAS * off)
    counted = Counter(str(row.failure_mode) for one in played for row in one.rounds)
    for mode, count in counted.items():  # at most three rounds of a document: their counts vary no more than thrice
        share = count / TWIN
        assert modes[mode] / COUNT == pytest.approx(share, abs=SIGMAS * math.sqrt(3 * share / COUNT) + 0.02), mode
    assert set(modes) <= set(counted)
