"""The whole job in one call, on simulated models: what comes back, what is left behind, how it goes on."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from autodata import open_run
from autodata.checkpoints.errors import RunFailed, UserError
from autodata.jobs import generate as job
from autodata.jobs.generate import agenerate, generate
from autodata.jobs.result import GenerationResult
from autodata.models.simulated.chat_model import SimulatedChatModel
from tests.graph.test_composition import PAPER, Unreported
from tests.support.commands import parsed, printed
from tests.support.runs import generated

MODELS: dict[str, Any] = {"default": "simulated:strong", "weak_solver": "simulated:weak"}
EASY: Any = {"weak_mean": "< 0.75", "strong_mean": ">= 0.5", "gap": ">= 0.05"}
GIVEN: dict[str, Any] = {"models": MODELS, "progress": False, "max_rounds": 2, "preset": EASY}
"""Some of the documents are accepted and some are not, in few calls."""
ALL = [document.text for document in generated(4)]
TEXTS = [ALL[3], ALL[0]]
"""The first is accepted, the other is not, after four calls."""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of temporary folders."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


class Calls(list[str]):
    """The calls that were made, by the name of the model. `task` is cancelled at the `last` of them."""

    task: asyncio.Task[Any] | None = None
    last = 15


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    made = Calls()
    real = SimulatedChatModel._agenerate

    async def counted(self: SimulatedChatModel, *args: Any, **kwargs: Any) -> Any:
        made.append(self.solver)
        if made.task is not None and len(made) == made.last:
            made.task.cancel()
        return await real(self, *args, **kwargs)

    monkeypatch.setattr(SimulatedChatModel, "_agenerate", counted)
    return made


def make(documents: Any = TEXTS, **given: Any) -> GenerationResult:
    return generate(documents, **{**GIVEN, **given})


@pytest.mark.slow
def test_a_result_is_what_the_folder_exports_and_status_says(tmp_path: Path, temporary: Path) -> None:
    result = make(out=tmp_path / "run")
    exported = printed("export", tmp_path / "run", "--out", "-").splitlines()
    assert result.examples == [json.loads(line) for line in exported if line.startswith("{")]
    assert list(result) == result.examples
    assert 0 < len(result) < 2, "some are rejected"
    status = parsed("status", tmp_path / "run", "--json")
    assert (result.counts["accepted"], result.counts["rejected"]) == (status["accepted"], status["rejected"])
    usage = result.usage
    assert (usage.calls, usage.tokens_in, usage.tokens_out, usage.usd) == (
        *(status["calls"], status["tokens_in"], status["tokens_out"]),
        None,
    )
    assert {role: used.calls for role, used in result.usage_by_role.items()} == status["calls_by_role"]
    assert sum(used.tokens_in or 0 for used in result.usage_by_role.values()) == usage.tokens_in
    assert (result.status, result.stopped, result.run_folder) == ("complete", "", tmp_path / "run")
    assert result.raise_for_status() is result
    assert "\n" not in repr(result)
    assert f"{len(result)} examples of 2 documents" in repr(result)
    assert open_run(str(tmp_path / "run")) == result
    assert not list(temporary.iterdir())


def test_without_a_folder_the_result_is_whole_and_nothing_is_left(
    tmp_path: Path, temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = make(TEXTS)
    assert result.run_folder is None
    assert result.examples == make(TEXTS, out=tmp_path / "run").examples
    assert not list(temporary.iterdir())
    assert capfd.readouterr() == ("", "")


def test_progress_says_where_documents_go_before_anything_and_the_log_always_does(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    goes = "Documents go to: nobody (simulated models); traces: nowhere"
    make(TEXTS[1], progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines()[0] == goes
    with caplog.at_level(logging.INFO, "autodata"):
        make(TEXTS[1])
    assert capfd.readouterr() == ("", "")
    assert caplog.messages[0] == goes


class Notebook(ModuleType):
    """What a kernel's IPython.display does with what it is given: lines that stay, and one output that is updated."""

    def __init__(self) -> None:
        super().__init__("IPython.display")
        self.lines: list[str] = []
        self.board: list[str] = []

    def display(self, value: Any, *, raw: bool = False, display_id: bool | None = None) -> Any:
        if not display_id:
            self.lines.append(value.text)
            return None
        self.update(value, raw=raw)
        return self

    def update(self, value: dict[str, str], *, raw: bool) -> None:
        assert raw
        assert set(value) == {"text/plain"}, "a stranger's text is never HTML"
        self.board.append(value["text/plain"])


