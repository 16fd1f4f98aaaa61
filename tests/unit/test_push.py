"""Pushing examples: hostile texts arrive as they are, odd answers and refusals are one line without keys."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any
from uuid import uuid4

import pytest
from langsmith import Client
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.records import Example
from autodata.corpus.push import BATCH, BATCH_CHARS, Pushed, pushed_id
from autodata.corpus.push import _push as push
from autodata.tracing.redact import REDACTED, Redactor

# The client looks its host's name up for what it reports of itself, and does without.
pytestmark = pytest.mark.filterwarnings("ignore:A test tried to use socket.gethostbyname")
KEY = "lsv2_pt_0123456789abcdef0123456789abcdef_0123456789"
ADDRESS = "http://ann:pass-word@langsmith.invalid"
NOW = "2026-01-01T00:00:00+00:00"
HOSTILE = [
    "\x1b]0;title\x07\x1b[2J",
    "../../etc/passwd",
    "a/b\\c:d",
    "\u202eabc\u2066",
    "\u2028\u2029\x85",
    "\x00\x08\x7f",
    '"}], "x": [{"',
    "\ufeff\u200b",
    "\U0001f600 \u0e33\ufdfa",
    "--boundary\r\nContent-Disposition: form-data",
    "%s %(x)s {x} {{x}} ${x}",
]


def example(number: int, text: str = "What is it?", **more: Any) -> Example:
    candidate = {"question": text, "reference_answer": text, "context": text}
    values: dict[str, Any] = {"example_id": f"{number:016x}", "document_id": "d" * 16, "document_name": text}
    scores = {"weak_scores": (Fraction(0),), "strong_scores": (Fraction(1),), "gap": Fraction(1)}
    means = {"weak_mean": Fraction(0), "strong_mean": Fraction(1)}
    rest = {"domain": "cs", "candidate_id": "c", "rounds": 1, "preset": "x", "checks": (), "prompt_version": "v"}
    return Example.model_validate(values | scores | means | rest | {"candidate": candidate, "models": {}} | more)


class Endpoint(BaseAdapter):
    """What answers in place of LangSmith: `answer` returns the body of a status, from a request's method and path."""

    def __init__(self, answer: Callable[[str, str, bytes], tuple[int, bytes]]) -> None:
        super().__init__()
        self.answer = answer
        self.requests: list[tuple[str, str, bytes]] = []

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        content: Any = request.body or b""
        content = content.read() if hasattr(content, "read") else content
        body: bytes = content.encode() if isinstance(content, str) else content
        asked = (str(request.method), str(request.path_url), body)
        self.requests.append(asked)
        response = Response()
        response.status_code, response._content = self.answer(*asked)
        response.request, response.url = request, str(request.url)
        response.headers = CaseInsensitiveDict({"Content-Type": "application/json"})
        return response

    def close(self) -> None:
        pass


class Service:
    """An endpoint that does what LangSmith does."""

    def __init__(self) -> None:
        self.dataset: dict[str, Any] | None = None
        self.examples: dict[str, dict[str, Any]] = {}
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        found = self.answers(method, path.partition("?")[0], json.loads(body) if body else {})
        return (404, b"{}") if found is None else (200, json.dumps(found).encode())

    def answers(self, method: str, path: str, body: Any) -> Any:
        match method, path:
            case "GET", "/info":
                return {"version": "0.16.0", "instance_flags": {}, "batch_ingest_config": None}
            case "GET", "/settings":
                return {"id": str(uuid4()), "display_name": "x", "created_at": NOW}
            case "GET", "/datasets":
                return [self.dataset] if self.dataset else []
            case "POST", "/datasets":
                times = {"created_at": NOW, "modified_at": NOW, "tenant_id": str(uuid4())}
                self.dataset = {**body, "id": str(uuid4()), **times}
                return self.dataset
            case "GET", "/examples":
                return list(self.examples.values())
            case "POST", "/examples/bulk":
                self.sizes.append((len(body), sum(len(json.dumps(one)) for one in body)))
                made = [{**one, "created_at": NOW, "modified_at": NOW, "source_run_id": None} for one in body]
                self.examples |= {one["id"]: one for one in made}
                return made
        return None


def client_of(answer: Callable[[str, str, bytes], tuple[int, bytes]]) -> Client:
    client = Client(api_url=ADDRESS, api_key=KEY, auto_batch_tracing=False)
    for scheme in ("http://", "https://"):
        client.session.mount(scheme, Endpoint(answer))
    return client


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_API_KEY", KEY)


def pushing(
    service: Callable[[str, str, bytes], tuple[int, bytes]], *examples: Example, dataset: str = "set"
) -> Pushed:
    return push(client_of(service), examples, dataset, Redactor().clean)


def test_hostile_texts_arrive_as_they_are() -> None:
    service = Service()
    examples = [example(number, text) for number, text in enumerate(HOSTILE)]
    assert pushing(service, *examples).new == len(HOSTILE)
    for one, text in zip(examples, HOSTILE, strict=True):
        row = service.examples[str(pushed_id(one, "set"))]
        assert row["inputs"] == {"question": text, "context": text}
        assert row["outputs"] == {"reference_answer": text}
        assert row["metadata"]["document_name"] == text
    again = pushing(service, *examples)
    assert (again.new, again.known) == (0, len(HOSTILE))


