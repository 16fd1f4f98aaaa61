"""What `--dry-run` says, from what it knows it, and that it sends and writes nothing."""

from __future__ import annotations

import asyncio
import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from autodata import estimate
from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.queries.usage import usage_by_role, usage_of_all
from autodata.domains.domain import DOMAINS
from autodata.examples import documents_folder
from autodata.jobs import known as known_figures
from autodata.jobs.estimate import Estimate, estimate_of
from autodata.jobs.estimate_search import estimate_search, evaluated, few_proposals
from autodata.jobs.forecast import CONFIDENCE, Range
from autodata.jobs.inputs import Inputs
from autodata.jobs.watching import LOG_EVERY_SECONDS
from autodata.models.role_model import RoleModel
from autodata.nodes.optimizer.settings import OptimizeConfig
from autodata.runner.config import RunConfig
from autodata.runner.optimization.session import OptimizeRunConfig
from benchmarks import known, tables
from docs import make
from tests.support.commands import invoke, parsed, printed, refusal

SIMULATED = """
[models.default]
provider = "simulated"
model = "strong"
price_in = 1.0
price_out = 4.0
[models.weak_solver]
model = "weak"
price_in = 0.1
price_out = 0.4
"""
PAID = """
[models.default]
model = "some-model"
base_url = "https://api.example.com/v1"
api_key_env = "A_KEY_THAT_IS_NOT_SET"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("sim.toml").write_text(SIMULATED, "utf-8")
    Path("paid.toml").write_text(PAID, "utf-8")
    shutil.copytree(documents_folder(), "papers")
    Path("papers/short.txt").write_text("too short", "utf-8")
    return tmp_path


@pytest.fixture
def no_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(*given: Any, **options: Any) -> None:
        raise AssertionError("a call was sent")

    monkeypatch.setattr(RoleModel, "send", send)


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder by the hash of what it holds."""
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def calls_of(folder: Path) -> int:
    async def read() -> int:
        async with open_readonly(folder / "run.db") as ledger:
            return int((await usage_of_all(ledger))["calls"])

    return asyncio.run(read())


@pytest.mark.usefixtures("no_calls")
@pytest.mark.parametrize("command", ["run", "baseline"])
def test_a_dry_run_sends_nothing_and_writes_nothing(here: Path, command: str) -> None:
    before = files(here)
    found = parsed(command, "--config", "paid.toml", "papers", "--out", "runs/x", "--dry-run", "--json")
    assert files(here) == before
    assert sorted(path.name for path in here.iterdir()) == ["paid.toml", "papers", "sim.toml"]
    assert (found["known"], found["waiting"], found["skipped"]) == (5, 5, 1)
    assert found["usd"] is None
    assert "challenger" in found["unpriced"]
    low, value, high = found["calls"]
    assert 0 < low <= value <= high
    assert found["hours"][1] > 0
    assert found["confidence"] == CONFIDENCE


def test_it_is_said_for_people_with_what_lacks_and_whence(here: Path) -> None:
    text = printed("run", "--config", "paid.toml", "papers", "--out", "x", "--dry-run", columns=100)
    assert "documents 5 of 5, 1 skipped" in text
    assert "set models.challenger.price_in and price_out" in text
    assert "stretched to the 6.59 rounds" in text
    assert "90% of such runs are to lie within" in text
    text = printed("run", "--config", "sim.toml", "papers", "--out", "x", "--dry-run", "--max-calls", "20")
    assert "the budget --max-calls 20 is likely to end the run early: about" in text


@pytest.mark.slow
def test_a_pilot_is_kept_and_paid_once_and_the_run_goes_on_from_it(here: Path) -> None:
    shared = ("run", "--config", "sim.toml", "papers", "--max-rounds", "4")
    parsed(*shared, "--out", "plain", "--json")
    found = parsed(*shared, "--out", "piloted", "--dry-run", "--pilot", "2", "--json")
    assert found["source"] == "the 2 documents of this folder that have ended"
    assert found["waiting"] == 3
    made = calls_of(here / "piloted")
    assert found["spent"]["calls"] == made > 0
    assert found["calls"][1] > made
    assert found["usd"][1] > found["spent"]["usd"] > 0
    again = parsed(*shared, "--out", "piloted", "--dry-run", "--pilot", "2", "--json")
    assert again == found, "a pilot that is there is not paid for again"
    assert invoke(*shared, "--out", "piloted", "--dry-run", "--pilot", "2").stderr.count("skipped: ") == 1
    parsed(*shared, "--out", "piloted", "--json")
    assert calls_of(here / "piloted") == calls_of(here / "plain")


