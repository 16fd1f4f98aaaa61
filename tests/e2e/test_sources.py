"""Documents from elsewhere: addresses of a server of this machine, and data sets saved to folders."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from autodata.checkpoints.records import Document, Skipped
from autodata.corpus import away
from autodata.corpus.documents import read_documents
from autodata.corpus.loaders.base import Fields, Reading

pytestmark = pytest.mark.enable_socket

PAGE = b"<html><body><main><h1>The mast</h1><p>Of oak.</p></main></body></html>"
ANSWERS: dict[str, tuple[int, str, bytes]] = {
    "/page": (200, "text/html; charset=utf-8", PAGE),
    "/notes.md": (200, "application/octet-stream", b"# Gaff\n\nOf iron."),
    "/rows.jsonl.gz": (200, "application/gzip", gzip.compress(b'{"text": "One."}\n{"text": "Two."}\n')),
    "/bare": (200, "", b'{"text": "Bare."}\n'),
    "/moved": (302, "/notes.md", b""),
    "/round": (302, "/round", b""),
    "/gone": (404, "text/html", b"<h1>no</h1>"),
    "/large": (200, "text/plain", b"x" * 2000),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, kind, body = ANSWERS[self.path.partition("?")[0]]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", kind)
        elif kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base
        """Say nothing."""


@contextmanager
def served() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def read(*sources: str | Path, fields: Fields | None = None) -> list[Document | Skipped]:
    return list(read_documents(sources, reading=Reading(fields or Fields())))


def texts(found: list[Document | Skipped]) -> list[str]:
    return [item.text if isinstance(item, Document) else f"{item.name}: {item.reason}" for item in found]


def test_addresses_are_read_by_name_type_and_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(away, "MOST_BYTES", 1000)
    with served() as root:
        found = read(f"{root}/page", Path(f"{root}/notes.md?token=secret"), f"{root}/rows.jsonl.gz", f"{root}/bare")
        assert texts(found) == ["# The mast\n\nOf oak.", "# Gaff\n\nOf iron.", "One.", "Two.", "Bare."]
        page, notes, *_ = found
        assert isinstance(page, Document)
        assert isinstance(notes, Document)
        assert (page.title, page.name, page.source) == ("The mast", f"{root}/page", f"{root}/page")
        assert (notes.title, notes.name, notes.source) == ("Gaff", f"{root}/notes.md", f"{root}/notes.md")
        assert texts(read(f"{root}/moved")) == ["# Gaff\n\nOf iron."]
        assert texts(read(*(f"{root}/{path}" for path in ("gone", "large")))) == [
            f"{root}/gone: cannot be fetched: 404 Not Found",
            f"{root}/large: cannot be fetched: it has more than 1,000 bytes",
        ]
        [round_trip] = texts(read(f"{root}/round"))
        assert round_trip.startswith(f"{root}/round: cannot be fetched: Exceeded")
    [refused] = texts(read(f"{root}/page"))
    assert refused.startswith(f"{root}/page: cannot be fetched: ")


@pytest.mark.filterwarnings("ignore")
def test_data_sets_are_read_from_folders(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"text": ["One.", "Two."], "id": ["a", "b"], "body": ["Eins.", "Zwei."]}
    train, test = (
        datasets.Dataset.from_dict(rows),
        datasets.Dataset.from_dict({"text": ["Three."], "id": ["c"], "body": [""]}),
    )
    datasets.DatasetDict(train=train, test=test).save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "files" / "data").mkdir(parents=True)
    train.to_parquet(str(tmp_path / "files" / "data" / "train-00000-of-00001.parquet"))
    test.to_parquet(str(tmp_path / "files" / "data" / "test-00000-of-00001.parquet"))
    test.save_to_disk(str(tmp_path / "one"))
    assert texts(read(tmp_path / "saved")) == ["One.", "Two.", "Three."], "a saved folder needs no hf://"
    assert texts(read(tmp_path / "one")) == ["Three."]
    for name in ("saved", "files"):
        address = f"hf://{tmp_path / name}"
        found = read(address)
        assert texts(found) == ["One.", "Two.", "Three."], name
        assert [item.name for item in found] == ["a", "b", "c"]
        assert texts(read(Path(f"{address}@test"))) == ["Three."], name
        [missing] = texts(read(f"{address}@nothing"))
        assert missing.endswith("no split 'nothing': there are train, test"), missing
        assert texts(read(address, fields=Fields(text="body")))[:2] == ["Eins.", "Zwei."]
        [wrong] = texts(read(address, fields=Fields(text="prose")))
        assert 'no "prose" among its keys "text", "id", "body"' in wrong
