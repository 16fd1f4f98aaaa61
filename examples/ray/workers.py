"""Start workers on a Ray cluster, one a processor, and wait until no run has anything left to do.

    python examples/ray/workers.py 16

Ray places the processes, starts one that died anew, and does no more: documents, leases and budgets are in Postgres.
Each worker takes keys and the database's address from the environment that Ray was started with on its machine, so none
of them is sent anywhere. The command `autodata` must be there; AUTODATA_COMMAND names another path.
"""

from __future__ import annotations

import os
import subprocess
import sys

import ray


@ray.remote(num_cpus=1, max_retries=3)
def work(number: int) -> tuple[int, int]:
    """Be one worker until nothing is left to do; return its number and its exit code."""
    command = os.environ.get("AUTODATA_COMMAND", "autodata")
    with subprocess.Popen([command, "worker", "--once"]) as worker:  # noqa: S603 - the person's own command
        try:
            return number, worker.wait()
        finally:  # cancelled: it hands back what it holds
            worker.terminate()


def main() -> int:
    """Start as many workers as the first argument says; return 1 if one of them failed."""
    ray.init(log_to_driver=False)
    left, failed = [work.remote(number) for number in range(int(sys.argv[1]))], 0
    while left:
        [done], left = ray.wait(left)
        number, code = ray.get(done)
        failed += code != 0
        print(f"worker {number} ended with exit code {code}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
