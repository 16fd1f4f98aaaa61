"""What to do with documents before they are used: a table of a run's configuration."""

from __future__ import annotations

import codecs
from typing import Literal

from pydantic import Field, field_validator

from autodata.models.config import Settings
from autodata.runner.rooms import LEAST_CHARS


class DocumentsConfig(Settings):
    """What to do with documents before use."""

    max_chars: int | None = Field(default=None, ge=LEAST_CHARS)
    """Longest document in characters, about four a token. None: what the context of the models that read documents
    leaves where it is known (models.*.context, local.ctx), 60000 at most."""
    chunk: bool | None = None
    """Part a longer document at its headings, each part a document of its own. None: as too_long says where it is set,
    else parted, but for domains that pick passages."""
    max_chunks: int = Field(default=20, ge=1, le=10_000)
    """Parts of one document that are taken, the first ones; what is left out is said."""
    too_long: Literal["cut", "refuse"] = "cut"
    """Cut a longer document that is not parted at a paragraph, with a note, or refuse it."""
    text_field: str = Field(default="text", min_length=1)
    """The key of a record, or column of a table, that holds a document's text."""
    title_field: str = Field(default="title", min_length=1)
    """The one that holds its title, if there is any."""
    id_field: str = Field(default="id", min_length=1)
    """The one that holds its id, by which it is called and known when its text has changed."""
    encoding: str = ""
    """The encoding of text files that are no Unicode, for instance latin-1. Empty: guessed where there is no doubt."""
    reader: int = Field(default=2, ge=1, le=2)
    """How files are read: 1 as the first reader did, of .txt, .md, .pdf and .jsonl alone. Folders begun so go on so."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        try:
            if name:
                codecs.lookup(name)
        except LookupError as error:
            raise ValueError(f"unknown encoding {name!r}: write for instance latin-1, cp1252 or shift_jis") from error
        return name
