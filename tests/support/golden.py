"""Golden transcripts: one whole run a domain, every prompt and reply of it, kept in `tests/golden/<domain>.json`.

`document` and `configuration` in such a file are written by hand; `python -m tests.support.golden` (`make golden`)
plays them on the simulated model and writes the rest. The replies are placeholders: what a transcript keeps is what the
code asks, in which words, and what it makes of the answers. Texts stand as lists of lines, and a long paragraph that
several prompts share stands once, under `shared`: so a diff of a file reads as a diff of the prompts.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import ConfigDict

from autodata.checkpoints.ids import digest, document_id
from autodata.checkpoints.ledger import MemoryLedger
from autodata.checkpoints.records import Document
from autodata.graphs.self_instruct import build_self_instruct, steps_for
from autodata.models.caller import Caller
from autodata.models.config import ModelSettings
from autodata.models.endpoint import Endpoint
from autodata.models.role_model import RoleModel
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.nodes.context import Context, Services
from autodata.nodes.state import new_state
from autodata.runner.config import RunConfig

FOLDER = Path(__file__).resolve().parents[1] / "golden"
COMMAND = "make golden"
ROUNDS = range(2, 5)
"""Rounds of a transcript: at least one is rejected, so that feedback is among the prompts."""
MOST_BYTES = 120_000
SEEDS = 300
"""Seeds looked through for a run that is fit to be kept."""
LONG = 160
"""Characters from which a paragraph that occurs twice is written once."""
DIFF_LINES = 24
DIFF_WIDTH = 160

Transcript = dict[str, Any]
Chats = Callable[[str, ModelSettings], BaseChatModel]
_ROLES = {"human": "user", "ai": "assistant"}


class StaleTranscript(AssertionError):
    """The code asks for something else than what was recorded. The message says what, and what to type."""


def lines(text: str) -> list[str]:
    """Return a text as it stands in a transcript."""
    return text.split("\n")


def request(role: str, messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return a request as it stands in a transcript, and the response format that went with it, if any."""
    wanted = options.get("extra_body", {}).get("response_format")
    asked = {
        "role": role,
        "seed": options["seed"],
        "schema": f"{wanted['json_schema']['name']}-{digest(wanted, 6)}" if wanted else None,
        "messages": [{"role": _ROLES.get(turn.type, turn.type), "text": lines(turn.text)} for turn in messages],
    }
    return asked, wanted


@dataclass
class Recording:
    """The calls of a run in the order in which they were asked, and the response formats: a schema's name may stand
    for several, for marks are asked for as many as a rubric has criteria."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    schemas: dict[str, Any] = field(default_factory=dict)


class RecordingChatModel(SimulatedChatModel):
    """The simulated model, with every call noted."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    role: str
    recording: Recording

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        result = await super()._agenerate(messages, *args, **kwargs)
        asked, wanted = request(self.role, messages, kwargs)
        message = result.generations[0].message
        assert isinstance(message, AIMessage)
        assert message.usage_metadata
        if wanted:
            self.recording.schemas[asked["schema"]] = wanted
        self.recording.calls.append(
            {
                **asked,
                "reply": lines(message.text),
                "finish_reason": message.response_metadata["finish_reason"],
                "usage": {name: message.usage_metadata[name] for name in ("input_tokens", "output_tokens")},
            }
        )
        return result


