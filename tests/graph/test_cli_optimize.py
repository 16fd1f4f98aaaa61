"""`autodata optimize` and its sub-commands, as a person types them; and `autodata run --prompts`."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import re
import shutil
import sqlite3
import tomllib
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from rich.console import Console

from autodata.cli import optimize_picture
from autodata.cli.optimize import closing_lines
from autodata.cli.optimize_report import SearchReport
from autodata.cli.optimize_show import read_iteration, show_iteration
from autodata.models.simulated.world import META_WORLD
from autodata.prompts import load_pack
from autodata.runner.outcome import Outcome
from tests.support.commands import invoke, refusal
from tests.support.runs import generated

pytestmark = pytest.mark.slow  # a whole search stands behind it

DOCUMENTS = generated(10)
SPLITS = {"train": DOCUMENTS[:3], "validate": DOCUMENTS[3:7], "test": DOCUMENTS[7:9]}
OPTIMIZE = {"minibatch": 2, "max_rounds": 1, "wave": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with documents and a configuration, and a search of three iterations in OPT."""
    made = tmp_path_factory.mktemp("search")
    for split, documents in SPLITS.items():
        (made / split).mkdir()
        for document in documents:
            (made / split / document.name).write_text(document.text, "utf-8")
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    values = {"acceptance": "meta", "models": models, "optimize": OPTIMIZE, "simulated": META_WORLD.model_dump()}
    (made / "autodata.toml").write_text(tomli_w.dumps(values), "utf-8")
    result = search(made, "--iterations", "3")
    assert result.exit_code == 0, result.output
    assert "the search ended: all 3 iterations are done" in result.stderr
    return made


def search(folder: Path, *more: str, out: str = "OPT", splits: tuple[str, ...] = ("train", "validate", "test")) -> Any:
    documents = [word for split in splits for word in (f"--{split}", folder / split)]
    return invoke("optimize", "--config", folder / "autodata.toml", *documents, "--out", folder / out, *more)


def test_status_shows_the_search(folder: Path) -> None:
    result = invoke("optimize", "status", folder / "OPT")
    assert result.exit_code == 0
    assert "3 of 3 iterations done" in result.output
    assert "held-out test, baseline:" in result.output
    assert re.search(r"95% interval 0\.\d{3} to [01]\.\d{3}", " ".join(result.output.split()))


def test_requests_that_timed_out_are_reported(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "OPT", tmp_path / "OPT")
    with closing(sqlite3.connect(tmp_path / "OPT" / "run.db")) as db, db:
        db.execute("INSERT INTO timeouts (timeout_id, role, model, created_at) VALUES ('t', 'r', 'm', '2030-01-01')")
    said = invoke("optimize", "status", tmp_path / "OPT").output
    assert "1 request got no reply in time, or none that can be read, and may be billed" in said
    assert "timed out" not in invoke("optimize", "status", folder / "OPT").output


