"""Documents from elsewhere: addresses of the web, and data sets by the library `datasets`."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.records import Skipped
from autodata.corpus.loaders.base import INSTALL, File, Loader, Raw, Reading, Unreadable, file_of, one_line, suffix_of
from autodata.corpus.loaders.registry import LOADERS
from autodata.corpus.loaders.tables import require_text, rows
from autodata.corpus.sources import sniffed

MOST_BYTES: Final = 100_000_000
"""Bytes that are fetched of one address at most."""
SECONDS: Final = 60.0
"""Seconds to wait for an address's next bytes."""

_TYPES: Final = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "application/json": "json",
    "text/csv": "csv",
    "text/markdown": "md",
    "text/plain": "md",
}


def require_away(address: str) -> None:
    """Raise UserError for an address that cannot be asked: none at all, or a data set without the library."""
    parts = urlsplit(address)
    if parts.scheme == "hf":
        if not data_set_of(address)[0]:
            raise UserError(f"{address}: write hf://NAME or hf://NAME@SPLIT")
        if importlib.util.find_spec("datasets") is None:
            raise UserError(f"{address}: reading data sets needs datasets: {INSTALL.format(extra='hf')}")
    elif not parts.hostname:
        raise UserError(f"{shown(address)}: no address: write https://HOST/PATH")
    elif parts.username or parts.password:
        raise UserError(f"{shown(address)}: credentials do not belong in an address: fetch the file yourself")


def shown(address: str) -> str:
    """Return an address as it may be shown and kept: without credentials, and without a query that may hold a key."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return one_line(f"{parts.scheme}://{host}{parts.path}")


def fetched(address: str) -> tuple[File, Loader]:
    """Return what stands at an address as a file, and how it is read. Raises Unreadable, and UserError for an extra."""
    import httpx  # noqa: PLC0415 - only this needs it

    data = bytearray()
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=SECONDS, max_redirects=5) as client,
            client.stream("GET", address, headers={"User-Agent": "autodata"}) as response,
        ):
            if response.status_code >= 400:
                raise Unreadable(f"cannot be fetched: {response.status_code} {response.reason_phrase}".rstrip())
            for part in response.iter_bytes():
                data += part
                if len(data) > MOST_BYTES:
                    raise Unreadable(f"cannot be fetched: it has more than {MOST_BYTES:,} bytes")
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    except httpx.HTTPError as error:
        raise Unreadable(f"cannot be fetched: {one_line(str(error)) or type(error).__name__}") from error
    except httpx.InvalidURL as error:
        raise Unreadable(f"no address: {one_line(str(error))}") from error
    named = suffix_of(unquote(urlsplit(address).path))[1:]
    content = bytes(data)
    suffix = named if named in LOADERS else _TYPES.get(kind) or sniffed(content)
    loader = LOADERS[suffix]
    loader.require(shown(address))
    if urlsplit(address).path.lower().endswith(".gz"):
        content = _unpacked(content)
    return file_of(content, shown(address), f".{suffix}"), loader


def _unpacked(data: bytes) -> bytes:
    import gzip  # noqa: PLC0415 - few documents are packed
    import zlib  # noqa: PLC0415 - few documents are packed

    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"damaged gzip file: {one_line(str(error))}") from error


_SPLIT: Final = re.compile(r"@([\w.\[\]:%+-]+)$")


def data_set_of(address: str) -> tuple[str, str, str]:
    """Return the name or folder of a data set, its configuration and its split; empty where they are not given.

    `hf://owner/name/config@split`; a folder of this machine stands in the place of the name.
    """
    name = address.removeprefix("hf://")
    split = match[1] if (match := _SPLIT.search(name)) else ""
    name = name[: match.start()] if match else name
    # An absolute folder may have come as a path, and lost the slash that it begins with.
    if folder := next((one for one in (name, f"/{name}") if name and Path(one).is_dir()), ""):
        return folder, "", split
    owner, slash, rest = name.rstrip("/").partition("/")
    title, _, config = rest.partition("/")
    return f"{owner}{slash}{title}".rstrip("/"), config, split


def data_set(address: str, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield the rows of a data set as records, of all its splits unless one is named. Raises Unreadable."""
    name, config, split = data_set_of(address)
    try:
        for title, found in _splits(name, config, split):
            table, columns = found, found.column_names
            if columns is not None:
                require_text(columns, reading)
                wanted = [column for column in columns if column in {*vars(reading.fields).values()}]
                table = found.select_columns(wanted)
            named = file_of(b"", address if split else f"{address}@{title}", "")
            yield from rows(enumerate(table, 1), named, reading)
    except Unreadable:
        raise
    except Exception as error:  # the library raises what any of its own libraries raises
        raise Unreadable(f"cannot be read: {one_line(str(error)) or type(error).__name__}") from error


def _splits(name: str, config: str, split: str) -> list[tuple[str, Any]]:
    """Return the splits of a data set by their names, in its own order."""
    import datasets  # noqa: PLC0415 - an optional extra

    folder = Path(name)
    if any((folder / file).exists() for file in ("dataset_dict.json", "state.json")):
        found: Any = datasets.load_from_disk(name)
    else:
        found = datasets.load_dataset(name, config or None, streaming=True)
    if not isinstance(found, dict):
        return [(split, found)]
    if split and split not in found:
        raise Unreadable(f"no split {split!r}: there are {', '.join(found)}")
    return [(split, found[split])] if split else [*found.items()]
