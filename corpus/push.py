"""Sending accepted examples elsewhere. Each target takes an example once, however often it is pushed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.records import Example
from autodata.corpus.exporters.rows import plain_row

if TYPE_CHECKING:
    from langsmith import Client

NAMESPACE: Final = UUID("6f6a3f0e-5a0c-4d55-9b1e-0a6f0a7d7c11")
"""What ids of pushed examples are derived within. A change of it would push everything anew."""

BATCH = 100
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


def push_langsmith(examples: Iterable[Example], dataset: str, clean: Clean = lambda value: value) -> Pushed:
    """Put examples into a LangSmith dataset, made if need be; those that are there already stay as they are.

    Raises UserError without LANGSMITH_API_KEY, and RunFailed when LangSmith does not answer or refuses.
    """
    from langsmith import Client, utils  # noqa: PLC0415 - half a second that other commands need not wait for
    from requests import RequestException  # noqa: PLC0415 - comes with langsmith

    if not (os.environ.get("LANGSMITH_API_KEY") or os.environ.get("LANGCHAIN_API_KEY")):
        raise UserError("LANGSMITH_API_KEY is not set: export LANGSMITH_API_KEY=... and push again")
    client = Client(auto_batch_tracing=False)
    try:
        return _pushed(client, [clean(_row(example, dataset)) for example in examples], dataset)
    except (utils.LangSmithError, RequestException) as error:
        raise RunFailed(
            f"LangSmith at {client.api_url}: {_brief(error)}: push again, nothing is pushed twice"
        ) from error
    finally:
        client.close(timeout=0)


TARGETS: Final[Mapping[str, Callable[[Iterable[Example], str, Clean], Pushed]]] = {"langsmith": push_langsmith}
"""What `autodata push` offers: each takes examples, the name of a dataset, and what blacks out keys."""


def _pushed(client: Client, rows: Sequence[dict[str, Any]], dataset: str) -> Pushed:
    if client.has_dataset(dataset_name=dataset):
        dataset_id = client.read_dataset(dataset_name=dataset).id
    else:
        made = client.create_dataset(dataset, description="Accepted examples of Autodata.")
        dataset_id = made.id
    known = {example.id for example in client.list_examples(dataset_id=dataset_id)}
    new = [row for row in rows if row["id"] not in known]
    for first in range(0, len(new), BATCH):
        client.create_examples(dataset_id=dataset_id, examples=new[first : first + BATCH])
    return Pushed(len(new), len(rows) - len(new), f"LangSmith dataset {dataset}")


def _row(example: Example, dataset: str) -> dict[str, Any]:
    """Return an example as LangSmith has it: what is asked, what is right, and all else as metadata."""
    row: dict[str, Any] = dict(plain_row(example))
    inputs = {name: row.pop(name) for name in INPUTS if row.get(name)}
    outputs = {name: row.pop(name) for name in OUTPUTS if row.get(name)}
    metadata = {
        name: value for name, value in row.items() if value not in (None, "", []) and name not in INPUTS + OUTPUTS
    }
    return {"id": pushed_id(example, dataset), "inputs": inputs, "reference_outputs": outputs, "metadata": metadata}


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:199]}…"
