"""A stand-in for the Hugging Face Hub, as huggingface_hub's client talks to it: datasets with commits and large files.

It answers in place of a connection: `with Hub().connected() as hub:`. Large files go by the LFS protocol; the newer
chunk store is a native client's of its own, and is off meanwhile.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from unittest.mock import patch

import httpx2
from huggingface_hub import constants, set_client_factory

TOKEN = "hf_" + "a" * 34
ADDRESS = "http://hub.invalid"


@dataclass
class Dataset:
    """One dataset: its files, and each commit's message with what it wrote and deleted."""

    private: bool
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"*.parquet filter=lfs\n"})
    commits: list[tuple[str, list[str], list[str]]] = field(default_factory=list)

    @property
    def head(self) -> str:
        """The name of the latest commit."""
        return f"{len(self.commits):040x}"


class Hub:
    """The service; `fails` is the HTTP status of every commit, where one is set.

    With `meanwhile` somebody else commits just before the next commit arrives.
    """

    def __init__(self) -> None:
        self.datasets: dict[str, Dataset] = {}
        self.requests: list[str] = []
        self.stored: dict[str, bytes] = {}
        self.fails = 0
        self.down = False
        self.meanwhile = False

    @contextmanager
    def connected(self) -> Iterator[Self]:
        """Answer every request of huggingface_hub."""
        set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(self._answer)))
        try:
            with patch.object(constants, "HF_HUB_DISABLE_XET", new=True):
                yield self
        finally:
            set_client_factory(httpx2.Client)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        if self.down:
            raise httpx2.ConnectError("connection refused", request=request)
        if request.url.path.startswith("/large/"):
            return self._large(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return httpx2.Response(401, json={"error": "Invalid credentials"}, request=request)
        status, content = self._found(request)
        return httpx2.Response(status, json=content, request=request)

    def _large(self, request: httpx2.Request) -> httpx2.Response:
        content = request.read()
        self.stored[hashlib.sha256(content).hexdigest()] = content
        return httpx2.Response(200, request=request)

    def _found(self, request: httpx2.Request) -> tuple[int, Any]:
        path, body = request.url.path, request.read()
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if found := re.fullmatch(r"/datasets/(.+)\.git/info/lfs/objects/batch", path):
            return 200, {"transfer": "basic", "objects": [_upload(one) for one in json.loads(body)["objects"]]}
        found = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/(tree|preupload|commit)/(?:main|[0-9a-f]{40}))?", path)
        if not found or found[1] not in self.datasets:
            return 404, {"error": "Repository not found"}
        dataset = self.datasets[found[1]]
        match found[2]:
            case None:
                about = {"id": found[1], "sha": dataset.head, "private": dataset.private}
                return 200, {**about, "tags": [], "downloads": 0, "likes": 0}
            case "tree":
                return 200, [_entry(name, content) for name, content in dataset.files.items()]
            case "preupload":
                return 200, {"files": [_mode(one, dataset) for one in json.loads(body)["files"]]}
            case _:
                return self._commit(dataset, [json.loads(line) for line in body.splitlines()])

    def _create(self, asked: dict[str, Any]) -> tuple[int, Any]:
        name = f"{asked.get('organization') or 'ann'}/{asked['name']}"
        answer = {"url": f"{ADDRESS}/datasets/{name}", "name": name}
        if name in self.datasets:
            return 409, {"error": "You already created this dataset repo", **answer}
        self.datasets[name] = Dataset(bool(asked.get("private") or asked.get("visibility") == "private"))
        return 200, answer

    def _commit(self, dataset: Dataset, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        if self.fails:
            return self.fails, {"error": f"no room, token {TOKEN}"}
        if self.meanwhile:
            self.meanwhile = False
            dataset.commits.append(("somebody else's", [], []))
        if lines[0]["value"].get("parentCommit") not in {None, dataset.head}:
            return 412, {"error": "A commit has happened since. Please refresh and try again."}
        message, wrote, deleted = "", [], []
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "header":
                    message = value["summary"]
                case "file":
                    dataset.files[value["path"]] = base64.b64decode(value["content"])
                    wrote.append(value["path"])
                case "lfsFile":
                    dataset.files[value["path"]] = self.stored[value["oid"]]
                    wrote.append(value["path"])
                case "deletedFile":
                    del dataset.files[value["path"]]
                    deleted.append(value["path"])
        dataset.commits.append((message, wrote, deleted))
        return 200, {"success": True, "commitOid": "c" * 40, "commitUrl": f"{ADDRESS}/datasets/x/y/commit/{'c' * 40}"}


def _git_name(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _is_large(path: str) -> bool:
    return path.endswith(".parquet")


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": _git_name(content)}
    if _is_large(path):
        pointer = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        entry |= {"oid": "f" * 40, "lfs": pointer}
    return entry


def _mode(asked: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    path = asked["path"]
    there = dataset.files.get(path)
    mode = "lfs" if _is_large(path) else "regular"
    return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": there and _git_name(there)}


def _upload(asked: dict[str, Any]) -> dict[str, Any]:
    return {**asked, "actions": {"upload": {"href": f"{ADDRESS}/large/{asked['oid']}"}}}
