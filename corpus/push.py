"""Sending accepted examples elsewhere. Each target takes an example once, however often it is pushed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.records import Example
from autodata.checkpoints.texts import json_text
from autodata.corpus.exporters.rows import plain_row

if TYPE_CHECKING:
    from langsmith import Client

NAMESPACE: Final = UUID("6f6a3f0e-5a0c-4d55-9b1e-0a6f0a7d7c11")
"""What ids of pushed examples are derived within. A change of it would push everything anew."""

BATCH, BATCH_CHARS = 100, 4_000_000
"""So many examples a request, and fewer where their texts are long: LangSmith takes 20 MB at once."""

MAX_REPEATED = 1000
"""Examples listed twice before a list counts as one without end: while somebody else pushes, pages may overlap."""

CARD: Final = "Accepted examples of Autodata."
"""What a dataset is described by where there is no card."""

INPUTS, OUTPUTS = ("question", "context"), ("reference_answer", "rubric")


@dataclass(frozen=True)
class Pushed:
    """What a push did. `where` is what a person looks for afterwards."""

    new: int
    known: int
    where: str


def pushed_id(example: Example, dataset: str) -> UUID:
    """Return an example's id in a dataset: the same every time, and another in another dataset."""
    return uuid5(NAMESPACE, f"{dataset}/{example.example_id}")


Clean = Callable[[Any], Any]
"""Returns plain JSON values without what must not leave the machine."""


def push_langsmith(
    examples: Iterable[Example], dataset: str, clean: Clean = lambda value: value, card: str = CARD
) -> Pushed:
    """Put examples into a LangSmith dataset, made if need be; those that are there already stay as they are.

    `card` describes a dataset that is made.

    Raises UserError without LANGSMITH_API_KEY or for a name that is no text, and RunFailed when LangSmith does not
    answer, refuses, or answers something else than LangSmith does.
    """
    from langsmith import Client  # noqa: PLC0415 - half a second that other commands need not wait for

    if not (os.environ.get("LANGSMITH_API_KEY") or os.environ.get("LANGCHAIN_API_KEY")):
        raise UserError("LANGSMITH_API_KEY is not set: export LANGSMITH_API_KEY=... and push again")
    return _push(Client(auto_batch_tracing=False), examples, dataset, clean, card)


TARGETS: Final = ("langsmith", "hf")
"""What `autodata push` offers."""


def _push(client: Client, examples: Iterable[Example], dataset: str, clean: Clean, card: str = CARD) -> Pushed:
    """Push with a client, and close it. What the endpoint says of an error is cleaned before it is shown."""
    from langsmith import utils  # noqa: PLC0415 - the same
    from requests import RequestException  # noqa: PLC0415 - the same

    # What the client raises for answers that are none of LangSmith's: a wrong shape, a wrong type, no end of brackets.
    odd = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
    try:
        if not dataset.strip() or not dataset.isprintable():
            said = ascii(dataset)[:100]
            raise UserError(f"dataset {said}: a name is one line of visible text: choose another with --dataset")
        rows = [clean(_row(example, dataset)) for example in examples]
        try:
            return _pushed(client, rows, dataset, str(clean(card)))
        except (utils.LangSmithError, RequestException) as error:
            what: object = error
            raise RunFailed(_reported(client, what, clean)) from error
        except odd as error:
            what = f"it does not answer as LangSmith does ({type(error).__name__}): check LANGSMITH_ENDPOINT"
            raise RunFailed(_reported(client, what, clean)) from None
    finally:
        client.close(timeout=0)


def _reported(client: Client, what: object, clean: Clean) -> str:
    """Return why nothing more was pushed: on one line, without keys and what a terminal acts on."""
    text = one_line(clean(str(what)))
    brief = text if len(text) <= 200 else f"{text[:199]}…"
    return f"LangSmith at {one_line(clean(client.api_url))}: {brief}: push again, nothing is pushed twice"


def one_line(text: str) -> str:
    """Return a text on one line, without what a terminal acts on."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))


def _pushed(client: Client, rows: Sequence[dict[str, Any]], dataset: str, card: str) -> Pushed:
    if client.has_dataset(dataset_name=dataset):
        dataset_id = client.read_dataset(dataset_name=dataset).id
    else:
        made = client.create_dataset(dataset, description=card)
        dataset_id = made.id
    known: set[UUID] = set()
    repeated = 0
    for example in client.list_examples(dataset_id=dataset_id):
        repeated += example.id in known
        if repeated > MAX_REPEATED:
            raise ValueError("a list without end")
        known.add(example.id)
    new = [row for row in rows if row["id"] not in known]
    for batch in _batches(new):
        client.create_examples(dataset_id=dataset_id, examples=batch)
    return Pushed(len(new), len(rows) - len(new), f"LangSmith dataset {dataset}")


def _batches(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield rows in order, at most BATCH and, unless one alone is longer, BATCH_CHARS characters of JSON at a time."""
    batch: list[dict[str, Any]] = []
    chars = 0
    for row in rows:
        long = len(json_text({name: value for name, value in row.items() if name != "id"}))
        if batch and (len(batch) == BATCH or chars + long > BATCH_CHARS):
            yield batch
            batch, chars = [], 0
        batch.append(row)
        chars += long
    if batch:
        yield batch


def _row(example: Example, dataset: str) -> dict[str, Any]:
    """Return an example as LangSmith has it: what is asked, what is right, and all else as metadata."""
    row: dict[str, Any] = dict(plain_row(example))
    inputs = {name: row.pop(name) for name in INPUTS if row.get(name)}
    outputs = {name: row.pop(name) for name in OUTPUTS if row.get(name)}
    metadata = {
        name: value for name, value in row.items() if value not in (None, "", []) and name not in INPUTS + OUTPUTS
    }
    return {"id": pushed_id(example, dataset), "inputs": inputs, "reference_outputs": outputs, "metadata": metadata}
