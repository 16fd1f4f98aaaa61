"""Does the data teach? `python -m benchmarks.teaching` trains every arm of every seed and writes docs/teaching.md.

`make teach` does it in an environment of its own. What is done already is not done again. `--tiny` takes a few steps of
everything in a folder of its own, into which its JSON goes: it shows that all of it runs, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.teaching import page
from benchmarks.teaching.arms import Scale, held_out, rates, seed_of, solver
from benchmarks.teaching.decoder import STRONG, WEAK
from benchmarks.teaching.summary import summed, write

TINY = Scale(
    examples=8,
    steps=2,
    held=4,
    curve=2,
    seeds=(1,),
    untaught=True,
    weak=replace(WEAK, width=16, layers=1, steps=3),
    strong=replace(STRONG, width=16, layers=1, steps=3),
)


def _all(waiting: Iterable[Future[None]]) -> None:
    for one in [*waiting]:
        one.result()


def main() -> None:
    """Read the options, do what is left to do, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/teaching"), help="where all work lies")
    parser.add_argument("--tiny", action="store_true", help="a few steps of everything; no page is written")
    parser.add_argument("--processes", type=int, default=2, help="seeds side by side")
    parser.add_argument("--seeds", type=int, nargs="*", help="some of the seeds only")
    given = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    scale, folder, began = TINY if given.tiny else Scale(), given.folder, time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    whole = json.dumps({"scale": asdict(scale)}, indent=1)
    known = folder / "scale.json"
    if known.exists() and known.read_text("utf-8") != whole:
        parser.error(f"{folder} holds the work of another scale: give another --folder, or remove it")
    known.write_text(whole, "utf-8")

    def said(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    seeds = given.seeds or scale.seeds
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.processes, mp_context=spawn) as pool:
        trained = [("weak", scale.weak, 100), ("strong", scale.strong, 101)]
        _all(pool.submit(solver, folder, *each) for each in trained)
        pool.submit(held_out, folder, scale).result()
        said("the solvers are trained and the held-out sets made")
        said(f"learning rates: {pool.submit(rates, folder, scale).result()}")
        _all(pool.submit(seed_of, folder, scale, seed) for seed in seeds)
    if given.tiny:
        (folder / "teaching.json").write_text(json.dumps(summed(folder), indent=1) + "\n", "utf-8")
        said(f"all arms took their steps: {folder / 'teaching.json'}")
        return
    write(folder)
    page.write()
    said("docs/teaching.json and docs/teaching.md are written")


if __name__ == "__main__":
    main()
