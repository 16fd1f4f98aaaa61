"""A bench for the real compiled graph: scripted models, a ledger and checkpoints in memory.

A script answers for one role: a function of the Call, or a sequence of which each call takes the next. What a script
gives is a reply's text, a dict (sent as JSON), a `Cut`, or an exception to raise. Solvers of cs are scripted by scores:
the judge's default script reads the score that stands in the answer and meets so many of ten criteria.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import ConfigDict, Field

from autodata.checkpoints.ids import document_id
from autodata.checkpoints.ledger import MemoryLedger
from autodata.checkpoints.records import Document
from autodata.domains.acceptance.borderline import ReviewMode
from autodata.domains.domain import Domain
from autodata.graphs.self_instruct import build_self_instruct, steps_for
from autodata.models.budget import Budget
from autodata.models.caller import Caller
from autodata.models.config import BudgetConfig, ModelSettings, RetryConfig
from autodata.models.endpoint import Endpoint
from autodata.models.role_model import RoleModel
from autodata.nodes.context import Context, Services
from autodata.nodes.early_marks import EarlyMarks
from autodata.nodes.state import new_state
from autodata.prompts.roles import ROLES
from autodata.runner.config import RunConfig

SCHEMAS = {
    ("cs", "challenger"): "RubricCandidate",
    ("cs", "quality_verifier"): "RubricReview",
    ("cs", "verifier"): "RubricMarks",
    ("facts", "challenger"): "ReferenceDraft",
    ("facts", "quality_verifier"): "SupportReview",
    ("facts", "verifier"): "ReferenceVerdict",
    ("science", "challenger"): "ScienceDraft",
    ("science", "screen"): "Screening",
    ("science", "verifier"): "ReferenceMark",
}
DOCUMENT_TEXT = "\n\n".join(
    f"The pump of station {k} in Delft moved {30 + k} litres a minute in {1900 + k}. It was built by Anton Kessel."
    " Nobody wrote down why the valves leaked."
    for k in range(1, 9)
)


@dataclass(frozen=True)
class Cut:
    """A reply that the token limit cut off."""

    text: str = ""


Answer = str | Mapping[str, Any] | Cut | Exception


@dataclass(frozen=True)
class Call:
    """One request as a role's model saw it. `number` counts the role's requests from 1."""

    role: str
    number: int
    messages: tuple[tuple[str, str], ...]
    seed: int

    @property
    def prompt(self) -> str:
        """All messages in one text."""
        return "\n\n".join(text for _, text in self.messages)

    def fenced(self, label: str) -> str:
        """Return the fenced text of a label."""
        match = re.search(rf"<({label}-[0-9a-f]+)>\n(.*?)\n</\1>", self.prompt, re.DOTALL)
        assert match, f"no {label} in the prompt of {self.role}"
        return match.group(2)


Script = Callable[[Call], Answer] | Sequence[Answer]


class ScriptedChat(BaseChatModel):
    """Answers for one role by its script and notes every request."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    role: str
    schema_title: str | None
    script: Callable[[Call], Answer]
    calls: list[Call] = Field(repr=False)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("calls are asynchronous")

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        seen = tuple((message.type, message.text) for message in messages)
        number = 1 + sum(call.role == self.role for call in self.calls)
        call = Call(self.role, number, seen, kwargs["seed"])
        found = set(re.findall(r'"title": ?"(\w+)"', call.prompt)) - {"SampleChoice"}  # a solver may be asked for it
        titles = {title.removesuffix("Together") for title in found}
        assert titles == ({self.schema_title} if self.schema_title else set())
        self.calls.append(call)
        answer = self.script(call)
        if isinstance(answer, Exception):
            raise answer
        cut = isinstance(answer, Cut)
        text = answer.text if isinstance(answer, Cut) else answer if isinstance(answer, str) else json.dumps(answer)
        message = AIMessage(text, response_metadata={"finish_reason": "length" if cut else "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])


def as_function(script: Script) -> Callable[[Call], Answer]:
    """Return a script as a function; a sequence that runs out is an error of the test."""
    if callable(script):
        return script
    left = iter(script)

    def take(call: Call) -> Answer:
        answer = next(left, None)
        assert answer is not None, f"unexpected call {call.number} of {call.role}"
        return answer

    return take


def scored(*scores: str) -> list[str]:
    """Return solvers' answers that the default judge gives these scores, fractions of ten such as "3/10"."""
    return [f"Answer number {k}, worth {score}." for k, score in enumerate(scores, 1)]


def candidate(number: int, *, question: str = "", context: str = "", **more: Any) -> dict[str, Any]:
    """Return a sound rubric candidate: ten positive criteria of weight 1 and three negative ones."""
    setting = f"A relay station of kind {number} loses power whenever two of its three feeders are switched at once."
    rubric = [{"criterion": f"Criterion {k} of rubric {number}", "weight": 1} for k in range(1, 11)]
    rubric += [{"criterion": f"Error {k} of rubric {number}", "weight": -1} for k in range(11, 14)]
    return {
        "question_type": "consequence",
        "skills": ["causal reasoning"],
        "context": context or setting,
        "question": question or f"What happens to station {number} when its second feeder fails late?",
        "reference_answer": f"Secret reference {number}: the relay drops out.",
        "rubric": rubric,
        **more,
    }


def review(**findings: Any) -> dict[str, Any]:
    """Return a quality verifier's findings: all is well but for those given."""
    yes = ("single_question", "every_positive_needs_reasoning", "every_negative_names_an_error", "no_item_tests_format")
    fine = dict.fromkeys((*yes, "type_matches"), True)
    words = {"leak_reason": "read both", "leaks": False, "question_quality": "GOOD", "feedback": "ask deeper"}
    return words | fine | findings


def judge(call: Call) -> Answer:
    """Meet as many of ten criteria as the answer says it is worth."""
    match = re.search(r"worth (\d+/\d+)", call.fenced("answer"))
    assert match, "the answer names no score"
    tenths = Fraction(match.group(1)) * 10
    return {"marks": [{"number": k, "reason": f"seen {k}", "met": k <= tenths} for k in range(1, 14)]}


def fact(number: int, **more: Any) -> dict[str, Any]:
    """Return a sound reference draft."""
    question = f"Which pump did Anton Kessel build in {1900 + number}?"
    return {"question": question, "reference_answer": "A copper pump."} | more


def compare(call: Call) -> Answer:
    """Find an answer right that names Delft."""
    answer = call.fenced("answer")
    return {"reference_says": call.fenced("reference"), "answer_says": answer[:50], "correct": "Delft" in answer}


def problem(number: int, **more: Any) -> dict[str, Any]:
    """Return a sound science draft; its answer is `sqrt(2)*number/7`."""
    return {"question": f"What is the exact period of pendulum {number}?", "answer": f"sqrt(2)*{number}/7"} | more


def solution(question: str) -> str:
    """Return the right answer to a problem, in another form than its reference."""
    match = re.search(r"pendulum (\d+)", question)
    assert match, "no problem of ours"
    return f"$\\frac{{{match.group(1)}\\sqrt{{2}}}}{{7}}$"


def screened(*promising: bool) -> dict[str, Any]:
    """Return a screen's findings on candidates 1, 2, ..."""
    rows = enumerate(promising, 1)
    return {"candidates": [{"number": k, "reason": f"looked at {k}", "promising": good} for k, good in rows]}


DEFAULTS: dict[str, dict[str, Script]] = {
    "cs": {
        "challenger": lambda call: candidate(call.number),
        "quality_verifier": lambda call: review(),
        "weak_solver": lambda call: scored("3/10")[0],
        "strong_solver": lambda call: scored("8/10")[0],
        "verifier": judge,
    },
    "facts": {
        "challenger": lambda call: fact(call.number),
        "quality_verifier": lambda call: {"reason": "it says so", "supported": True},
        "weak_solver": lambda call: "I do not know.",
        "strong_solver": lambda call: "Perhaps the one of Delft.",
        "verifier": compare,
    },
    "science": {
        "challenger": lambda call: problem(call.number),
        "screen": lambda call: screened(*[True] * len(re.findall(r"^Candidate \d+:$", call.prompt, re.MULTILINE))),
        "weak_solver": lambda call: "I get\nAnswer: sqrt(2)/99",
        "strong_solver": lambda call: f"So\nAnswer: {solution(call.fenced('question'))}",
        "verifier": compare,
    },
}


_GRAPHS: dict[tuple[str, bool], Any] = {}


def compiled(domain: Domain, *, review: bool) -> Any:
    """Return a domain's compiled graph to put a checkpointer in: a copy, for to compile one takes its time."""
    key = (domain.model_dump_json(), review)
    if key not in _GRAPHS:
        _GRAPHS[key] = build_self_instruct(domain, review=review).compile()
    return copy.copy(_GRAPHS[key])


@dataclass
class Bench:
    """One document in the real graph. `scripts` replaces the scripts of single roles."""

    scripts: dict[str, Script] = field(default_factory=dict)
    domain: str = "cs"
    acceptance: str | dict[str, Any] | None = None
    max_rounds: int = 15
    text: str = DOCUMENT_TEXT
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Model settings of single roles."""
    review: ReviewMode = "none"
    early: bool = False
    """Whether attempts are marked while others are being made, as the document runner has it."""
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    retries: RetryConfig = field(default_factory=lambda: RetryConfig(base_seconds=0, max_attempts=2, unusable_tries=2))

    def __post_init__(self) -> None:
        """Make everything anew but the compiled graph: nothing that changes is shared between benches."""
        config = RunConfig(
            domain=self.domain, acceptance=self.acceptance, max_rounds=self.max_rounds, review=self.review
        )
        self.ledger, self.saver = MemoryLedger(), InMemorySaver()
        self.calls: list[Call] = []
        self.events: list[dict[str, Any]] = []
        self.chats: dict[str, ScriptedChat] = {}
        models: dict[str, RoleModel] = {}
        for role in config.chosen_domain.roles:
            script = as_function(self.scripts.get(role, DEFAULTS[self.domain][role]))
            title = SCHEMAS.get((self.domain, role))
            self.chats[role] = ScriptedChat(role=role, schema_title=title, script=script, calls=self.calls)
            self.chats[role].calls = self.calls  # pydantic copies lists that it validates
            settings = ModelSettings(provider="simulated", model=role, **self.settings.get(role, {}))
            models[role] = RoleModel(settings, self.chats[role], Endpoint(role, 16, structured=False))
        domain = config.chosen_domain
        self.services = Services(
            domain=domain,
            policy=config.policy,
            pack=domain.pack(),
            caller=Caller(self.ledger, models, retries=self.retries, budget=Budget(self.budget)),
            store=self.ledger,
            blobs=self.ledger,
            max_rounds=self.max_rounds,
            review=config.reviewing,
        )
        self.document_id = document_id(self.text)
        self.document = Document(document_id=self.document_id, name="pumps.md", title="Pumps of Delft", text=self.text)
        self.graph = compiled(domain, review=self.review != "none")
        self.graph.checkpointer = self.saver
        self.config: Any = {
            "configurable": {"thread_id": f"main/{self.document_id}"},
            "recursion_limit": steps_for(self.max_rounds, domain.weak_attempts + domain.strong_attempts),
        }

    def script(self, role: str, script: Script) -> None:
        """Replace a role's script from now on."""
        self.chats[role].script = as_function(script)

    async def stream(
        self, *, resume: bool = False, epoch: int = 0, answer: Any = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Run the document from its start, its last checkpoint or a person's answer; yields the custom events."""
        document = self.document
        columns = {"document_id": document.document_id, "name": document.name, "title": document.title}
        await self.ledger.save(documents=[columns | {"text": document.text}])
        start: Any = None if resume else new_state(document)
        if answer is not None:
            start = Command(resume=answer)
        async with EarlyMarks() as early:
            context = Context(self.services, epoch=epoch, early_marks=early if self.early else None)
            async for event in self.graph.astream(
                start, self.config, context=context, stream_mode="custom", durability="sync"
            ):
                self.events.append(event)
                yield event

    async def run(self, *, resume: bool = False, epoch: int = 0) -> dict[str, Any]:
        """Run to the end and return the final state. Raises what the graph raises."""
        async for _ in self.stream(resume=resume, epoch=epoch):
            pass
        return await self.state()

    async def answer(self, **answer: Any) -> dict[str, Any]:
        """Answer the open question, run on to the next stop and return the state."""
        return await self.say(answer)

    async def say(self, answer: Any) -> dict[str, Any]:
        """Answer with any JSON value, run on to the next stop and return the state."""
        async for _ in self.stream(answer=answer):
            pass
        return await self.state()

    async def question(self) -> dict[str, Any] | None:
        """Return the question that the thread waits with, if it does."""
        interrupts = (await self.graph.aget_state(self.config)).interrupts
        return interrupts[0].value if interrupts else None

    async def state(self) -> dict[str, Any]:
        """Return the thread's newest state."""
        values: dict[str, Any] = (await self.graph.aget_state(self.config)).values
        return values

    def of(self, role: str) -> list[Call]:
        """Return the calls of a role, in order."""
        return [call for call in self.calls if call.role == role]

    def counts(self) -> dict[str, int]:
        """Return how often each role was called, leaving out those that were not."""
        return {role: n for role in ROLES if (n := len(self.of(role)))}

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a ledger table's rows, in order of insertion."""
        return list(self.ledger.tables[table].values())

    def modes(self) -> list[str | None]:
        """Return the failure mode of each round in the ledger, None for an accepted one."""
        return [row["failure_mode"] for row in sorted(self.rows("rounds"), key=lambda row: row["n"])]