class Replay:
    """The recorded replies of a transcript. Each is given once, to the request it was recorded for."""

    def __init__(self, transcript: Transcript) -> None:
        """Start with nothing given."""
        self._transcript = transcript
        self._replies: dict[str, dict[str, Any]] = {_key(call): call for call in transcript["calls"]}
        assert len(self._replies) == len(transcript["calls"])
        self._given: set[str] = set()

    @property
    def unused(self) -> list[str]:
        """The recorded calls that nobody asked for, as `role, seed`."""
        left = [call for key, call in self._replies.items() if key not in self._given]
        return [f"{call['role']}, seed {call['seed']}" for call in left]

    def take(self, asked: Mapping[str, Any], wanted: Any) -> dict[str, Any]:
        """Return the recorded call of a request. Raises StaleTranscript when there is none, or for another schema."""
        role, key = asked["role"], _key(asked)
        call = self._replies.get(key)
        if call is None:
            raise self._stale(f"{role}: this prompt was never recorded", *self._nearest(asked))
        if key in self._given:
            raise self._stale(f"{role}: the same prompt with the same seed {asked['seed']} was sent twice")
        recorded = self._transcript["schemas"].get(call["schema"])
        if recorded != wanted:
            headline = f"{role}: its reply was recorded for another schema than the one that is to read it"
            raise self._stale(headline, *(lines(json.dumps(form, indent=1)) for form in (recorded, wanted)))
        self._given.add(key)
        return call

    def _nearest(self, asked: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """Return the recorded prompt that a request comes nearest to, and the request's own, as texts of lines.

        The same seed means the same place in the run, so that is the nearest there can be.
        """
        own = shown(asked)
        of_role = [call for call in self._transcript["calls"] if call["role"] == asked["role"]]
        if not of_role:
            return [], own

        def likeness(call: Mapping[str, Any]) -> tuple[bool, float]:
            return call["seed"] == asked["seed"], difflib.SequenceMatcher(None, shown(call), own).ratio()

        return shown(max(of_role, key=likeness)), own

    def _stale(self, headline: str, recorded: Sequence[str] = (), asked: Sequence[str] = ()) -> StaleTranscript:
        diff = list(difflib.unified_diff(recorded, asked, "recorded", "asked", lineterm="", n=1))
        more = [f"... and {len(diff) - DIFF_LINES} more lines"] if len(diff) > DIFF_LINES else []
        clipped = [line if len(line) <= DIFF_WIDTH else f"{line[:DIFF_WIDTH]}…" for line in diff[:DIFF_LINES]]
        where = f"tests/golden/{self._transcript['configuration']['domain']}.json"
        return StaleTranscript(
            "\n".join([f"{where}: {headline}", *clipped, *more, f"If this is meant, type: {COMMAND}"])
        )


class ReplayChatModel(BaseChatModel):
    """Answers for one role from a transcript; a request that is not in it is an error."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    role: str
    replay: Replay

    @property
    def _llm_type(self) -> str:
        return "replay"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("calls are asynchronous")

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        call = self.replay.take(*request(self.role, messages, kwargs))
        message = AIMessage(
            "\n".join(call["reply"]),
            response_metadata={"finish_reason": call["finish_reason"]},
            usage_metadata={**call["usage"], "total_tokens": sum(call["usage"].values())},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def shown(call: Mapping[str, Any]) -> list[str]:
    """Return a call's prompt as lines, its seed and the side of each message among them."""
    turns = [[f"[{turn['role']}]", *turn["text"]] for turn in call["messages"]]
    return [f"[seed {call['seed']}]", *(line for turn in turns for line in turn)]


def _key(call: Mapping[str, Any]) -> str:
    return digest([call["role"], call["seed"], call["messages"]], 64)


async def play(given: Mapping[str, Any], configuration: Mapping[str, Any], chats: Chats) -> dict[str, Any]:
    """Take a document through the real graph, on the chat models that `chats` gives; return the outcome."""
    config = RunConfig.model_validate(configuration)
    domain, ledger = config.chosen_domain, MemoryLedger()
    models = {
        role: RoleModel(settings, chats(role, settings), Endpoint(role, settings.max_concurrency))
        for role, settings in config.roles().items()
    }
    services = Services(
        domain=domain,
        policy=config.policy,
        pack=domain.pack(),
        caller=Caller(ledger, models, retries=config.retries, run_seed=config.seed),
        store=ledger,
        blobs=ledger,
        max_rounds=config.max_rounds,
        run_seed=config.seed,
    )
    text = "\n".join(given["text"])
    document = Document(document_id=document_id(text), name=given["name"], title=given["title"], text=text)
    columns = ("document_id", "name", "title", "text")
    await ledger.save(documents=[{name: getattr(document, name) for name in columns}])
    steps = steps_for(config.max_rounds, domain.weak_attempts + domain.strong_attempts)
    await (
        build_self_instruct(domain)
        .compile(checkpointer=InMemorySaver())
        .ainvoke(
            new_state(document),
            {"configurable": {"thread_id": f"main/{document.document_id}"}, "recursion_limit": steps},
            context=Context(services),
            durability="sync",
        )
    )
    return outcome(ledger)


def outcome(ledger: MemoryLedger) -> dict[str, Any]:
    """Return what a run of one document left in its ledger: the end, the rounds, the example, what it took."""
    rows = {name: list(table.values()) for name, table in ledger.tables.items()}
    (document,), calls = rows["documents"], rows["calls"]
    return {
        "status": document["status"],
        "status_reason": document["status_reason"],
        "rounds": [_round(row, rows) for row in sorted(rows["rounds"], key=lambda row: row["n"])],
        "example": json.loads(rows["examples"][0]["example"]) if rows["examples"] else None,
        "took": {
            "calls": len(calls),
            "repairs": sum(row["try"] > 0 for row in calls),
            "tokens_in": sum(row["tokens_in"] for row in calls),
            "tokens_out": sum(row["tokens_out"] for row in calls),
        },
    }


def _round(row: Mapping[str, Any], rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    def of_round(table: str) -> Iterator[Mapping[str, Any]]:
        return (other for other in rows[table] if other["round_id"] == row["round_id"])

    attempts = sorted(of_round("attempts"), key=lambda attempt: (attempt["stage"] != "weak", attempt["idx"]))
    return {
        **{name: row[name] for name in ("n", "outcome", "failure_mode", "reason")},
        "feedback": lines(row["feedback"]),
        "scores": [f"{a['stage']} {a['idx']}: {a['score']} by {a['decided_by']}" for a in attempts],
        "verdicts": [
            {name: verdict[name] for name in ("stage", "preset", "decision", "failure_mode", "summary")}
            | {"checks": json.loads(verdict["checks"])}
            for verdict in of_round("verdicts")
        ],
    }


async def replay(transcript: Transcript, replies: Replay) -> dict[str, Any]:
    """Play a transcript's document on its recorded replies. Raises StaleTranscript."""
    return await play(
        transcript["document"],
        transcript["configuration"],
        lambda role, settings: ReplayChatModel(role=role, replay=replies),
    )


async def record(document: Mapping[str, Any], configuration: Mapping[str, Any]) -> Transcript:
    """Play a document on the simulated model and return the whole transcript."""
    recording, world = Recording(), RunConfig.model_validate(configuration).simulated

    def chat(role: str, settings: ModelSettings) -> BaseChatModel:
        return RecordingChatModel(role=role, recording=recording, solver=settings.model, world=world)

    ended = await play(document, configuration, chat)
    return {
        "document": document,
        "configuration": configuration,
        "outcome": ended,
        "schemas": dict(sorted(recording.schemas.items())),
        "calls": recording.calls,
    }


def unfit(transcript: Transcript) -> str:
    """Return why a transcript is not one to keep; empty for one that is."""
    ended, configuration = transcript["outcome"], transcript["configuration"]
    if ended["status"] != "accepted" or len(ended["rounds"]) not in ROUNDS:
        return f"it is {ended['status']} after {len(ended['rounds'])} rounds"
    if "faults" in configuration.get("simulated", {}) and not ended["took"]["repairs"]:
        return "no reply had to be repaired"
    if not any(of_round["scores"] for of_round in ended["rounds"][:-1]):
        return "no round was rejected for its scores"
    size = len(written(transcript).encode())
    return f"it is {size} bytes long" if size > MOST_BYTES else ""


def written(transcript: Transcript) -> str:
    """Return a transcript as its file holds it."""
    texts = [turn["text"] for call in transcript["calls"] for turn in call["messages"]]
    times = Counter(part for text in texts for part in _paragraphs(text))
    shared = {digest(part, 8): lines(part) for part, n in times.items() if n > 1 and len(part) >= LONG}
    short = _with_texts(transcript["calls"], lambda text: _folded(text, shared))
    return json.dumps({**transcript, "shared": shared, "calls": short}, indent=1, ensure_ascii=False) + "\n"


def _paragraphs(text: Sequence[str]) -> list[str]:
    return "\n".join(text).split("\n\n")


def _folded(text: Sequence[str], shared: Mapping[str, Any]) -> list[Any]:
    folded: list[Any] = []
    for part in _paragraphs(text):
        key = digest(part, 8)
        folded += ["", *([{"see": key}] if key in shared else lines(part))]
    return folded[1:]


def _unfolded(text: Sequence[Any], shared: Mapping[str, Sequence[str]]) -> list[str]:
    return [line for item in text for line in ([item] if isinstance(item, str) else shared[item["see"]])]


def _with_texts(calls: Sequence[Mapping[str, Any]], change: Callable[[list[Any]], list[Any]]) -> list[dict[str, Any]]:
    return [
        {**call, "messages": [{**turn, "text": change(turn["text"])} for turn in call["messages"]]} for call in calls
    ]


def read(domain: str) -> Transcript:
    """Return a domain's transcript."""
    transcript: Transcript = json.loads((FOLDER / f"{domain}.json").read_text("utf-8"))
    shared = transcript.pop("shared")
    return {**transcript, "calls": _with_texts(transcript["calls"], lambda text: _unfolded(text, shared))}


def renew(path: Path) -> None:
    """Write a transcript anew from its document and its configuration, with the first seed that gives a fit run."""
    old: Transcript = json.loads(path.read_text("utf-8"))
    for seed in range(SEEDS):
        made = asyncio.run(record(old["document"], {**old["configuration"], "seed": seed}))
        if not unfit(made):
            path.write_text(written(made), "utf-8")
            print(f"{path.name}: seed {seed}, {len(made['calls'])} calls", file=sys.stderr)
            return
    raise SystemExit(f"{path}: no seed below {SEEDS} ends accepted in 2 to 4 rounds: change its configuration")


def main() -> None:
    """Write all transcripts anew."""
    for path in sorted(FOLDER.glob("*.json")):
        renew(path)


if __name__ == "__main__":
    main()
