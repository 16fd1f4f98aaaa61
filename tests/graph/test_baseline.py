"""`autodata baseline`: one round without a gate, on the simulated model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.records import Decision, Document, Stage
from autodata.corpus.compare import SUITABILITIES
from autodata.corpus.signals import signals
from autodata.domains.acceptance.policies import Measure, Planned
from autodata.domains.domain import CS, DOMAINS, FACTS, LEGAL, Domain, one_shot
from autodata.graphs.cot_baseline import build_cot_baseline
from autodata.jobs.exports import export_run
from autodata.models.simulated.world import TOO_HARD
from autodata.runner.config import BaselineConfig, RunConfig, read_resolved
from autodata.runner.document_runner import Runner, open_runner
from autodata.runner.events import RunEvent
from autodata.runner.ingest import add_documents
from tests.graph.legal import draft, improve, legal
from tests.graph.test_runner import EXAMPLES, settings
from tests.support.commands import invoke, parsed, printed, refusal
from tests.support.runs import Tables, generated, read_tables, run_session
from tests.support.stages import first_quick

DOCUMENTS = EXAMPLES[:3]
Watching = Callable[[Runner, RunEvent], None]


def baseline(domain: str = "cs", **changes: Any) -> BaselineConfig:
    return BaselineConfig.of(RunConfig.model_validate(settings(domain, **changes)))


async def measured(
    folder: Path, config: RunConfig, documents: Sequence[Document], watch: Watching = lambda runner, event: None
) -> Tables:
    async with open_runner(config, folder) as runner:
        runner.on_event = lambda event: watch(runner, event)
        await add_documents(runner.ledger, documents)
        assert (await runner.run()).errored == []
    return read_tables(folder)


async def rows(folder: Path, sql: str) -> list[dict[str, Any]]:
    async with Ledger.open(folder / "run.db") as ledger:
        return await ledger.read(sql)


@pytest.fixture(scope="module", params=first_quick(*sorted(DOMAINS)))
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Domain, Path]:
    """A finished baseline."""
    domain = DOMAINS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    asyncio.run(measured(folder, baseline(domain.name), DOCUMENTS))
    return domain, folder


async def test_both_solvers_make_all_attempts_and_nothing_is_refused_for_its_scores(done: tuple[Domain, Path]) -> None:
    domain, folder = done
    attempts = await rows(
        folder,
        "select r.outcome, count(*) filter (where a.stage = 'weak') as weak,"
        " count(*) filter (where a.stage = 'strong') as strong, count(a.score) as marked"
        " from rounds r left join attempts a using (round_id) group by r.round_id",
    )
    made = {"weak": domain.weak_attempts, "strong": domain.strong_attempts}
    all_made = {"outcome": "accepted", **made, "marked": sum(made.values())}
    none_made = {"outcome": "rejected", "weak": 0, "strong": 0, "marked": 0}
    assert len(attempts) == len(await rows(folder, "select * from documents where status != 'skipped'"))
    assert all_made in attempts
    assert all(row in (all_made, none_made) for row in attempts)
    verdicts = await rows(folder, "select * from verdicts")
    assert {(row["preset"], row["decision"], row["stage"]) for row in verdicts} == {("measure", "accept", "strong")}
    assert all(None not in (row["weak_mean"], row["strong_mean"], row["gap"]) for row in verdicts)
    assert "needed" not in verdicts[0]["summary"]


async def test_a_document_ends_after_its_one_round(done: tuple[Domain, Path]) -> None:
    domain, folder = done
    documents = await rows(folder, "select status, rounds, settled from documents")
    assert "accepted" in {row["status"] for row in documents} <= {"accepted", "rejected", "skipped"}
    assert {(row["rounds"], row["settled"]) for row in documents if row["status"] != "skipped"} == {(1, 1)}
    assert {row["settled"] for row in documents} == {1}
    nodes = {row["node"] for row in await rows(folder, "select distinct node from calls")}
    assert not nodes & {"accept", "screen"}
    assert ("loop_judge" in nodes) is domain.loop_judge


async def test_ledger_and_configuration_name_the_kind(done: tuple[Domain, Path], tmp_path: Path) -> None:
    domain, folder = done
    meta = {row["key"]: row["value"] for row in await rows(folder, "select key, value from meta")}
    assert (meta["kind"], meta["domain"]) == ("baseline", domain.name)
    assert read_resolved(folder / "config.toml")["kind"] == "baseline"
    await measured(tmp_path, RunConfig.model_validate(settings(max_rounds=1)), DOCUMENTS[:1])
    assert read_resolved(tmp_path / "config.toml")["kind"] == "run"
    assert {"key": "kind", "value": "run"} in await rows(tmp_path, "select key, value from meta")


@pytest.mark.slow
async def test_it_asks_what_the_first_round_of_a_run_asks(done: tuple[Domain, Path], tmp_path: Path) -> None:
    domain, folder = done
    await measured(tmp_path, RunConfig.model_validate(settings(domain.name)), DOCUMENTS)
    written = "select key from calls where role = 'challenger' and n = 1 and idx = '0' and \"try\" = 0 order by key"
    assert await rows(tmp_path, written) == await rows(folder, written)
    if domain.challengers > 1:
        return  # the screen may choose another challenger's question
    first = "select document_id, candidate_id from rounds where n = 1 order by document_id"
    assert await rows(tmp_path, first) == await rows(folder, first)
    weak = "select a.answer from attempts a join rounds r using (round_id) where r.n = 1 and a.stage = 'weak'"
    answers = {row["answer"] for row in await rows(folder, weak)}
    assert {row["answer"] for row in await rows(tmp_path, weak)} <= answers


@pytest.mark.slow
async def test_a_candidate_that_fails_the_quality_check_ends_its_document(tmp_path: Path) -> None:
    world = {"fault_rate": 1.0, "detects": 1.0}
    await measured(tmp_path, baseline(simulated=world), DOCUMENTS)
    documents = await rows(tmp_path, "select status, rounds from documents")
    assert documents == [{"status": "rejected", "rounds": 1}] * len(DOCUMENTS)
    modes = await rows(tmp_path, "select distinct outcome, failure_mode from rounds")
    assert modes == [{"outcome": "rejected", "failure_mode": "failed_quality_check"}]
    assert {row["role"] for row in await rows(tmp_path, "select role from calls")} == {"challenger", "quality_verifier"}


@pytest.mark.slow
async def test_stopped_anywhere_it_goes_on_to_the_same_end(done: tuple[Domain, Path], tmp_path: Path) -> None:
    domain, folder = done
    whole = read_tables(folder)
    seen: list[str] = []

    def stop(runner: Runner, event: RunEvent) -> None:
        seen.append(event.event)
        if len(seen) % 9 == 0:
            runner.drain("asked to")

    sessions = 0
    while not sessions or any(
        row["status"] == "pending" for row in await rows(tmp_path, "select status from documents")
    ):
        await measured(tmp_path, baseline(domain.name), DOCUMENTS, stop)
        sessions += 1
    assert sessions > 3
    assert read_tables(tmp_path) == whole


@pytest.mark.slow
async def test_a_baseline_is_no_run_and_a_run_no_baseline(done: tuple[Domain, Path], tmp_path: Path) -> None:
    domain, folder = done
    with pytest.raises(UserError, match=r"holds a baseline: go on with 'autodata baseline', or use another --out"):
        async with open_runner(RunConfig.model_validate(settings(domain.name)), folder):
            pass
    await run_session(tmp_path, settings(max_rounds=1), DOCUMENTS[:1])
    with pytest.raises(UserError, match=r"holds a run: go on with 'autodata run'"):
        async with open_runner(baseline(max_rounds=1), tmp_path):
            pass


# The loop judge, who decides nothing here

OLD = "My neighbour cut the tree of my deed of 1912. What can I ask for?"
"""A question that a run's fixed rules send back before any judge is asked."""