def test_in_a_notebook_lines_are_displayed_and_the_figures_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook()
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    result = make(TEXTS[0], progress=True)
    assert "Documents go to: nobody" in notebook.lines[0]
    assert any("after" in line and "round" in line for line in notebook.lines[1:])
    assert "waiting 0 > challenge 0" in notebook.board[0]
    assert notebook.board[0].startswith("░" * 40 + " 0%\n")
    assert notebook.board[-1].startswith("█" * 40 + " 100%\n")
    assert "documents 1/1, " in notebook.board[-1]
    assert f"calls {result.usage.calls}, " in notebook.board[-1]


async def test_in_a_running_loop_both_work_and_agree() -> None:
    waited = generate(TEXTS[1:], **GIVEN)
    assert await agenerate(TEXTS[1:], **GIVEN) == waited
    with pytest.raises(UserError, match="no such file"):
        generate("nowhere.txt", models=MODELS)


@pytest.mark.slow
def test_the_same_call_again_goes_on_and_pays_nothing(tmp_path: Path, calls: Calls) -> None:
    first = make(TEXTS[:1], out=tmp_path / "run")
    assert len(calls) == first.usage.calls > 0
    paid = len(calls)
    assert make(TEXTS[:1], out=tmp_path / "run") == first
    assert generate(out=tmp_path / "run", progress=False) == first, "with the folder's own configuration"
    assert len(calls) == paid
    more = make(TEXTS, out=tmp_path / "run")
    assert sum(more.counts.values()) == 2
    assert more.usage.calls == len(calls) > paid
    with pytest.raises(UserError, match=r"max_rounds: 2 -> 1"):
        make(out=tmp_path / "run", max_rounds=1)
    with pytest.raises(UserError, match=r"models\.\w+\.model: strong -> weak"):
        make(out=tmp_path / "run", models="simulated:weak")


@pytest.mark.slow
async def test_cancelled_midway_it_goes_on_in_the_folder(tmp_path: Path, calls: Calls) -> None:
    whole = await agenerate(ALL, out=tmp_path / "whole", **GIVEN)
    calls.clear()
    given = {**GIVEN, "concurrency": 1}
    calls.task = asyncio.create_task(agenerate(ALL, out=tmp_path / "run", **given))
    with pytest.raises(asyncio.CancelledError):
        await calls.task
    before = await asyncio.to_thread(open_run, tmp_path / "run")
    assert before.status == "stopped"
    assert 0 < before.usage.calls < whole.usage.calls
    after = await agenerate(ALL, out=tmp_path / "run", **given)
    assert (after.examples, after.usage.calls) == (whole.examples, whole.usage.calls)
    assert len(calls) <= whole.usage.calls + 3, "only calls in flight are made again"


