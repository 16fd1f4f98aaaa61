"""A rehearsal: each role's real prompt on one small document, through the run's own calls, in a folder of its own.

Whatever would make the first document of a run fail is met here: a prompt that is too long, a reply that cannot be
read, a time-out. One call a role; what the run asks for again is asked for again here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.document_queue import DocumentQueue
from autodata.checkpoints.errors import CallFailed, InfrastructureError, RunFailed, UnusableReply, UserError
from autodata.checkpoints.ids import attempt_id, canonical_json
from autodata.checkpoints.lessons import Batch
from autodata.checkpoints.records import Attempt, Document, Mark, Stage
from autodata.models.config import BudgetConfig
from autodata.models.local.serving import Progress
from autodata.nodes.asking import marked_by_judge
from autodata.nodes.challenger import challenger
from autodata.nodes.context import Context
from autodata.nodes.dataset.analyse import asked
from autodata.nodes.dataset.settings import LessonsConfig
from autodata.nodes.dataset.walk import figures_of
from autodata.nodes.extractor import extractor
from autodata.nodes.loop_judge import judged
from autodata.nodes.quality_verifier import review
from autodata.nodes.screen import screen
from autodata.nodes.solver_modes import answered, mode_of
from autodata.nodes.state import State, plain
from autodata.nodes.step import Step
from autodata.prompts import PromptPack
from autodata.prompts.roles import DATASET_ROLES
from autodata.runner.config import RunConfig
from autodata.runner.places import CheckpointsConfig
from autodata.runner.run_folder import open_run_folder
from autodata.tracing.config import TracingConfig


@dataclass(frozen=True)
class Part:
    """How one role did. `problem` says why a run would fail; empty when it would not."""

    role: str
    problem: str = ""
    tried: bool = True
    calls: int = 0
    """Replies that were paid for, those that had to be repaired included."""
    note: str = ""
    """What a run would do about the reply that is no failure: send a candidate back, say."""


@dataclass(frozen=True)
class Rehearsal:
    """How the roles of a configuration did on one document."""

    document: str
    parts: tuple[Part, ...]
    adjusted: tuple[str, ...] = ()
    """How requests were changed for what endpoints refuse, and what else was found out about them."""

    @property
    def usable(self) -> bool:
        """Whether no role failed."""
        return not any(part.problem for part in self.parts)

    @property
    def calls(self) -> int:
        """How many calls it took."""
        return sum(part.calls for part in self.parts)


async def rehearse(config: RunConfig, document: Document, progress: Progress | None = None) -> Rehearsal:
    """Rehearse every role of a configuration on a document. Nothing is kept, and nothing is traced.

    Raises UserError as opening a run folder does.
    """
    changes = {"checkpoints": CheckpointsConfig(), "tracing": TracingConfig(), "budget": BudgetConfig()}
    alone = config.model_copy(update=changes)
    with tempfile.TemporaryDirectory(prefix="autodata-doctor-") as folder:
        async with open_run_folder(alone, Path(folder), progress=progress) as run_folder:
            queue, caller = DocumentQueue(run_folder.ledger), run_folder.caller(alone)
            services = run_folder.services(alone, queue, caller)
            # One challenger, and samples that are one: a call a role shows whether the role can do its work.
            domain = services.domain.model_copy(update={"challengers": 1})
            caller.roles = {
                role: replace(model, settings=model.settings.model_copy(update={"samples": 1}))
                for role, model in caller.roles.items()
            }
            context = Context(replace(services, domain=domain), evaluation="rehearsal")
            state = await context.take(document.text, title=document.title, name=document.name)
            stage = _Stage(Runtime(context=context), state, config.lessons, config.lessons_pack())
            analysts = DATASET_ROLES if config.lessons.enabled and config.lessons.new else ()
            parts = [await stage.part(role) for role in (*config.chosen_domain.roles, *analysts)]
            founds = {id(model.endpoint): model.endpoint.found for model in caller.roles.values()}
            adjusted = tuple(f"{found.name}: {line}" for found in founds.values() for line in found.reported)
    return Rehearsal(document.name, tuple(parts), adjusted)


class _Stage:
    """The state of one document as the roles take their turns."""

    def __init__(self, runtime: Runtime[Context], state: State, lessons: LessonsConfig, own: PromptPack) -> None:
        self._runtime, self._state, self._lessons = runtime, state, lessons
        self._own = own
        self._answer = ""
        self._paid = runtime.context.services.caller.budget
        self._plays: dict[str, Callable[[], Awaitable[str]]] = {
            "extractor": self._extract,
            "challenger": self._write,
            "screen": self._screen,
            "quality_verifier": self._review,
            "weak_solver": lambda: self._solve(Stage.WEAK),
            "strong_solver": lambda: self._solve(Stage.STRONG),
            "verifier": self._mark,
            "loop_judge": self._judge,
            "dataset_analyst": self._analyse,
        }

    async def part(self, role: str) -> Part:
        """Let one role do its work; what a run would end the document for is its problem."""
        before = self._paid.spent_calls
        if role not in {"extractor", "challenger"} and not self._state.get("candidate"):
            return Part(role, tried=False, note="there is no candidate to work on")
        try:
            note = await self._plays[role]()
        except InfrastructureError as error:
            return Part(role, " ".join(str(error).split()), calls=self._paid.spent_calls - before)
        except (RunFailed, UserError):
            raise
        except Exception as error:  # noqa: BLE001 - code of a custom task type may raise anything, and would in a run
            problem = " ".join(f"{type(error).__name__}: {error}".split())
            return Part(role, f"defect: {problem}", calls=self._paid.spent_calls - before)
        return Part(role, calls=self._paid.spent_calls - before, note=note)

    @property
    def _step(self) -> Step:
        return Step(self._state, self._runtime)

    def _update(self, update: dict[str, Any]) -> None:
        self._state = {**self._state, **update}  # type: ignore[typeddict-item]  # a node returns keys of the state

    async def _extract(self) -> str:
        update = await extractor(self._state, self._runtime)
        self._update({key: value for key, value in update.items() if key not in {"status", "status_reason"}})
        return f"skips the document: {update['status_reason']}" if update.get("status") else ""

    async def _write(self) -> str:
        self._update(await challenger(self._state, self._runtime))
        rejection = self._state.get("rejection")
        if not self._state.get("candidate"):
            raise UnusableReply(f"no usable candidate: {(rejection or {}).get('reason', 'nothing was written')}")
        return f"code would send it back: {rejection['reason']}" if rejection else ""

    async def _screen(self) -> str:
        drafts: State = {**self._state, "queue": [self._state["candidate"] or {}], "candidate": None}
        rejection = (await screen(drafts, self._runtime)).get("rejection")
        return f"would send it back: {rejection['reason']}" if rejection else ""

    async def _review(self) -> str:
        _, problems = await review(self._step, "quality_verifier")
        return f"would send it back: {'; '.join(problems)}" if problems else ""

    async def _solve(self, stage: Stage) -> str:
        reply = await answered(self._step, stage, 0, mode_of(self._step, stage))
        self._answer = reply.answer or self._answer
        return "the token limit cut its answer off" if reply.truncated else ""

    async def _mark(self) -> str:
        step = self._step
        scored = await marked_by_judge(step, self._answer or "(no answer)", f"{Stage.WEAK.value}/0")
        attempts = []
        for stage in Stage:
            identity = attempt_id(step.round_id, stage, 0)
            mark = Mark(attempt_id=identity, score=scored.score, met=scored.met)
            attempts.append(
                Attempt(
                    attempt_id=identity,
                    candidate_id=step.candidate_id,
                    stage=stage,
                    index=0,
                    answer_ref=f"answer/{identity}",
                    preview="",
                    chars=len(self._answer),
                    mark=mark,
                )
            )
        self._update({"attempts": [plain(attempt) for attempt in attempts]})
        return ""

    async def _judge(self) -> str:
        if not self._step.attempts:
            raise CallFailed("there is no marked attempt to judge")
        await judged(self._step)
        return ""

    async def _analyse(self) -> str:
        """Let the analyst read a batch of this document alone, whose round was sent back."""
        step = self._step
        row = {
            **{"round_id": step.round_id, "document_id": step.document_id, "n": 1, "outcome": "rejected"},
            **{"failure_mode": "too_easy", "reason": "", "weak_mean": None, "strong_mean": None, "gap": None},
            "candidate": canonical_json(self._state["candidate"]),
        }
        figures = figures_of(1, [row], self._paid.spent_calls)
        batch = Batch(batch=1, documents=(step.document_id,), state="walked", figures=figures)
        caller, pack = self._runtime.context.services.caller, self._own
        try:
            await asked(caller, pack, self._lessons, [batch], batch, [row], [])
        except UnusableReply as error:
            return f"a batch would teach nothing: {' '.join(str(error).split())}"
        return ""