@pytest.mark.parametrize(
    "question", first_quick("", OLD, "Why? " * 201), ids=["sound", "a forbidden year", "more than 1,000 characters"]
)
async def test_a_loop_judge_is_asked_once_for_the_figures_only(question: str) -> None:
    bench = legal({"challenger": [draft(1, question=question)], "loop_judge": [improve("Ask something else.")]})
    domain = one_shot(LEGAL)
    bench.services = replace(bench.services, domain=domain, policy=Measure(), max_rounds=1)
    bench.graph = build_cot_baseline(domain).compile(checkpointer=bench.saver)
    state = await bench.run()
    assert (state["status"], state["n"], bench.modes()) == ("accepted", 1, [None])
    assert len(bench.of("loop_judge")) == 1
    [row] = bench.rows("rounds")
    said = improve("Ask something else.") | {"layer": 2, "candidate_id": row["candidate_id"]}
    assert json.loads(row["judgement"]) == said
    assert bool(json.loads(row["packet"])["post_filter_flags"]) is bool(question)
    assert (state["example"]["grpo_suitability"], state["example"]["judgement"]) == ("low", said)
    assert state["example"]["preset"] == "measure"


@pytest.mark.slow
def test_compare_shows_the_suitability_of_both(tmp_path: Path) -> None:
    folders = {"base": tmp_path / "base", "run": tmp_path / "run"}
    asyncio.run(measured(folders["base"], baseline("legal", simulated=TOO_HARD.model_dump()), generated(8)))
    run = RunConfig.model_validate(settings("legal", simulated=TOO_HARD.model_dump()))
    asyncio.run(measured(folders["run"], run, generated(8)))
    report = parsed("compare", *map(str, folders.values()), "--json")
    shares = [[of["figures"][f"grpo:{level}"]["value"] for level in SUITABILITIES] for of in report["runs"]]
    assert [sum(of_run) for of_run in shares] == [1, 1]
    by_level = "select judgement ->> 'grpo_suitability' as s, count(*) as n from rounds group by s"
    counted = asyncio.run(rows(folders["base"], by_level))
    judged = {row["s"]: row["n"] for row in counted if row["s"]}
    accepted = report["runs"][0]["accepted"]
    assert sum(judged.values()) == accepted > 0
    assert shares[0] == [judged.get(level, 0) / accepted for level in SUITABILITIES]
    shown = printed("compare", *map(str, folders.values()), "--paper", columns=200)
    lines = [line for line in shown.splitlines() if "grpo suitability high" in line]
    assert len(lines) == 1
    assert lines[0].count("%") > 4, "both runs with their intervals, and both columns of the paper"
    judge = "select document_id, n, candidate_id, judgement ->> 'verdict' as verdict from rounds where judgement != ''"
    sent_back = [row for row in asyncio.run(rows(folders["base"], judge)) if row["verdict"] == "improve"]
    assert sent_back, "in this world first questions are too hard, and the judge says so"
    page = printed("show", str(folders["base"]), sent_back[0]["document_id"])
    assert "Judged by the loop judge: improve (for the figures only)" in page