@pytest.mark.slow
async def test_cancelled_midway_without_a_folder_what_was_paid_for_is_kept_and_named(
    temporary: Path, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    calls.task = asyncio.create_task(agenerate(ALL, **GIVEN))
    with pytest.raises(asyncio.CancelledError):
        await calls.task
    (kept,) = [Path(entry.path) for entry in os.scandir(temporary)]
    assert str(kept) in caplog.messages[-1]
    assert (await agenerate(out=kept, progress=False)).status == "complete"


def test_an_interrupt_while_a_loop_runs_ends_the_work(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    async def endless(*args: Any, **kwargs: Any) -> Any:
        try:
            await asyncio.get_running_loop().run_in_executor(None, begun.set)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    begun = threading.Event()
    real = Future.result

    def interrupted(self: Future[Any], timeout: float | None = None) -> Any:
        if threading.current_thread() is threading.main_thread() and not self.done() and not ended:
            begun.wait(300)
            monkeypatch.setattr(Future, "result", real)
            raise KeyboardInterrupt
        return real(self, timeout)

    monkeypatch.setattr(job, "work", endless)

    async def cell() -> None:
        monkeypatch.setattr(Future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(TEXTS[0])

    asyncio.run(cell())
    assert ended == ["cancelled"]
    assert not list(temporary.iterdir()), "nothing was paid for"


@pytest.mark.slow
def test_a_target_a_budget_and_a_dead_endpoint_end_it_as_they_should(temporary: Path) -> None:
    reached = make(ALL, target=1, concurrency=1, max_rounds=15)
    assert (len(reached), reached.status, reached.stopped) == (1, "stopped", "target of 1 accepted reached")
    assert reached.counts["pending"] > 0
    spent = make(ALL, max_calls=5)
    assert spent.status == "stopped"
    assert "max-calls" in spent.stopped
    assert spent.usage.calls <= 5
    assert not list(temporary.iterdir())
    faults = {"simulated": {"faults": {"outage": True}}, "retries": {"base_seconds": 0, "max_attempts": 1}}
    dead = make(ALL, config=faults)
    assert (dead.status, len(dead), dead.run_folder) == ("failed", 0, None)
    with pytest.raises(RunFailed) as failed:
        dead.raise_for_status()
    assert str(failed.value) == dead.stopped
    assert dead.stopped in repr(dead)


@pytest.mark.slow
def test_errored_documents_do_not_take_the_others_along(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = SimulatedChatModel._agenerate

    async def broken(self: SimulatedChatModel, messages: Any, *args: Any, **kwargs: Any) -> Any:
        if "valve of station 0" in str(messages):
            raise RuntimeError("a defect of the model's library")
        return await real(self, messages, *args, **kwargs)

    monkeypatch.setattr(SimulatedChatModel, "_agenerate", broken)
    result = make(TEXTS, config={"retries": {"base_seconds": 0, "max_attempts": 1}})
    assert result.status == "failed"
    assert result.counts["errored"] == 1
    assert len(result) > 0
    assert any("a defect of the model's library" in note for note in result.notes)
    (kept,) = temporary.iterdir()
    assert result.run_folder == kept
    monkeypatch.setattr(SimulatedChatModel, "_agenerate", real)
    mended = generate(out=kept, progress=False)
    assert (mended.status, mended.counts["errored"]) == ("complete", 0)


def test_chat_models_play_the_roles_and_must_be_given_again(tmp_path: Path) -> None:
    strong, weak = Unreported(name="strong_solver", seen=[]), Unreported(name="weak_solver", seen=[])
    models: dict[str, Any] = {"default": strong, "weak_solver": weak}
    result = make(PAPER, models=models, out=tmp_path / "run")
    assert len(result) == 1
    assert {"role": "weak_solver", "model": "weak_solver"} in result.examples[0]["models"]
    asked = len(strong.seen) + len(weak.seen)
    assert asked == result.usage.calls
    assert make(PAPER, models=models, out=tmp_path / "run") == result
    assert len(strong.seen) + len(weak.seen) == asked
    with pytest.raises(UserError, match=r"stands for a chat model: give it with models="):
        generate(out=tmp_path / "run", progress=False)


def test_where_documents_go_names_a_chat_model(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "autodata"):
        make(PAPER, models=Unreported(name="strong_solver", seen=[]), max_rounds=1, max_calls=1)
    assert caplog.messages[0].startswith("Documents go to: the chat model strong_solver that was given")


def test_a_domain_of_ones_own_is_a_folder(tmp_path: Path) -> None:
    printed("init", "--domain", tmp_path / "mine")
    result = make(TEXTS[:1], domain=tmp_path / "mine", out=tmp_path / "run")
    assert sum(result.counts.values()) == 1
    assert result.status == "complete"


def test_skipped_documents_are_reported(tmp_path: Path) -> None:
    result = make([{"text": "too short", "id": "tiny"}, {"text": TEXTS[1]}])
    assert result.counts["skipped"] == 1
    assert any(note.startswith("skipped: tiny: too short") for note in result.notes)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"documents": None}, "no documents were given"),
        ({"documents": []}, "no documents were given"),
        ({"models": None}, "no model is named"),
        ({"config": {"review": "accepted"}}, "review needs a run folder"),
        ({"models": "openai:gpt", "config": {}}, "OPENAI_API_KEY is not set"),
        ({"max_dolars": 3}, "unknown keyword"),
    ],
    ids=repr,
)
def test_what_cannot_work_is_refused_and_leaves_nothing(
    given: dict[str, Any], message: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match=message):
        make(**given)
    assert not list(temporary.iterdir())


def test_a_folder_that_is_none_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        open_run(tmp_path / "nowhere")
    assert not list(tmp_path.glob("nowhere*"))


def test_to_pandas_is_a_table_or_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    result = make(TEXTS[1], max_rounds=1)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"^to_pandas needs pandas: pip install pandas$"):
        result.to_pandas()
    table = ModuleType("pandas")
    vars(table)["DataFrame"] = list
    monkeypatch.setitem(sys.modules, "pandas", table)
    assert result.to_pandas() == result.examples
