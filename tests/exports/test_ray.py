"""The Ray example on a cluster of this machine alone: its workers do a run, and end by themselves."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.kill.test_kill import KEY
from tests.kill.test_kill_workers import AUTODATA, DOCUMENTS, VARIABLE, ended, journal, results_of, site

ROOT = Path(__file__).parents[2]
SECONDS = 300


async def test_the_workers_of_a_ray_cluster_do_a_run(tmp_path: Path) -> None:
    async with site(tmp_path / "ray") as one:
        watching = await one.watch()
        await one.put_in()
        environment = {
            **os.environ,
            KEY: "ray",
            VARIABLE: one.server.dsn,
            "AUTODATA_COMMAND": str(AUTODATA),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        launcher = await asyncio.create_subprocess_exec(
            ROOT / ".venvs" / "ray" / "bin" / "python",
            ROOT / "examples" / "ray" / "workers.py",
            "2",
            cwd=one.folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(SECONDS):
            output, _ = await launcher.communicate()
        assert launcher.returncode == 0, output.decode()
        assert await ended(watching) == 0, one.said("watch")
        assert output.decode().count("ended with exit code 0") == 2
        assert len(results_of(one)) == DOCUMENTS
        assert one.asked() == journal(one)
        assert set(one.chat.asked) == {"ray"}
        assert len(one.rows("SELECT * FROM autodata.workers")) == 2