async def test_a_baseline_is_exported_with_its_judge_as_a_run_is(done: tuple[Domain, Path], tmp_path: Path) -> None:
    domain, folder = done
    exported = await export_run(folder, tmp_path / "out", format_name="trl-grpo")
    judge = json.loads((tmp_path / "out" / "judge.json").read_text("utf-8"))
    assert exported.rows > 0
    assert judge["user"] == domain.pack().prompts["verifier"].user
    assert judge["verifiable"] is (domain.kind == "verifiable")


# The command


@pytest.mark.slow
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("papers").mkdir()
    for k, document in enumerate(DOCUMENTS[:3]):
        Path(f"papers/{k}.md").write_text(document.text, "utf-8")
    Path("autodata.toml").write_text(
        'acceptance = "deployed"\nmax_rounds = 7\n[models.default]\nprovider = "simulated"\nmodel = "strong"\n'
        '[models.weak_solver]\nmodel = "weak"\n'
    )
    summary = parsed("baseline", "papers", "--out", "base", "--json")
    assert (summary["documents"], summary["rounds"], summary["pending"]) == (3, 3, 0)
    stored = read_resolved(Path("base/config.toml"))
    assert (stored["kind"], stored["max_rounds"], "acceptance" in stored) == ("baseline", 1, False)
    Path("autodata.toml").unlink()
    again = parsed("baseline", "--out", "base", "--json")
    assert again == summary, "the folder knows its configuration, and nothing is paid for twice"
    assert "go on with 'autodata baseline'" in refusal("run", "--out", "base")
    assert "models.weak_solver.model" not in refusal("baseline", "--out", "base", "--domain", "facts")
    assert "no configuration" in refusal("baseline", "papers", "--out", "other")
    result = invoke("status", "base")
    assert result.exit_code == 0
    assert "weak attempts cut off" in result.stdout
    accepted = next(row["name"] for row in parsed("show", "base", "--json") if row["status"] == "accepted")
    page = printed("show", "base", accepted)
    assert "weak mean" in page
    assert "needed" not in page
    assert "accepted of documents" in printed("compare", "base", "base", columns=120)


