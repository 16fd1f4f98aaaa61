"""Run an exported task by Inspect with mock models: `inspect_task.py FOLDER`."""

import json
import sys
from pathlib import Path

from inspect_ai import eval as run
from inspect_ai.model import ModelOutput, ModelUsage, get_model

root = Path(sys.argv[1])
sys.path.insert(0, str(root))

import task  # noqa: E402 - the export's own


def said(text):
    """Return a model's output; without its usage a tokenizer would be fetched."""
    output = ModelOutput.from_content("mockllm/model", text)
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return output


rows = [json.loads(line) for line in (root / "data" / "train.jsonl").read_text("utf-8").splitlines()]
marks = [
    json.dumps({"marks": [{"number": n, "met": n % 2 == 1} for n in range(1, len(json.loads(row["rubric"])) + 1)]})
    for row in rows
]
solver = get_model("mockllm/model", custom_outputs=[said("An answer.") for _ in rows])
grader = get_model("mockllm/grader", custom_outputs=[said(text) for text in marks])
[log] = run(
    task.autodata(),
    model=solver,
    model_roles={"grader": grader},
    log_dir=str(root / "logs"),
    display="none",
    max_samples=1,
)
scores = {sample.id: sample.scores["criteria"].value for sample in log.samples}
print(json.dumps({"status": log.status, "scores": scores}))
