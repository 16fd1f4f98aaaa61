"""Settings that change calls: numbers without end, one endpoint of many roles, attempts alike, code of one's own."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langgraph.runtime import Runtime

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.records import Decision, Stage
from autodata.domains.acceptance.policies import PRESETS, Counts, Measure, Planned, Ruling, Thresholds
from autodata.domains.domain import CS
from autodata.domains.tasks import plugin
from autodata.models.config import ModelSettings
from autodata.models.factory import Pool, connect
from autodata.nodes.context import Context
from autodata.nodes.solver_modes import attempts_alike
from autodata.nodes.state import State
from autodata.nodes.step import Step
from autodata.runner.config import RunConfig, read_config
from autodata.runner.fingerprint import changes, fingerprint

MODELS = '[models.default]\nprovider = "simulated"\nmodel = "m"\n'


@pytest.mark.parametrize("number", ["inf", "-inf", "nan", "-1.0"])
@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("budget", "max_usd"),
        ("budget", "max_seconds"),
        ("retries", "base_seconds"),
        ("retries", "max_seconds"),
        ("retries", "retry_after_max_seconds"),
        ("models.verifier", "timeout"),
        ("models.verifier", "price_in"),
        ("models.verifier", "price_out"),
        ("models.verifier", "temperature"),
        ("models.verifier", "top_p"),
        ("simulated", "spread"),
    ],
)
def test_a_number_that_is_none_is_refused_in_one_line(table: str, key: str, number: str) -> None:
    with pytest.raises(UserError) as refused:
        read_config(f"{MODELS}[{table}]\n{key} = {number}\n", "a.toml")
    assert f"{table}.{key}: " in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("models.verifier", "extra_body = { top_k = inf }"),
        ("models.verifier", "extra_body = { a = { b = [1, nan] } }"),
        ("models.verifier", "max_tokens = 99999999999999999999"),
        ("simulated", "abilities = { weak = nan, strong = 1.6 }"),
        ("simulated", "abilities = { weak = 1.0, strong = inf }"),
    ],
)
def test_so_it_is_at_any_depth(table: str, line: str) -> None:
    with pytest.raises(UserError, match=line.partition(" ")[0]):
        read_config(f"{MODELS}[{table}]\n{line}\n", "a.toml")


async def test_the_least_concurrency_of_roles_that_come_one_by_one_counts() -> None:
    one, two = (ModelSettings(model="m", base_url="http://h.test/v1", max_concurrency=n) for n in (8, 3))
    other = ModelSettings(model="m", base_url="http://H.test:80/v1/", max_concurrency=5)
    async with AsyncExitStack() as stack:
        pool = Pool()
        endpoints = [
            (await connect({"verifier": settings}, stack, pool=pool))["verifier"].endpoint
            for settings in (one, two, other, one)
        ]
        assert len(set(map(id, endpoints))) == 1
        assert endpoints[0].slots.limit == 3


@pytest.mark.parametrize(
    ("models", "warned"),
    [
        ({"default": {"temperature": 0}}, ["weak_solver", "strong_solver"]),
        ({"default": {"temperature": 0}, "weak_solver": {"temperature": 0.7}}, ["strong_solver"]),
        ({"verifier": {"temperature": 0}, "challenger": {"temperature": 0}}, []),
        ({"default": {"temperature": 0.1}}, []),
        ({"default": {"temperature": 0, "provider": "simulated"}}, []),
    ],
)
def test_attempts_that_are_all_alike_are_named(models: dict[str, Any], warned: list[str]) -> None:
    tables = {**models, "default": {"model": "m", **models.get("default", {})}}
    config = RunConfig.model_validate({"models": tables})
    warning = attempts_alike(config.chosen_domain, config.roles())
    assert [role for role in ("weak_solver", "strong_solver") if f"models.{role}.temperature" in warning] == warned
    assert "\n" not in warning
    single = CS.model_copy(update={"weak_attempts": 1, "strong_attempts": 1})
    assert attempts_alike(single, config.roles()) == ""


@pytest.mark.parametrize("curtail", [True, False])
@pytest.mark.parametrize("weak", range(7))
@pytest.mark.parametrize("strong", range(7))
def test_no_ruling_that_decides_nothing_asks_for_nothing(weak: int, strong: int, curtail: bool) -> None:
    """Also where more attempts were made than are planned now."""
    planned = Planned(3, 2, curtail)
    for policy in (
        *PRESETS.values(),
        Counts(weak_right=1, strong_right=2),
        Thresholds.model_validate({"gap": ">= 0.2"}),
        Measure(),
    ):
        for score in (Fraction(0), Fraction(1, 2), Fraction(1)):
            ruling = policy.rule([score] * weak, [score] * strong, planned)
            assert ruling.decision not in {Decision.MORE, Decision.STRONG} or ruling.more > 0
            assert ruling.more >= 0
            assert replace(ruling).stage in Stage


def test_changed_code_of_a_kind_changes_what_a_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugin, "load_task_type", lambda spec: None)
    (tmp_path / "essay_kind.py").write_text("from essay_help import WEIGHT\nimport json\nKind = WEIGHT\n")
    (tmp_path / "essay_help.py").write_text("WEIGHT = 1\n")
    (tmp_path / "unused.py").write_text("x = 1\n")
    before = plugin.code_of("essay_kind:Kind")
    assert before.startswith("essay_kind:Kind ")
    (tmp_path / "unused.py").write_text("x = 2\n")
    assert plugin.code_of("essay_kind:Kind") == before
    for changed in ("essay_help.py", "essay_kind.py"):
        file = tmp_path / changed
        file.write_text(file.read_text() + "# and more\n")
        after = plugin.code_of("essay_kind:Kind")
        assert after != before
        before = after
    assert plugin.code_of("rubric") == ""


def test_the_refusal_of_changed_code_names_it() -> None:
    resolved = RunConfig.model_validate({"models": {"default": {"model": "m"}}}).resolved("v")
    one, other = (
        fingerprint({**resolved, "domain_settings": {**resolved["domain_settings"], "code": f"essay:Kind {code}"}})
        for code in ("1a2b", "3c4d")
    )
    assert changes(one, other) == ["domain.code: essay:Kind 1a2b -> essay:Kind 3c4d"]


@pytest.mark.parametrize(
    ("decision", "more"), [(Decision.MORE, 0), (Decision.MORE, -1), (Decision.STRONG, 0), (Decision.STRONG, -3)]
)
def test_a_policy_that_neither_decides_nor_asks_is_an_error(decision: Decision, more: int) -> None:
    class Idle(Measure):
        def rule(self, *scores: Any) -> Ruling:
            return Ruling(decision, Stage.WEAK, more=more)

    services: Any = SimpleNamespace(policy=Idle(name="idle"), domain=CS)
    step = Step(State(candidate=None, attempts=[]), Runtime(context=Context(services)))
    with pytest.raises(ValueError, match=rf"'idle' decides nothing on 0 weak and 0 strong scores and asks for {more}"):
        step.ruling([])
