"""Several judges: how findings become one, who is asked in doubt, orders of criteria, families of models."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from autodata.domains.acceptance.panel import agreed, escalated
from autodata.domains.acceptance.rubric_score import rubric_score
from autodata.domains.domain import CS
from autodata.domains.tasks.base import Scored
from autodata.domains.tasks.schemas import CriterionMark, ReferenceMark, SupportReview
from autodata.domains.tasks.shuffle import restored, shuffled
from autodata.models.config import ModelSettings
from autodata.models.families import family_of, judges_akin
from autodata.runner.config import RunConfig, read_config, stored_config
from autodata.runner.fingerprint import differences
from tests.graph.support import candidate

CRITERIA = [("a", 4), ("b", 6), ("c", -5)]


def finding(*met: bool, said: str = "seen") -> Scored:
    return Scored(rubric_score([weight for _, weight in CRITERIA], met), met, tuple(f"{said} {k}" for k in range(3)))


def test_a_majority_decides_each_criterion_and_its_split_is_said() -> None:
    found = agreed(
        [finding(True, True, False), finding(True, False, False, said="no"), finding(True, False, False)],
        CRITERIA,
        "majority",
    )
    assert found.scored.met == (True, False, False)
    assert found.scored.score == Fraction(4, 10)
    assert found.doubtful == (1,)
    assert found.scored.reasons == ("seen 0", "[1 of 3 findings: met] no 1", "seen 2")


def test_by_the_mean_a_criterion_counts_by_the_share_that_finds_it_met() -> None:
    found = agreed([finding(True, True, False), finding(True, False, True)], CRITERIA, "mean")
    assert found.scored.score == (4 + Fraction(6, 2) - Fraction(5, 2)) / 10
    assert found.scored.met == (True, False, False)
    assert found.doubtful == (1, 2)


def test_a_score_that_is_no_sum_of_weights_is_taken_from_the_scores() -> None:
    own = [Scored(Fraction(k, 10), (True, True, False), ()) for k in (1, 5, 9)]
    assert agreed(own, CRITERIA, "majority").scored.score == Fraction(1, 2)
    assert agreed(own[:2], CRITERIA, "majority").scored.score == Fraction(1, 10)
    assert agreed(own[:2], CRITERIA, "mean").scored.score == Fraction(3, 10)


def test_the_larger_judge_is_heard_on_what_is_in_doubt_alone() -> None:
    found = agreed([finding(True, True, False), finding(True, False, False)], CRITERIA, "majority")
    whole = escalated(found, finding(False, True, True, said="larger"), CRITERIA)
    assert whole.met == (True, True, False)
    assert whole.score == 1
    assert whole.reasons == ("seen 0", "the larger judge: larger 1", "seen 2")


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=7))
def test_findings_alike_are_one_finding(rows: list[tuple[bool, bool, bool]]) -> None:
    alike = [finding(*rows[0])] * len(rows)
    for rule in ("majority", "mean"):
        found = agreed(alike, CRITERIA, rule)
        assert (found.scored, found.doubtful) == (alike[0], ())
    assert 0 <= agreed([finding(*row) for row in rows], CRITERIA, "mean").scored.score <= 1


@given(st.integers())
def test_a_shuffled_rubric_comes_back_in_its_order(seed: int) -> None:
    task_type = CS.scorer
    whole = task_type.candidate(candidate(1))
    other, order = shuffled(whole, seed)
    texts = [text for text, _ in task_type.criteria(other)]
    assert sorted(texts) == sorted(text for text, _ in task_type.criteria(whole))
    met = tuple(text.endswith(("1 of rubric 1", "4 of rubric 1")) for text in texts)
    back = restored(Scored(Fraction(1), met, tuple(texts)), order)
    assert back.reasons == tuple(text for text, _ in task_type.criteria(whole))
    assert back.met == tuple(text.endswith(("1 of rubric 1", "4 of rubric 1")) for text in back.reasons)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("Qwen/Qwen3.5-4B", "qwen"),
        ("qwq-32b", "qwen"),
        ("gpt-5-mini", "gpt"),
        ("openai/o3", "gpt"),
        ("claude-opus-5", "claude"),
        ("accounts/x/models/mixtral-8x7b", "mistral"),
        ("Llama-4-Scout", "llama"),
        ("4711", ""),
    ],
)
def test_families_are_known_by_names(model: str, family: str) -> None:
    assert family_of(model) == family


def roles(**models: str) -> dict[str, ModelSettings]:
    return {role: ModelSettings(model=model) for role, model in models.items()}


def test_a_judge_of_a_solvers_family_is_warned_of() -> None:
    said = judges_akin(roles(weak_solver="qwen3.5-4b", strong_solver="kimi-k2.6", verifier="Qwen/Qwen3.5-397B"))
    assert said.startswith("verifier (Qwen/Qwen3.5-397B) and weak_solver (qwen3.5-4b) are of one family")
    assert "judges.panel" in said
    assert not judges_akin(roles(weak_solver="qwen3.5-4b", strong_solver="kimi-k2.6", verifier="gpt-5"))
    assert "judge_2" in judges_akin(roles(strong_solver="kimi-k2.6", verifier="gpt-5", judge_2="kimi-vl"))
    simulated = {role: ModelSettings(provider="simulated", model="x") for role in ("weak_solver", "verifier")}
    assert not judges_akin(simulated)


@pytest.mark.parametrize(
    ("schema", "verdict"), [(CriterionMark, "met"), (ReferenceMark, "correct"), (SupportReview, "supported")]
)
def test_a_judge_gives_its_reason_before_its_verdict(schema: type[BaseModel], verdict: str) -> None:
    names = list(schema.model_json_schema()["properties"])
    assert names[-1] == verdict
    assert any(name == "reason" or name.endswith("_says") for name in names[:-1])


PANEL = """
[models.default]
provider = "simulated"
model = "strong"
[models.weak_solver]
model = "weak"
[judges]
asks = 2
panel = [{model = "second", temperature = 0.5}]
larger = {model = "large"}
"""


def test_further_judges_are_roles_and_a_folder_reads_them_back(tmp_path: Any) -> None:
    config = read_config(PANEL, "here")
    found = config.roles()
    assert (found["judge_2"].model, found["judge_2"].provider, found["judge_2"].temperature) == (
        *("second", "simulated"),
        0.5,
    )
    assert found["judge_larger"].temperature == found["verifier"].temperature == 0
    kept = config.resolved("v")
    (tmp_path / "config.toml").write_text(tomli_w.dumps(kept), "utf-8")
    again = stored_config(tmp_path / "config.toml").resolved("v")
    assert not differences(kept, again)
    assert again["judges"] == kept["judges"]
    other = read_config(PANEL.replace("second", "third"), "here").resolved("v")
    assert differences(kept, other) == ["models.judge_2.model: second -> third"]
    assert "judges" not in read_config(PANEL.partition("[judges]")[0], "here").resolved("v")


@pytest.mark.parametrize("judges", [{"asks": 0}, {"panel": [{"samples": 0}]}, {"rule": "mode"}])
def test_judges_that_cannot_be_meant_are_refused(judges: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunConfig.model_validate({"judges": judges})