# The graph and its policy


def edges(domain: Domain) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in build_cot_baseline(domain).compile().get_graph().edges}


EDITED = {("verifier", "feedback"), ("challenger", "__end__")}
"""Ways that are taken only where somebody has edited the state."""


def test_the_graph_is_a_line_with_ways_out() -> None:
    line = ["__start__", "challenger", "quality_verifier", "weak_solver", "verifier", "strong_solver"]
    assert edges(one_shot(CS)) == {
        *pairwise(line),
        ("strong_solver", "verifier"),
        ("verifier", "accept"),
        ("verifier", "weak_solver"),  # only for a candidate that a person edited: all attempts are missing then
        ("accept", "__end__"),
        ("accept", "feedback"),  # what code refuses at the final check
        ("challenger", "feedback"),
        ("quality_verifier", "feedback"),
        ("feedback", "__end__"),
        *EDITED,
    }
    assert edges(one_shot(FACTS)) == edges(one_shot(CS))


def test_options_of_a_domain_in_one_shot() -> None:
    rich = CS.model_copy(update={"extractor": True, "quality_check": False, "challengers": 4})
    found = edges(one_shot(rich))
    assert {("__start__", "extractor"), ("extractor", "challenger"), ("extractor", "__end__")} <= found
    assert ("challenger", "weak_solver") in found
    assert not {"quality_verifier", "loop_judge", "screen"} & {name for edge in found for name in edge}
    line = ["__start__", "extractor", "challenger", "weak_solver", "verifier", "strong_solver", "verifier"]
    assert edges(one_shot(LEGAL)) == {
        *pairwise([*line, "loop_judge", "accept", "__end__"]),
        ("verifier", "weak_solver"),
        ("extractor", "__end__"),
        ("challenger", "feedback"),
        ("weak_solver", "feedback"),  # no quality verifier stands before it: code looks there
        ("accept", "feedback"),
        ("feedback", "__end__"),
        *EDITED,
    }
    shot = one_shot(FACTS)
    assert (shot.curtail, shot.final_check, shot.challengers) == (False, False, 1)
    assert shot.pack().version == FACTS.pack().version


def test_measure_asks_for_everything_and_accepts_it() -> None:
    policy, planned = Measure(), Planned(2, 3, curtail=True)
    policy.require_possible(planned)
    asked = []
    scores: dict[Stage, list[Any]] = {Stage.WEAK: [], Stage.STRONG: []}
    while (ruling := policy.rule(scores[Stage.WEAK], scores[Stage.STRONG], planned)).decision is Decision.MORE:
        asked.append((ruling.stage, ruling.more))
        scores[ruling.stage].append(0)
    assert asked == [(Stage.WEAK, 2), (Stage.WEAK, 1), (Stage.STRONG, 3), (Stage.STRONG, 2), (Stage.STRONG, 1)]
    assert (ruling.decision, ruling.stage, ruling.failure_mode) == (Decision.ACCEPT, Stage.STRONG, None)
    assert [(check.name, check.value, check.bound, check.passed) for check in ruling.checks] == [
        ("weak mean", "0.00", "", True),
        ("strong mean", "0.00", "", True),
        ("gap", "0.00", "", True),
    ]
    assert [str(check) for check in ruling.checks] == ["weak mean 0.00", "strong mean 0.00", "gap 0.00"]


@pytest.mark.slow
async def test_cut_off_attempts_are_reported_with_what_they_scored(tmp_path: Path) -> None:
    await measured(tmp_path, baseline(seed=1, simulated={"fault_rate": 0, "faults": {"truncated": 0.4}}), DOCUMENTS)
    async with Ledger.open(tmp_path / "run.db") as ledger:
        found = (await signals(ledger))["truncation"]
        counted = await ledger.read("select stage, count(*) as n from attempts where truncated group by stage")
    cut = {f"{row['stage']}_solver": row["n"] for row in counted}
    assert {role: figures["cut"] for role, figures in found["by_role"].items()} == cut
    for role, figures in found["by_role"].items():
        assert 0 < figures["share"] < 1
        assert figures["score_cut"] == 0 < figures["score_whole"]
        assert found["by_round"][role] == [{"n": 1, **{name: figures[name] for name in ("attempts", "cut", "share")}}]
