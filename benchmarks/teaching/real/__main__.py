"""Does the data teach a real small model? `python -m benchmarks.teaching.real` does what its plan says.

The plan is docs/teaching-plan-real.md. `make teach-real` does it in the environment of `make teach`, and writes
docs/teaching-real.json and its part of docs/teaching.md. What is done already is not done again. `--tiny` takes two
steps of every arm on examples of simulated models, in a folder of its own, into which its JSON goes: it shows that all
of it runs, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.teaching import page
from benchmarks.teaching.real import figures
from benchmarks.teaching.real.arms import Place, Scale, run
from benchmarks.teaching.real.examples import Models

TINY = Scale(paragraphs=7, steps=2, batch=2, seeds=(1,), models=Models(strong="simulated:judge"), anything=True)


def main() -> None:
    """Read the options, do what is left to do, and write JSON and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/teaching-real"), help="where all work lies")
    parser.add_argument("--tiny", action="store_true", help="two steps of every arm; no page is written")
    parser.add_argument("--paragraphs", type=int, help="fewer paragraphs than planned, which the page then says")
    given = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    scale = TINY if given.tiny else Scale()
    if given.paragraphs:
        scale = replace(scale, paragraphs=given.paragraphs)
    folder, began = given.folder, time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    # More paragraphs go on with the examples that are made; trained models were trained on other ones.
    whole, known = json.dumps({"scale": asdict(scale)}, indent=1), folder / "scale.json"
    if any(folder.glob("* [0-9]*.json")) and known.exists() and known.read_text("utf-8") != whole:
        parser.error(f"{folder} holds models of another scale: give another --folder, or remove it")
    known.write_text(whole, "utf-8")

    def said(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    run(Place(folder, scale, said))
    if given.tiny:
        figures.write(folder, folder / "teaching-real.json")
        figures.part(figures.summed(folder))  # that it can be written
        said(f"all arms took their steps: {folder / 'teaching-real.json'}")
        return
    figures.write(folder, figures.JSON)
    page.write()
    said("docs/teaching-real.json and docs/teaching.md are written")


if __name__ == "__main__":
    main()