def test_a_text_with_half_a_character_is_pushed_and_the_others_too() -> None:
    service = Service()
    assert pushing(service, example(1, "a\ud800b"), example(2)).new == 2
    assert {one["inputs"]["question"] for one in service.examples.values()} >= {"What is it?"}


def test_keys_in_texts_and_names_stay_here() -> None:
    service = Service()
    pushing(service, example(1, f"see {KEY}", models={KEY: KEY}))
    assert KEY not in json.dumps(service.examples)
    assert REDACTED in json.dumps(service.examples)


@pytest.mark.slow
def test_long_examples_go_in_small_requests() -> None:
    service = Service()
    pushing(service, *(example(number, "x" * (BATCH_CHARS // 10)) for number in range(9)), *map(example, range(9, 300)))
    assert sum(count for count, _ in service.sizes) == 300
    assert all(count <= BATCH for count, _ in service.sizes)
    assert max(chars for _, chars in service.sizes) < 1.2 * BATCH_CHARS
    alone = Service()
    pushing(alone, example(1), example(2, "x" * BATCH_CHARS), example(3))
    assert [count for count, _ in alone.sizes] == [1, 1, 1]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[2Jb", "a\u202eb", "a\udcffb", "a\x00b"])
def test_a_name_that_is_no_line_of_text_is_refused_before_anything_is_sent(name: str) -> None:
    def never(*_: object) -> tuple[int, bytes]:
        raise AssertionError("asked")

    with pytest.raises(UserError, match="choose another with --dataset") as refused:
        pushing(never, example(1), dataset=name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["../a/b", "a & b?c=d#e", 'x","y', "\u540d\u524d", "%2e%2e"])
def test_any_other_name_is_one_name(name: str) -> None:
    service = Service()
    pushing(service, example(1), dataset=name)
    assert service.dataset is not None
    assert service.dataset["name"] == name


GARBAGE: Mapping[str, bytes] = {
    "nothing": b"",
    "no JSON": b"<html>\x1b[2J bad gateway </html>",
    "null": b"null",
    "a number": b"7",
    "a text": b'"ok"',
    "a list of nulls": b"[null]",
    "a list of numbers": b"[1, 2]",
    "an empty object": b"{}",
    "objects without fields": b"[{}]",
    "a wrong id": b'[{"id": "../x", "name": "set", "created_at": "never"}]',
    "no Unicode": b"\xff\xfe\xfd",
    "deep": b"[" * 200_000,
    "a key": json.dumps([{"id": KEY, "name": KEY, "created_at": KEY}]).encode(),
}


@pytest.mark.parametrize("path", ["/datasets", "/examples", "/examples/bulk", "/info", "/settings"])
@pytest.mark.parametrize("what", GARBAGE)
def test_what_answers_with_something_else_is_one_line(path: str, what: str) -> None:
    service = Service()

    def answer(method: str, asked: str, body: bytes) -> tuple[int, bytes]:
        return (200, GARBAGE[what]) if asked.partition("?")[0] == path else service(method, asked, body)

    try:
        pushed = pushing(answer, example(1))
    except RunFailed as error:
        said = str(error)
        assert said.isprintable()
        assert len(said) < 400
        assert "push again, nothing is pushed twice" in said
        assert KEY not in said
        assert "pass-word" not in said
    else:  # what was answered there decides nothing
        assert pushed.new == len(service.examples) == 1 or path == "/examples/bulk"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 429, 500, 503])
def test_a_refusal_that_repeats_the_key_is_reported_without_it(status: int) -> None:
    said = json.dumps({"detail": f"no \x1b[31m such key {KEY}\u202e" + "x" * 10_000}).encode()
    with pytest.raises(RunFailed) as failed:
        pushing(lambda *_: (status, said), example(1))
    assert KEY not in str(failed.value)
    assert KEY[:20] not in str(failed.value)
    assert "pass-word" not in str(failed.value)
    assert str(failed.value).isprintable()
    assert len(str(failed.value)) < 400


@pytest.mark.slow
def test_a_list_without_end_ends() -> None:
    service = Service()
    pushing(service, example(1))
    (row,) = service.examples.values()

    def answer(method: str, asked: str, body: bytes) -> tuple[int, bytes]:
        endless = (method, asked.partition("?")[0]) == ("GET", "/examples")
        return (200, json.dumps([row] * 100).encode()) if endless else service(method, asked, body)

    with pytest.raises(RunFailed, match="does not answer as LangSmith does"):
        pushing(answer, example(2))


@pytest.mark.slow
def test_a_megabyte_of_anything_is_one_line_within_a_second() -> None:
    for piece in ("\x1b[", "sk-", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----", "://a:", "bearer  ", " ", "\u202e"):
        said = json.dumps({"detail": piece * (1_000_000 // len(piece))}).encode()
        started = time.process_time()
        with pytest.raises(RunFailed):
            pushing(lambda *_, said=said: (400, said), example(1))
        assert time.process_time() - started < 1, piece
