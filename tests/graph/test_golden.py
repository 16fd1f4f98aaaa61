"""Golden transcripts: the code asks what it asked when they were recorded, and makes the same of the answers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from autodata.domains.domain import DOMAINS, Domain
from autodata.models.seeds import seed_for
from autodata.prompts import PromptPack
from tests.support import golden
from tests.support.golden import COMMAND, Replay, StaleTranscript, Transcript

STALE = f"the run ends otherwise than recorded; if this is meant, type: {COMMAND}"

PELICANS = "Never mention pelicans."


@pytest.fixture(scope="module", params=sorted(DOMAINS))
def transcript(request: pytest.FixtureRequest) -> Transcript:
    return golden.read(request.param)


def needs_mathematics(domain: str) -> None:
    if domain == "science":
        pytest.importorskip("mpmath")


async def test_a_transcript_is_replayed(transcript: Transcript) -> None:
    needs_mathematics(transcript["configuration"]["domain"])
    replies = Replay(transcript)
    ended = await golden.replay(transcript, replies)
    assert ended == transcript["outcome"], STALE
    assert replies.unused == [], STALE
    assert ended["took"]["calls"] == len(transcript["calls"])


def test_a_transcript_is_fit_to_be_kept(transcript: Transcript) -> None:
    assert golden.unfit(transcript) == ""
    domain = DOMAINS[transcript["configuration"]["domain"]]
    asked = Counter(call["role"] for call in transcript["calls"])
    silent = {"verifier"} if domain.kind == "verifiable" else set()  # code compares what code can compare
    assert set(asked) >= set(domain.roles) - silent
    text = (golden.FOLDER / f"{domain.name}.json").read_text("utf-8")
    assert text == golden.written(transcript)
    assert '"created_at"' not in text


def test_there_is_one_for_each_domain() -> None:
    assert sorted(path.stem for path in golden.FOLDER.glob("*.json")) == sorted(DOMAINS)


def reworded(pack: PromptPack, role: str) -> PromptPack:
    """Return a pack in which a role's prompt ends with one more sentence."""
    longer = replace(pack[role], user=f"{pack[role].user.rstrip()}\n{PELICANS}")
    return replace(pack, prompts={**pack.prompts, role: longer})


@pytest.mark.parametrize("role", ["challenger", "quality_verifier", "weak_solver", "verifier"])
async def test_a_changed_prompt_is_reported(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = reworded(DOMAINS["cs"].pack(), role)
    monkeypatch.setattr(Domain, "pack", lambda self: pack)
    transcript = golden.read("cs")
    with pytest.raises(StaleTranscript) as stale:
        await golden.replay(transcript, Replay(transcript))
    head, *diff, last = str(stale.value).split("\n")
    assert head == f"tests/golden/cs.json: {role}: this prompt was never recorded"
    assert last == f"If this is meant, type: {COMMAND}"
    assert [line for line in diff if line[0] in "+-"] == ["--- recorded", "+++ asked", f"+{PELICANS}"]


async def test_another_seed_is_reported() -> None:
    transcript = golden.read("facts")
    seed = transcript["configuration"]["seed"]
    transcript["configuration"]["seed"] = seed + 1
    with pytest.raises(StaleTranscript, match=r"challenger: this prompt was never recorded(?s:.*)\n\+\[seed \d+\]\n"):
        await golden.replay(transcript, Replay(transcript))


async def test_a_reply_is_read_by_the_schema_it_was_recorded_for() -> None:
    transcript = golden.read("cs")
    call = next(call for call in transcript["calls"] if call["role"] == "quality_verifier")
    transcript["schemas"][call["schema"]]["json_schema"]["schema"]["properties"]["leaks"]["type"] = "string"
    with pytest.raises(
        StaleTranscript, match=r"quality_verifier: its reply was recorded for another schema(?s:.*)leaks"
    ):
        await golden.replay(transcript, Replay(transcript))


async def test_a_reply_is_read_by_the_schema_of_its_call() -> None:
    transcript = golden.read("cs")
    call = next(call for call in transcript["calls"] if call["role"] == "quality_verifier")
    call["schema"] = transcript["calls"][0]["schema"]
    with pytest.raises(StaleTranscript, match="quality_verifier: its reply was recorded for another schema"):
        await golden.replay(transcript, Replay(transcript))


def test_a_reply_is_given_once() -> None:
    transcript = golden.read("cs")
    replies, call = Replay(transcript), transcript["calls"][0]
    wanted: Any = transcript["schemas"][call["schema"]]
    assert replies.take(call, wanted) is call
    assert len(replies.unused) == len(transcript["calls"]) - 1
    with pytest.raises(StaleTranscript, match="challenger: the same prompt with the same seed"):
        replies.take(call, wanted)


async def test_an_unused_reply_and_another_outcome_are_seen() -> None:
    transcript = golden.read("facts")
    spare = {**json.loads(json.dumps(transcript["calls"][0])), "seed": seed_for("spare")}
    transcript["calls"].append(spare)
    replies = Replay(transcript)
    assert await golden.replay(transcript, replies) == transcript["outcome"]
    assert replies.unused == [f"challenger, seed {spare['seed']}"]


async def test_another_reply_ends_otherwise() -> None:
    transcript = golden.read("facts")
    answers = [call for call in transcript["calls"] if call["role"] == "strong_solver"]
    answers[-1]["reply"] = ["I do not know."]
    with pytest.raises(StaleTranscript, match="verifier: this prompt was never recorded"):
        await golden.replay(transcript, Replay(transcript))


@pytest.mark.slow
async def test_recording_gives_what_is_replayed() -> None:
    kept = golden.read("facts")
    made = await golden.record(kept["document"], kept["configuration"])
    assert golden.written(made) == golden.written(kept), f"type: {COMMAND}"