def test_status_as_json(folder: Path) -> None:
    summary = json.loads(invoke("optimize", "status", folder / "OPT", "--json").output)
    assert summary["iterations"] == summary["iterations_begun"] == summary["iterations_ended"] == 3
    assert sum(summary["outcomes"].values()) == 3
    assert summary["baseline"]["iteration"] == 0
    assert summary["calls"] > 0
    assert summary["tokens_in"] > summary["tokens_out"] > 0
    assert [row["documents"] for row in summary["test"]] == [2] * len(summary["test"])
    assert summary["winner"]["pack"] in {row["pack"] for row in summary["test"]}


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_picture(folder: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"search.{ending}"
    result = invoke("optimize", "status", folder / "OPT", "--picture", path)
    assert result.exit_code == 0
    start = path.read_bytes()[:200]
    assert (b"<?xml" in start) if ending == "svg" else start.startswith(b"\x89PNG")


def test_a_picture_of_another_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    result = invoke("optimize", "status", folder / "OPT", "--picture", tmp_path / "search.gif")
    assert result.exit_code != 0
    assert "ends in .svg or .png" in str(result.exception)


async def test_without_matplotlib_the_extra_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    report = await SearchReport.of(folder / "OPT")
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(Exception, match=r"autodata-langgraph\[plot\]"):
        optimize_picture.draw(report, tmp_path / "search.svg")


def test_blame_names_the_origin_of_every_line(folder: Path) -> None:
    summary = json.loads(invoke("optimize", "status", folder / "OPT", "--json").output)
    lines = invoke("optimize", "blame", folder / "OPT", "challenger").output.splitlines()
    origins = {line.partition("|")[0].split()[0] for line in lines}
    assert "baseline" in origins
    assert origins - {"baseline"} <= {f"#{n}" for n in (1, 2, 3)}
    assert bool(origins - {"baseline"}) <= (summary["winner"]["iteration"] > 0)
    whole = invoke("optimize", "blame", folder / "OPT").output
    assert {"==> challenger.md <==", "==> weak_solver.md <=="} <= set(whole.splitlines())


def test_blame_of_no_such_prompt(folder: Path) -> None:
    result = invoke("optimize", "blame", folder / "OPT", "cook")
    assert "no prompt for 'cook'" in str(result.exception)


def test_export_writes_the_winner_and_never_over_a_file(folder: Path, tmp_path: Path) -> None:
    summary = json.loads(invoke("optimize", "status", folder / "OPT", "--json").output)
    out = tmp_path / "prompts"
    assert invoke("optimize", "export", folder / "OPT", "--out", out).exit_code == 0
    assert load_pack(out).version == summary["winner"]["pack"]
    again = invoke("optimize", "export", folder / "OPT", "--out", out)
    assert "exists" in str(again.exception)


def test_a_run_uses_the_winner(folder: Path, tmp_path: Path) -> None:
    summary = json.loads(invoke("optimize", "status", folder / "OPT", "--json").output)
    run: list[str | Path] = [
        "run",
        "--config",
        folder / "autodata.toml",
        "--documents",
        folder / "train",
        "--out",
        tmp_path / "run",
    ]
    result = invoke(*run, "--prompts", folder / "OPT", "--max-rounds", "1")
    assert result.exit_code == 0, (result.output, result.exception)
    resolved = tomllib.loads((tmp_path / "run" / "config.toml").read_text("utf-8"))
    assert resolved["prompt_version"] == summary["winner"]["pack"]
    winner = Path(resolved["prompts"])
    text = (winner / "challenger.md").read_text("utf-8")
    try:
        (winner / "challenger.md").write_text(text.replace("You write", "You always write"), "utf-8")
        changed = invoke(*run[:-1], tmp_path / "other", "--prompts", folder / "OPT")
        assert "challenger.md is not the winner's" in str(changed.exception)
    finally:
        (winner / "challenger.md").write_text(text, "utf-8")


def test_a_folder_of_prompts_must_fit_the_domain(folder: Path, tmp_path: Path) -> None:
    assert invoke("prompts", "export", "legal", tmp_path / "legal").exit_code == 0
    result = invoke(
        *("run", "--config", folder / "autodata.toml", "--documents", folder / "train"),
        *("--out", tmp_path / "run", "--prompts", tmp_path / "legal"),
    )
    assert "quality_verifier.md is missing" in str(result.exception)


@pytest.mark.slow
def test_the_same_command_goes_on_and_a_budget_is_reported(folder: Path) -> None:
    result = search(folder, "--iterations", "3", "--max-calls", "60", out="halted")
    assert result.exit_code == 0
    assert "stopped: the budget --max-calls 60 is spent, after" in result.stderr
    assert "the search ended" not in result.stderr
    result = search(folder, "--iterations", "3", out="halted", splits=())
    assert "the search ended: all 3 iterations are done" in result.stderr
    one, other = (
        json.loads(invoke("optimize", "status", folder / name, "--json").output) for name in ("OPT", "halted")
    )
    for status in (one, other):
        for row in status["log"]:
            del row["created_at"], row["ended_at"]
    assert one == other


@pytest.mark.parametrize(
    ("splits", "said"),
    [((), "holds no search yet"), (("train",), "give --validate PATH"), (("validate",), "give --train PATH")],
)
def test_what_a_search_needs(folder: Path, splits: tuple[str, ...], said: str) -> None:
    result = search(folder, out="nothing", splits=splits)
    assert said in str(result.exception)


def test_a_search_says_that_it_confirms_nothing(folder: Path, tmp_path: Path) -> None:
    for split in SPLITS:
        shutil.copytree(folder / split, tmp_path / split)
    values = tomllib.loads((folder / "autodata.toml").read_text("utf-8")) | {"confirm": {"attempts": 2}}
    (tmp_path / "autodata.toml").write_text(tomli_w.dumps(values), "utf-8")
    result = search(tmp_path, "--iterations", "1", "--max-calls", "150")
    assert "it confirms and audits no example" in " ".join(result.stderr.split())
    with closing(sqlite3.connect(tmp_path / "OPT" / "run.db")) as db:
        nodes = Counter(node for (node,) in db.execute("select node from calls"))
    assert nodes["verifier"] > 0
    assert not nodes["confirm"]


def test_a_split_without_a_document_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("", "utf-8")
    result = invoke(
        *("optimize", "--config", folder / "autodata.toml", "--train", tmp_path, "--validate", folder / "validate"),
        *("--out", tmp_path / "OPT"),
    )
    assert "--train: no document can be used: empty.txt: empty" in str(result.exception)


@pytest.mark.parametrize("command", ["status", "blame", "export"])
def test_a_folder_that_holds_no_search(folder: Path, tmp_path: Path, command: str) -> None:
    assert "no such search" in str(invoke("optimize", command, tmp_path).exception)
    run = tmp_path / "run"
    base = ("--config", folder / "autodata.toml", "--documents", folder / "train", "--max-rounds", "1")
    assert invoke("run", *base, "--out", run).exit_code == 0
    assert "holds no search" in str(invoke("optimize", command, run).exception)


@pytest.mark.parametrize("command", ["status", "show", "compare"])
def test_commands_of_runs_know_a_search(folder: Path, command: str) -> None:
    assert "autodata optimize status" in str(invoke(command, folder / "OPT").exception)


def test_traces_of_evaluations_are_listed_and_drawn(folder: Path) -> None:
    opt = folder / "OPT"
    rows = json.loads(invoke("trace", opt, "--json").output)
    assert {row["split"] for row in rows} == {"train", "validate", "test"}
    assert all(row["traced"] for row in rows if row["status"] in {"accepted", "rejected"})
    listed = invoke("trace", opt).output
    assert all(row["evaluation"][:8] in listed for row in rows)
    for row in (rows[0], rows[-1]):
        one = ("trace", opt, row["document_id"], "--evaluation", row["evaluation"])
        found = json.loads(invoke(*one, "--json").output)
        assert (found["evaluation"], found["document_id"]) == (row["evaluation"], row["document_id"])
        [tree] = found["spans"]
        assert tree["thread_id"] == f"{row['evaluation']}/{row['document_id']}"
        assert [child["kind"] for child in tree["children"]] == ["round"] * row["rounds"]
        assert "round 1" in invoke(*one).output


def test_which_evaluation_is_meant_must_be_said(folder: Path) -> None:
    opt = folder / "OPT"
    rows = json.loads(invoke("trace", opt, "--json").output)
    counts = Counter(row["document_id"] for row in rows)
    [(often, times)] = counts.most_common(1)
    assert times > 1
    assert f"is in {times} evaluations: add --evaluation with one of" in refusal("trace", opt, often)
    assert "has no evaluation 'none'" in refusal("trace", opt, often, "--evaluation", "none")
    assert "list all with 'autodata trace" in refusal("trace", opt, "nothing like it")


def test_a_run_does_not_go_on_in_a_search(folder: Path) -> None:
    result = invoke(
        "run", "--config", folder / "autodata.toml", "--documents", folder / "train", "--out", folder / "OPT"
    )
    assert "holds a optimize" in str(result.exception) or "holds a search" in str(result.exception)


@pytest.mark.slow
@pytest.mark.parametrize("domain", ["facts", "legal", "science"])
def test_every_domain_can_be_searched(folder: Path, tmp_path: Path, domain: str) -> None:
    values = tomllib.loads((folder / "autodata.toml").read_text("utf-8"))
    values.pop("acceptance")
    values.pop("simulated")
    config = tmp_path / "autodata.toml"
    config.write_text(tomli_w.dumps({**values, "domain": domain}), "utf-8")
    result = invoke(
        *("optimize", "--config", config, "--train", folder / "train", "--validate", folder / "validate"),
        *("--out", tmp_path / "OPT", "--iterations", "2", "--json"),
    )
    assert result.exit_code == 0, (result.output, result.exception)
    summary = json.loads(result.stdout)
    assert summary["iterations_ended"] == 2
    assert "errored" not in summary["outcomes"]


def test_show_lists_the_iterations(folder: Path) -> None:
    result = invoke("optimize", "show", folder / "OPT")
    assert result.exit_code == 0
    rows = json.loads(invoke("optimize", "show", folder / "OPT", "--json").output)
    assert [row["iteration"] for row in rows] == [1, 2, 3]
    shown = {int(line.split()[0]): line.split()[1] for line in result.output.splitlines()}
    assert shown == {row["iteration"]: row["outcome"] for row in rows}
    status = json.loads(invoke("optimize", "status", folder / "OPT", "--json").output)
    assert status["log"] == rows


def test_show_prints_an_iteration_whole(folder: Path) -> None:
    rows = json.loads(invoke("optimize", "show", folder / "OPT", "--json").output)
    [n, *_] = [row["iteration"] for row in rows if row["outcome"] in {"accepted", "rejected"}]
    found = json.loads(invoke("optimize", "show", folder / "OPT", n, "--json").output)
    assert found["parent_probability"] == found["probabilities"][found["parent"]]
    assert {row["name"] for row in found["documents"]} == {document.name for document in SPLITS["validate"]}
    assert {row["parent"] for row in found["documents"]} <= {"accepted", "rejected"}
    text = " ".join(invoke("optimize", "show", folder / "OPT", n).output.split())
    added = [line for line in found["diff"].splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert added
    for said in (found["analysis"]["summary"], found["reason"], *added, *(row["name"] for row in found["documents"])):
        assert " ".join(said.split()) in text
    for cause in found["analysis"]["causes"]:
        assert f"[{', '.join(cause['evidence'])}]" in text


def test_an_edit_is_shown_in_colours(folder: Path) -> None:
    rows = json.loads(invoke("optimize", "show", folder / "OPT", "--json").output)
    [n, *_] = [row["iteration"] for row in rows if row["outcome"] in {"accepted", "rejected"}]
    shown = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=80)
    show_iteration(shown, asyncio.run(read_iteration(folder / "OPT", n)))
    assert isinstance(shown.file, io.StringIO)
    assert "\x1b[32m+" in shown.file.getvalue()
    assert "\x1b[36m@@" in shown.file.getvalue()


def test_show_of_no_such_iteration(folder: Path) -> None:
    assert refusal("optimize", "show", folder / "OPT", "9") == f"{folder / 'OPT'} has no iteration 9: they are 1 to 3"


def test_status_blame_and_picture_say_the_same_score(folder: Path) -> None:
    summary = json.loads(invoke("optimize", "status", folder / "OPT", "--json").output)
    if not (iteration := summary["winner"]["iteration"]):
        pytest.fail("nothing won: choose a longer search for this test")
    lines = invoke("optimize", "blame", folder / "OPT").output.splitlines()
    origins = {tuple(line.partition("|")[0].split()) for line in lines if line.startswith(f"#{iteration} ")}
    assert origins == {(f"#{iteration}", f"{summary['winner']['score']:.3f}")}


def test_an_iteration_that_changed_nothing_takes_no_score_from_a_line(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "OPT", tmp_path / "OPT")
    before = invoke("optimize", "blame", tmp_path / "OPT").output
    with closing(sqlite3.connect(tmp_path / "OPT" / "run.db")) as db, db:
        db.execute(
            "INSERT INTO iterations (iteration, parent, probabilities, mutant, outcome, lane)"
            " SELECT 4, mutant, '{}', mutant, 'unchanged', 0 FROM iterations WHERE mutant IS NOT NULL LIMIT 1"
        )
    assert invoke("optimize", "blame", tmp_path / "OPT").output == before


def test_status_shows_what_each_role_took(folder: Path) -> None:
    summary = json.loads(invoke("optimize", "status", folder / "OPT", "--json").output)
    roles = {row["role"]: row["calls"] for row in summary["roles"]}
    assert {"analyst", "editor", "challenger"} <= set(roles)
    assert sum(roles.values()) == summary["calls"]
    output = invoke("optimize", "status", folder / "OPT").output
    assert all(role in output for role in roles)


@pytest.mark.parametrize(
    ("won", "said"),
    [(2, "next: autodata optimize export OPT"), (0, "no edit won yet, so there is nothing to export")],
)
def test_an_export_is_advised_only_where_something_won(won: int, said: str) -> None:
    summary = {"iterations": 3, "iterations_ended": 3, "winner": {"iteration": won}}
    report = SearchReport(summary, [], load_pack("cs"), won)
    assert said in closing_lines(Outcome(), report, Path("OPT"))[-1]
