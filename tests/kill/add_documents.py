"""Adds documents from JSON lines on standard input, and answers each with a line once it was asked for.

python -m tests.kill.add_documents FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

from autodata.checkpoints.records import Document
from autodata.runner.config import RunConfig
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents


def documents() -> Iterator[Document]:
    for line in sys.stdin:
        sys.stdout.write("taken\n")
        sys.stdout.flush()
        yield Document.model_validate_json(line)


async def main(folder: Path) -> None:
    default = {"provider": "simulated", "model": "strong"}
    async with open_runner(RunConfig.model_validate({"models": {"default": default}}), folder) as runner:
        await add_documents(runner.ledger, documents())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
