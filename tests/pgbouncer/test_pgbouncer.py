"""A run through PgBouncer in transaction mode makes what it makes with a file, where PgBouncer is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.test_postgres_ledger import DOCUMENTS, SHARED, SIMULATED, VARIABLE
from tests.support.postgres import PASSWORD, UNPRIVILEGED, postgres
from tests.support.runs import run_session

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
CONNECTIONS = 3
"""Server connections that all clients share: fewer than a run opens, so that transactions change between them."""
pytestmark = [
    pytest.mark.xdist_group("postgres"),
    pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed: apt-get install pgbouncer"),
]


@contextmanager
def pooled(server: Path) -> Iterator[str]:
    """Run PgBouncer before a server's socket; give the address of its database `postgres`."""
    with tempfile.TemporaryDirectory(prefix="pgb-", dir="/tmp") as made:  # a socket's path must be short
        folder = Path(made)
        settings = (
            "[databases]",
            f"* = host={server} user=autodata password={PASSWORD}",
            "[pgbouncer]",
            f"unix_socket_dir = {folder}",
            "listen_addr =",
            "listen_port = 6432",
            "auth_type = any",
            "pool_mode = transaction",
            f"default_pool_size = {CONNECTIONS}",
            "max_client_conn = 100",
        )
        (folder / "pgbouncer.ini").write_text("\n".join(settings) + "\n", "utf-8")
        for path in (folder, folder / "pgbouncer.ini"):
            path.chmod(0o777)
        as_whom = ["-u", UNPRIVILEGED] if os.geteuid() == 0 else []
        with subprocess.Popen([str(PROGRAM), *as_whom, str(folder / "pgbouncer.ini")], stderr=subprocess.PIPE) as proxy:
            try:
                limit = time.monotonic() + 20
                while not (folder / ".s.PGSQL.6432").exists() and proxy.poll() is None and time.monotonic() < limit:
                    time.sleep(0.05)
                assert proxy.poll() is None, proxy.stderr and proxy.stderr.read().decode()
                yield f"postgresql://autodata:any@/postgres?host={folder}&port=6432"
            finally:
                proxy.terminate()


async def test_a_run_through_it_makes_what_it_makes_with_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await run_session(tmp_path / "file", SIMULATED, DOCUMENTS)
    with postgres() as server, pooled(server.folder) as dsn:
        monkeypatch.setenv(VARIABLE, dsn)
        shared = await run_session(tmp_path / "shared", SHARED, DOCUMENTS)
    del file.tables["meta"], shared.tables["meta"]
    assert file.tables == shared.tables
