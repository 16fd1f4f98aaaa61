"""The three splits of a search's documents: what holds them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import whole_id
from autodata.checkpoints.records import Document
from autodata.checkpoints.shingles import ShingleIndex

SPLITS = ("train", "validate", "test")
FLAGS: Mapping[str, str] = {split: f"--{split}" for split in SPLITS}
"""What each split is called on a command line."""


def require_splits(splits: Mapping[str, Sequence[Document]]) -> None:
    """Raise UserError unless there are documents to train and to validate with, and none is in two splits."""
    for split in ("train", "validate"):
        if not splits.get(split):
            raise UserError(f"no documents to {split} with: give --{split} PATH")
    seen: dict[str, tuple[str, str]] = {}
    for split, documents in splits.items():
        for document in documents:
            # Parts of one document are alike, whichever of them are in a split.
            other, name = seen.setdefault(whole_id(document.document_id), (split, document.name))
            if other != split:
                raise UserError(
                    f"{document.name} is in --{other} (as {name}) and in --{split}: keep held-out documents out"
                )


def near_copies(splits: Mapping[str, Sequence[Document]], named: Mapping[str, str] = FLAGS) -> list[str]:
    """Return a line for every document that is nearly one of another split: what is held back must not be known.

    `named` is what each split is called where the documents were given.
    """
    index: ShingleIndex[tuple[str, str]] = ShingleIndex()
    found = []
    for split, documents in splits.items():
        for document in documents:
            other = index.nearest(document.text)
            if other is not None:
                name, of = other[1], other[0]
                found.append(
                    f"{document.name} of {named[split]} is nearly the same as {name} of {named[of]}: a held-out score"
                    " that rests on it flatters; leave one of them out"
                )
        for document in documents:
            index.add((split, document.name), document.text)
    return found


def require_same(known: Mapping[str, Sequence[str]], splits: Mapping[str, Sequence[Document]]) -> None:
    """Raise UserError for splits other than those that a search began with."""
    for split, documents in splits.items():
        if documents and [document.document_id for document in documents] != list(known[split]):
            raise UserError(
                f"--{split} names other documents than this search began with: use another --out, or leave it out"
            )