@pytest.mark.slow
def test_a_folder_that_holds_a_run_is_measured_and_not_touched(
    here: Path, monkeypatch: pytest.MonkeyPatch, no_calls: None
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(here)
    shared = ("run", "--config", "sim.toml", "papers", "--max-rounds", "3", "--out", "runs/x")
    parsed(*shared, "--limit", "3", "--json")
    before = files(here)
    found = parsed(*shared, "--dry-run", "--json")
    assert files(here) == before
    assert found["source"].startswith("the 3 documents")
    assert (found["known"], found["waiting"]) == (5, 2)
    invoke(*shared, "--json")
    done = parsed(*shared, "--dry-run", "--json")
    assert done["waiting"] == 0
    assert done["calls"] == [calls_of(here / "runs/x")] * 3


def test_what_goes_together(here: Path) -> None:
    shared = ("run", "--config", "sim.toml", "papers", "--out", "x")
    assert "--pilot goes with --dry-run" in refusal(*shared, "--pilot", "2")
    assert "--server" in refusal(*shared, "--dry-run", "--server", "http://127.0.0.1:1")
    assert "give --documents PATH" in refusal("run", "--config", "sim.toml", "--out", "x", "--dry-run")
    assert not (here / "x").exists()


def test_it_says_why_no_document_can_be_used_as_the_run_does(here: Path) -> None:
    shared = ("run", "--out", "x", "--dry-run", "--config")
    assert "no document can be used: short.txt: too short" in refusal(*shared, "sim.toml", "papers/short.txt")
    Path("small.toml").write_text(
        SIMULATED.replace('"strong"\n', '"strong"\ncontext = 600\nmax_tokens = 500\n'), "utf-8"
    )
    said = refusal(*shared, "small.toml", "papers")
    assert "has no room for a document: models.challenger.context 600 less max_tokens 500" in said
    assert said == refusal("run", "--out", "x", "--config", "small.toml", "papers")
    assert not (here / "x").exists()


def test_the_page_says_what_the_table_holds() -> None:
    page = " ".join((make.PAGE).read_text("utf-8").partition("## What it will cost")[2].partition("\n## ")[0].split())
    entries = known_figures._tables()
    assert set(entries) == set(DOMAINS)
    for name, table in entries.items():
        assert f"rounds and calls of {table['measured'].partition(' ')[0]} simulated documents" in page
        assert len(table["loop"]) == len(table["baseline"]) == known.DOCUMENTS
        assert table["paper_rounds"] is None or f"{table['paper_rounds']} for `{name}`" in page
        calls = table["tokens_from"]["real"].partition(" ")[0]
        assert bool(table["tokens"]["real"]) is (f"`{name}` ({calls}" in page), "what a real model was measured in"
    assert f"taken as {known_figures.REPLY_SHARE:.0%} of the role's `max_tokens`" in page
    assert f"The interval is a {CONFIDENCE:.0%} one" in page
    assert f"Over {len(SEEDS)} simulated runs" in page
    assert f"a line every {LOG_EVERY_SECONDS:g} seconds" in page


# Whether intervals hold what they say

SEEDS = range(40)
PILOT, WHOLE = 5, 10
FEWEST = 31
"""Of 40 intervals that hold the figure nine times of ten, fewer hold it in one of a hundred sets of seeds."""


def settings(seed: int) -> RunConfig:
    """A run whose models have prices, so that it costs money."""
    config = known.settings("cs", seed)
    priced = {"price_in": 2.0, "price_out": 8.0}
    models = config.models.model_copy(update={"default": config.models.default.model_copy(update=priced)})
    return config.model_copy(update={"max_rounds": 4, "models": models})


async def _foreseen(seed: int, folder: Path) -> tuple[Estimate, Estimate, dict[str, float]]:
    """Estimates by the domain and by a pilot, and what the run then took."""
    config, documents = settings(seed), known.documents("cs", WHOLE, 100 + seed)
    given = [{"text": one.text, "title": one.title} for one in documents]
    by_domain = await estimate_of(config, Inputs(config, given), folder)
    await tables.run_session(config.model_copy(update={"limit": PILOT}), folder, documents)
    by_pilot = await estimate_of(config, Inputs(config, []), folder)
    await tables.run_session(config, folder, documents)
    async with open_readonly(folder / "run.db") as ledger:
        used = await usage_of_all(ledger)
    return (
        by_domain,
        by_pilot,
        {
            name: used[of_ledger]
            for name, of_ledger in {
                "calls": "calls",
                "tokens_in": "tokens_in",
                "tokens_out": "tokens_out",
                "usd": "cost_usd",
            }.items()
        },
    )


def holds(figure: Range | None, real: float) -> bool:
    assert figure is not None
    assert figure.low is not None
    assert figure.high is not None
    return figure.low <= real <= figure.high


@pytest.mark.slow
def test_nine_of_ten_intervals_hold_what_the_run_takes(tmp_path: Path) -> None:
    held: dict[tuple[str, str], int] = {}
    widths: dict[str, list[float]] = {"domain": [], "pilot": []}
    for seed in SEEDS:
        by_domain, by_pilot, real = asyncio.run(_foreseen(seed, tmp_path / str(seed)))
        assert by_pilot.waiting == WHOLE - PILOT
        for source, estimated in (("domain", by_domain), ("pilot", by_pilot)):
            for name, value in real.items():
                held[source, name] = held.get((source, name), 0) + holds(estimated.totals[name], value)
            calls = estimated.totals["calls"]
            assert calls is not None
            widths[source].append(((calls.high or 0) - (calls.low or 0)) / calls.value)
        shutil.rmtree(tmp_path / str(seed))
    counted = json.dumps({" ".join(key): count for key, count in held.items()})
    assert min(held.values()) >= FEWEST, counted
    # An interval that holds everything would say nothing.
    assert sorted(widths["domain"])[len(SEEDS) // 2] < 1, widths
    assert sorted(widths["pilot"])[len(SEEDS) // 2] < 2, widths


# A run with lessons


@pytest.mark.slow
@pytest.mark.parametrize("held", [0, 12])
def test_the_analyst_of_a_run_with_lessons_is_counted(tmp_path: Path, held: int) -> None:
    config = settings(3)
    learning = config.model_copy(update={"lessons": config.lessons.model_copy(update={"enabled": True, "batch": 4})})
    documents, folder = known.documents("cs", 22, 5), tmp_path / "run"
    given = [{"text": one.text, "title": one.title} for one in documents]

    async def both() -> tuple[Estimate, float]:
        if held:
            await tables.run_session(learning.model_copy(update={"limit": held}), folder, documents)
        estimated = await estimate_of(learning, Inputs(learning, given), folder)
        await tables.run_session(learning, folder, documents)
        async with open_readonly(folder / "run.db") as ledger:
            used = {row["role"]: row["calls"] for row in await usage_by_role(ledger)}
        return estimated, used["dataset_analyst"]

    estimated, real = asyncio.run(both())
    counted = estimated.roles["dataset_analyst"]
    assert counted["calls"] == Range(5, 5, 5)
    assert real == 5
    usd, whole = counted["usd"], [row["calls"] for row in estimated.roles.values()]
    assert usd is not None
    assert usd.value > 0
    assert estimated.totals["calls"] is not None
    assert estimated.totals["calls"].value == pytest.approx(sum(one.value for one in whole if one), rel=0.05)


# A search


@pytest.mark.slow
def test_a_dry_run_of_a_search_holds_what_the_search_takes(here: Path) -> None:
    for split, names in (("train", "chm"), ("held-out", "tw")):
        (here / split).mkdir()
        for path in (here / "papers").glob("*.md"):
            if path.name[0] in names:
                shutil.copy(path, here / split)
    shared = ("optimize", "--config", "sim.toml", "--out", "opt", "--iterations", "2")
    named = ("--train", "train", "--validate", "held-out")
    before = files(here)
    found = parsed(*shared, *named, "--dry-run", "--json")
    assert files(here) == before
    assert found["waiting"] == 2
    low, _, high = found["calls"]
    assert "--train" in refusal(*shared, "--dry-run")
    parsed(*shared, *named, "--json")
    assert low <= calls_of(here / "opt") <= high
    over = parsed(*shared, "--dry-run", "--json")
    assert over["waiting"] == 0
    assert over["calls"] == [calls_of(here / "opt")] * 3
    more = parsed("optimize", "--config", "sim.toml", "--out", "opt", "--iterations", "5", "--dry-run", "--json")
    assert more["waiting"] == 3
    assert more["calls"][0] > calls_of(here / "opt")


@pytest.mark.slow
def test_a_pilot_of_a_search_is_its_first_evaluation_and_paid_once(here: Path) -> None:
    for split, names in (("train", "ch"), ("held-out", "mtw")):
        (here / split).mkdir()
        for path in (here / "papers").glob("*.md"):
            if path.name[0] in names:
                shutil.copy(path, here / split)
    shared = ("optimize", "--config", "sim.toml", "--train", "train", "--validate", "held-out", "--iterations", "1")
    assert "--pilot goes with --dry-run" in refusal(*shared, "--pilot", "2", "--out", "opt")
    before = parsed(*shared, "--out", "opt", "--dry-run", "--json")
    found = parsed(*shared, "--out", "opt", "--dry-run", "--pilot", "2", "--json")
    made = calls_of(here / "opt")
    assert (before["measured"], found["measured"]) == (0, 2)
    assert "the 2 documents that evaluations have taken to their ends" in found["source"]
    assert found["spent"]["calls"] == made > 0
    assert found["documents"] == [before["documents"][0] - 2, before["documents"][1] - 2, before["documents"][2] - 2]
    assert parsed(*shared, "--out", "opt", "--dry-run", "--pilot", "2", "--json") == found
    assert calls_of(here / "opt") == made, "a pilot that is there is not paid for again"
    low, _, high = found["calls"]
    after_pilot = parsed(*shared, "--out", "opt", "--json")
    assert low <= calls_of(here / "opt") <= high
    plain = parsed(*shared, "--out", "plain", "--json")
    assert calls_of(here / "opt") == calls_of(here / "plain")
    assert without_times(after_pilot) == without_times(plain)


def without_times(summary: dict[str, Any]) -> dict[str, Any]:
    log = [{name: value for name, value in row.items() if not name.endswith("_at")} for row in summary["log"]]
    return {name: value for name, value in summary.items() if not name.endswith("seconds")} | {"log": log}


@pytest.mark.slow
@pytest.mark.usefixtures("no_calls")
def test_a_dry_run_of_a_search_sends_nothing(here: Path) -> None:
    (here / "one").mkdir()
    shutil.copy(here / "papers" / "concrete-curing.md", here / "one")
    (here / "papers" / "short.txt").unlink()
    (here / "papers" / "concrete-curing.md").unlink()
    found = parsed("optimize", "--config", "paid.toml", "--train", "one", "--validate", "papers", "--dry-run", "--json")
    assert found["usd"] is None
    assert {"analyst", "editor"} <= set(found["roles"])
    assert not (here / "optimized").exists()


def proposals(iterations: int, max_calls: int | None = None) -> Estimate:
    """Return what a search on 20 documents a split is to take."""
    values: dict[str, Any] = {"budget": {"max_calls": max_calls}, "optimize": {"iterations": iterations}}
    config = OptimizeRunConfig.model_validate({**values, "models": {"default": {"provider": "simulated"}}})
    return estimate_search(config, {split: [3_000] * 20 for split in ("train", "validate")})


@pytest.mark.slow
def test_how_many_proposals_a_budget_pays_for() -> None:
    free = proposals(40)
    calls = free.totals["calls"]
    assert free.proposals == 40
    assert calls is not None
    assert few_proposals(free) == ""
    assert proposals(40, int(calls.value) + 1).proposals in {39, 40}
    half = proposals(40, int(calls.value / 2))
    assert 15 <= (half.proposals or 0) <= 20, "the first evaluation is paid for by no proposal"
    assert few_proposals(half) == ""
    few = proposals(40, int(calls.value / 8))
    assert 0 < (few.proposals or 0) < 5
    assert few_proposals(few).startswith(f"warning: only about {few.proposals} proposed edits are paid for")
    assert "raise the budget" in few_proposals(few)
    assert "give more --iterations" in few_proposals(proposals(9))
    assert proposals(40, 1).proposals == 0


@pytest.mark.parametrize(
    ("settings", "least", "likely", "most"),
    [
        # 20 documents at first, 10 minibatches of 4, and of each comparison all of a block again, twice over.
        ({"accept": "strict", "racing": "off", "merge": 0, "max_blocks": 1, "reuse_parent": False}, 260, 460, 460),
        # Batches of 5 until 2 x 60 documents, the last of them whole.
        ({"merge": 0, "max_blocks": 3}, 60, 60 + 10 * 18, 60 + 10 * 2 * 64),
        ({"merge": 0, "most_documents": 30}, 60, 60 + 10 * 18, 60 + 10 * 2 * 34),
        # Two in ten merge, and read no failures; the others share an analysis, two and two.
        ({"merge": 0.2, "proposals": 2, "max_blocks": 3}, 20 + 16, 20 + 16 + 10 * 18, 20 + 20 + 10 * 2 * 64),
    ],
)
def test_the_documents_of_a_search_follow_from_its_rules(
    settings: dict[str, Any], least: int, likely: int, most: int
) -> None:
    found = evaluated(OptimizeConfig(iterations=10, minibatch=4, **settings), 20, 20, 0)
    assert (found.least, found.likely, found.most) == (least, likely, most)


def test_few_proposals_are_said_before_a_search(here: Path) -> None:
    (here / "papers" / "short.txt").unlink()
    (here / "one").mkdir()
    (here / "papers" / "concrete-curing.md").rename(here / "one" / "concrete-curing.md")
    shared = ("optimize", "--config", "sim.toml", "--train", "one", "--validate", "papers", "--iterations", "4")
    result = invoke(*shared, "--dry-run")
    assert "iterations 4; the budget pays for about 4 proposals" in " ".join(result.stdout.split())
    assert "warning: only about 4 proposed edits" in result.stderr


@pytest.mark.slow
def test_a_search_says_beforehand_what_it_is_to_take_and_which_documents_are_near_copies(here: Path) -> None:
    (here / "papers" / "short.txt").unlink()
    (here / "one").mkdir()
    (here / "papers" / "concrete-curing.md").rename(here / "one" / "concrete-curing.md")
    copy = (here / "one" / "concrete-curing.md").read_text("utf-8") + "One more sentence.\n"
    (here / "papers" / "copy.md").write_text(copy, "utf-8")
    named = "copy.md of --validate is nearly the same as concrete-curing.md of --train"
    shared = ("optimize", "--config", "sim.toml", "--train", "one", "--validate", "papers", "--out", "opt")
    dry = invoke(*shared, "--dry-run")
    assert named in " ".join(dry.stderr.split())
    assert "copy.md of" not in dry.stdout
    found = parsed(*shared, "--dry-run", "--json")
    for _ in range(2):  # the second time, too: its held-out test may be the one that flatters
        result = invoke(*shared, "--stop-file", "sim.toml")
        began, stopped, _ = " ".join(result.stderr.split()).partition("stopped: the stop file sim.toml is there")
        assert (result.exit_code, bool(stopped), calls_of(here / "opt")) == (0, True, 0)
        assert named in began
    fresh = " ".join(invoke(*shared[:-1], "other", "--stop-file", "sim.toml").stderr.split())
    assert f"expected: about {found['calls'][1]:,.0f} calls, " in fresh
    assert f"${found['usd'][1]:,.2f}" in fresh
    assert f"paid for: about {found['proposals']} of {found['waiting']} proposed edits" in fresh


# From Python


@pytest.mark.slow
def test_from_python_it_is_the_same(here: Path) -> None:
    given: dict[str, Any] = {"config": "sim.toml", "max_rounds": 3}
    before = files(here)
    found = estimate("papers", **given)
    assert files(here) == before
    shared = ("run", "--config", "sim.toml", "papers", "--out", "x", "--max-rounds", "3", "--dry-run")
    assert found.as_dict() == parsed(*shared, "--json")
    piloted = estimate("papers", **given, out="y", pilot=2)
    assert piloted.spent.calls == calls_of(here / "y")
    assert piloted.waiting == 3
    with pytest.raises(UserError, match="give out="):
        estimate("papers", **given, pilot=2)
    with pytest.raises(UserError, match="unknown keyword 'traget'"):
        estimate("papers", traget=3)  # type: ignore[call-arg]


@pytest.mark.usefixtures("no_calls")
def test_fresh_attempts_are_foreseen(here: Path) -> None:
    shared = ("run", "--config", "sim.toml", "papers", "--out", "runs/x", "--dry-run", "--json")
    plain, confirmed = parsed(*shared), parsed(*shared, "--confirm", "10")
    accepted = plain["accepted"][1]
    for role in ("weak_solver", "strong_solver"):
        more = confirmed["roles"][role]["calls"][1] - plain["roles"][role]["calls"][1]
        assert more == pytest.approx(10 * accepted, abs=10)
    assert confirmed["roles"]["challenger"]["calls"] == plain["roles"]["challenger"]["calls"]
