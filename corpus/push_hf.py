"""Sending accepted examples to a dataset of the Hugging Face Hub: the folder of format `hf`, as one commit."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.corpus.exporters.folder import MANIFEST, manifest_of
from autodata.corpus.exporters.hf import FORMAT, hf_files
from autodata.corpus.exporters.rows import ExampleRow, ExportSet
from autodata.corpus.push import Clean, Pushed, one_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TOKEN: Final = "HF_TOKEN"  # noqa: S105 - the name of a variable
ADDRESS: Final = "https://huggingface.co"
NEEDED: Final = "pushing to the Hugging Face Hub needs huggingface_hub: pip install 'autodata-langgraph[hf,export]'"

_OURS: Final = re.compile(r"data/(train|test|validation)-00000-of-00001\.parquet")
"""Files of an earlier push, which had other splits."""
MOVED_ON: Final = 412
"""What the Hub answers to a commit whose parent is no longer the latest."""
_MADE_WITH_A_REPOSITORY: Final = frozenset({".gitattributes"})


def hub_address() -> str:
    """Return where the Hub is: HF_ENDPOINT, or the public one."""
    return (os.environ.get("HF_ENDPOINT") or ADDRESS).rstrip("/")


def pushed_files(data: ExportSet, clean: Clean) -> dict[str, bytes]:
    """Return the files of a push, by path: Parquet by split, the card and the manifest, without keys."""
    splits = {name: [cast("ExampleRow", clean(dict(row))) for row in rows] for name, rows in data.splits.items()}
    files = hf_files(replace(data, splits=splits))
    whole = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    return {**whole, MANIFEST: manifest_of(FORMAT, whole).encode()}


def push_hf(
    files: Mapping[str, bytes], rows: int, dataset: str, clean: Clean = lambda value: value, *, private: bool = True
) -> Pushed:
    """Make a dataset hold exactly these files, made if need be; what is there already is not sent again.

    One commit upon what was there as the push began: readers see all of it or none, and two pushes do not mix.
    Raises UserError without HF_TOKEN or huggingface_hub, for a name that is
    none, and for a dataset that is public or holds something else; RunFailed when the Hub does not answer or refuses.
    """
    try:
        from httpx2 import HTTPError as TransportError  # noqa: PLC0415 - the client's own
        from huggingface_hub import HfApi  # noqa: PLC0415 - an extra
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError  # noqa: PLC0415 - the same
    except ImportError as error:
        raise UserError(NEEDED) from error

    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise UserError(f"{TOKEN} is not set: export {TOKEN}=... with a token that may write, and push again")
    address = hub_address()
    api = HfApi(endpoint=address, token=token)
    try:
        return _push(api, files, rows, dataset, private=private)
    except HFValidationError as error:
        raise UserError(f"dataset {ascii(dataset)[:100]}: {one_line(str(error))}: choose another --dataset") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in {401, 403}:
            raise UserError(
                f"the Hub at {address} refuses the token in {TOKEN} for {dataset} (HTTP {status}): use one that may"
                " write there"
            ) from error
        if status == MOVED_ON:
            raise RunFailed(f"{dataset}: somebody else pushed meanwhile, and nothing was sent: push again") from error
        what = error.server_message or f"HTTP {status}"
        raise RunFailed(_reported(address, str(clean(what)))) from error
    except (OSError, ValueError, LookupError, RuntimeError, TransportError) as error:
        raise RunFailed(_reported(address, str(clean(f"{type(error).__name__}: {error}")))) from error


def _push(api: HfApi, files: Mapping[str, bytes], rows: int, dataset: str, *, private: bool) -> Pushed:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, RepoFile  # noqa: PLC0415 - an extra

    name = api.create_repo(dataset, repo_type="dataset", private=private, exist_ok=True).repo_id
    head = api.repo_info(name, repo_type="dataset")
    hidden = bool(head.private)
    if private and not hidden:
        raise UserError(f"{name} is there already and public: push with --public, or choose another --dataset")
    there = {
        entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
        for entry in api.list_repo_tree(name, repo_type="dataset", recursive=True, revision=head.sha)
        if isinstance(entry, RepoFile)
    }
    if MANIFEST not in there and (others := sorted(there.keys() - _MADE_WITH_A_REPOSITORY)):
        raise UserError(f"{name} holds other files than an export ({', '.join(others[:3])}): choose another --dataset")
    where = f"Hugging Face dataset {name}, {'private' if hidden else 'public'}"
    changed = [path for path, content in files.items() if there.get(path) not in _names_of(content)]
    stale = [path for path in there if _OURS.fullmatch(path) and path not in files]
    if not changed and not stale:
        return Pushed(0, rows, where)
    operations: list[Any] = [CommitOperationAdd(path, files[path]) for path in sorted(changed)]
    operations += [CommitOperationDelete(path) for path in sorted(stale)]
    # Of two pushes at once the second is refused: what it would have left alone is no longer what is there.
    api.create_commit(
        name,
        operations,
        commit_message=f"{rows:,} examples of Autodata",
        repo_type="dataset",
        parent_commit=head.sha,
    )
    return Pushed(rows, 0, where)


def _names_of(content: bytes) -> tuple[str, str]:
    """Return what the Hub knows a file by: the SHA-256 of a large one, git's name for a small one."""
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return hashlib.sha256(content).hexdigest(), git


def _reported(address: str, what: str) -> str:
    return f"the Hub at {address}: {one_line(what)[:200]}: push again, nothing is sent twice"
