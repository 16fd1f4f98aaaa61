"""Make examples from the shipped documents with a real model on this machine: `python examples/make_examples.py`.

It fetches 1.1 GB once, and needs `pip install 'autodata-langgraph[local]'`. Other models, as `provider:model`:
`python examples/make_examples.py openai:gpt-5 openai:gpt-5-nano`.
"""

from __future__ import annotations

import sys

from autodata.examples import documents_folder
from autodata.jobs.generate import generate

LOCAL = "local:qwen2.5-coder-1.5b"


def main(model: str = LOCAL, weak_model: str = "") -> None:
    """Make up to three examples of the domain `facts` in at most five minutes, and print them."""
    result = generate(
        documents_folder(),
        domain="facts",
        models={"default": model, "weak_solver": weak_model or model},
        target=3,
        max_rounds=5,
        max_seconds=300,
        concurrency=2,
    )
    print(result)
    for example in result:
        print(f"{example['question']}\n  {example['reference_answer']}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
