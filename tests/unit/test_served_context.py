"""What a caller of a served graph may choose, and what it comes to."""

from __future__ import annotations

from typing import Any

import pytest

from autodata.checkpoints.errors import UserError
from autodata.domains.acceptance.policies import PRESETS, Counts, LoopJudge, Thresholds
from autodata.domains.domain import CS, LEGAL, SCIENCE, Domain
from autodata.prompts.roles import EDITABLE
from autodata.runner.config import read_config
from autodata.serving.context import (
    GatedContext,
    LoopContext,
    SearchContext,
    ServedContext,
    context_schema,
    pack_for,
    policy_for,
    read_context,
)
from autodata.serving.runtime import SIMULATED

SECRET = "sk-do-not-repeat"


def read(domain: Domain = CS, **given: Any) -> ServedContext:
    return read_context(context_schema(domain, LoopContext if domain.loop_judge else GatedContext), given)


def test_an_empty_context_is_the_domains_own() -> None:
    assert policy_for(CS, read(), None) == PRESETS["paper"]
    assert policy_for(SCIENCE, read(SCIENCE), None) == PRESETS["counts"]
    assert isinstance(policy_for(LEGAL, read(LEGAL), None), LoopJudge)
    assert policy_for(CS, read(), "meta") == PRESETS["meta"]
    assert policy_for(CS, read(acceptance="deployed"), "meta") == PRESETS["deployed"]
    assert read().prompts()["challenger"] == CS.pack()["challenger"].text
    assert pack_for(CS, CS.pack(), read().prompts(), "none") == CS.pack()


def test_bounds_of_ones_own_lie_over_the_preset() -> None:
    policy = policy_for(CS, read(weak_mean="> 0.10, < 0.40", gap=">= 0.30"), None)
    assert isinstance(policy, Thresholds)
    assert list(map(str, policy.weak_mean)) == ["> 0.10", "< 0.40"]
    assert list(map(str, policy.strong_mean)) == [">= 0.65"]
    assert list(map(str, policy.gap)) == [">= 0.30"]
    counted = policy_for(SCIENCE, read(SCIENCE, weak_right=0), None)
    assert isinstance(counted, Counts)
    assert (counted.weak_right, counted.strong_right) == (0, 3)
    over = policy_for(CS, read(gap=">= 0.10"), {"preset": "paper", "weak_mean": "< 0.30"})
    assert isinstance(over, Thresholds)
    assert [str(*bound) for bound in (over.weak_mean, over.gap)] == ["< 0.30", ">= 0.10"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"base_url": SECRET}, "context.base_url"),
        ({"api_key": SECRET}, "context.api_key"),
        ({"provider": SECRET}, "context.provider"),
        ({"max_rounds": SECRET}, "context.max_rounds"),
        ({"challenger_model": {"extra_body": SECRET}}, "context.challenger_model"),
        ({"acceptance": SECRET}, "context.acceptance"),
    ],
)
def test_a_refusal_names_the_field_and_repeats_no_value(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        read(**given)
    assert str(caught.value).startswith(said)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_schema_of_its_own_repeats_no_value_either() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - whatever it says
        context_schema(CS, GatedContext).model_validate({"base_url": SECRET})
    assert SECRET not in str(caught.value)


def test_what_a_server_puts_beside_a_context_is_not_read() -> None:
    beside = read(thread_id="t", langgraph_auth_user=None, __event_streaming_v2=True)
    assert beside.model_dump() == read().model_dump()


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "-1", "0"])
def test_a_number_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(UserError, match=r"^context\.selection_temperature: "):
        read_context(context_schema(CS, SearchContext), {"selection_temperature": float(value)})
    for bound in ("weak_mean", "weak_best", "strong_mean", "gap"):
        if value in {"inf", "-inf", "nan"}:
            values: Any = {bound: f"< {value}"}
            with pytest.raises(UserError, match="is no bound"):
                policy_for(CS, read(**values), None)


def test_locked_prompts_stay_the_servers() -> None:
    shipped = CS.pack()
    for role in (*CS.roles, "feedback"):
        own = {role: shipped[role].text.replace("# user\n", "# user\nMore.\n", 1)}
        assert pack_for(CS, shipped, own, "all")[role].version != shipped[role].version
        with pytest.raises(UserError, match=r"prompts = 'none'"):
            pack_for(CS, shipped, own, "none")
        if role in EDITABLE:
            assert pack_for(CS, shipped, own, "editable").version != shipped.version
        else:
            with pytest.raises(UserError, match=r"prompts = 'editable'"):
                pack_for(CS, shipped, own, "editable")


def test_a_prompt_must_fit_its_role_and_its_domain() -> None:
    shipped = CS.pack()
    text = shipped["verifier"].text
    blind = text.replace('"criteria", ', "").replace("{{criteria}}", "")
    assert blind != text
    with pytest.raises(UserError, match=r"\{\{criteria\}\} is missing"):
        pack_for(CS, shipped, {"verifier": blind}, "all")
    with pytest.raises(UserError, match=r"context.screen_prompt: domain cs has no such role"):
        pack_for(CS, shipped, {"screen": "text"}, "all")


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        ('[serve.profiles."a b"]\nmodel = "m"', "is no name of a profile"),
        ('[serve.profiles.configured]\nmodel = "m"', "stands for a role's own settings"),
        ('[serve.profiles.x]\nkey = "m"', "unknown key"),
    ],
)
def test_profiles_are_checked_with_the_configuration(serve: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_config(serve, "server")


def test_the_simulated_configuration_is_one() -> None:
    config = read_config(SIMULATED, "simulated")
    assert set(config.serve.profiles) == {"simulated-weak", "simulated-strong"}
    assert {settings.provider for settings in config.roles().values()} == {"simulated"}
