"""Check the lines of an export by NeMo Gym's own data check: `nemo_gym_lines.py FOLDER`.

The last line holds, by split, how many lines there are and how many the check refuses, and whether it refuses one that
is broken.
"""

import json
import sys
from pathlib import Path

from nemo_gym.base_resources_server import BaseRunRequest
from nemo_gym.train_data_utils import compute_sample_metrics

found = {"splits": {}}
for file in sorted(Path(sys.argv[1]).glob("*.jsonl")):
    texts = file.read_text("utf-8").splitlines()
    requests = [BaseRunRequest.model_validate_json(text) for text in texts]
    refused = sum(compute_sample_metrics(text)[1] for text in texts)
    found["splits"][file.stem] = [len(requests), refused]
row = json.loads(texts[0])
row["responses_create_params"]["input"] = 3
found["refuses broken"] = compute_sample_metrics(json.dumps(row))[1]
print(json.dumps(found))
