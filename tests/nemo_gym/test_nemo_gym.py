"""The export for NeMo Gym by its own data check, in an environment of its own, which `make nemo` makes."""

from __future__ import annotations

from pathlib import Path

from autodata import generate
from autodata.examples import documents_folder
from tests.exports.test_libraries import script


def test_nemo_gym_takes_every_line(tmp_path: Path) -> None:
    models = {"default": "simulated:strong", "weak_solver": "simulated:weak"}
    result = generate(documents_folder(), models=models, out=tmp_path / "run", progress=False)
    assert len(result) >= 3
    result.export(tmp_path / "nemo-gym", format="nemo-gym", split="0.6/0.4")
    found = script("nemo_gym_lines.py", "nemo-gym", tmp_path / "nemo-gym")
    assert found["splits"].keys() == {"train", "test"}
    assert sum(count for count, _ in found["splits"].values()) == len(result)
    assert [refused for _, refused in found["splits"].values()] == [0, 0]
    assert found["refuses broken"]
