"""`autodata baseline`: the paper's baseline, CoT Self-Instruct: one round, nothing refused for its scores."""

from __future__ import annotations

from pathlib import Path

from autodata.cli.run import (
    Concurrency,
    ConfigFile,
    Documents,
    DomainName,
    DryRun,
    IdField,
    Limit,
    MaxCalls,
    MaxSeconds,
    MaxTokens,
    MaxUsd,
    More,
    Out,
    Pilot,
    StatusJson,
    TextField,
    TitleField,
    bounds,
    fields,
    find_settings,
    finish,
    foresee,
)


def baseline(
    documents: Documents = None,
    more: More = None,
    out: Out = Path("baseline"),
    config: ConfigFile = None,
    domain: DomainName = None,
    concurrency: Concurrency = None,
    limit: Limit = None,
    text_field: TextField = None,
    title_field: TitleField = None,
    id_field: IdField = None,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
    max_seconds: MaxSeconds = None,
    dry_run: DryRun = False,
    pilot: Pilot = None,
    as_json: StatusJson = False,
) -> None:
    """Write one question a document and measure both solvers on it: what a run is compared with.

    The configuration is a run's; its acceptance and max_rounds take no part. The same command again resumes.

    Example: autodata baseline --config autodata.toml --documents papers/ --out runs/baseline
    """
    from autodata.runner.config import BaselineConfig

    flags = {
        "domain": domain,
        "concurrency": concurrency,
        "limit": limit,
        **fields(text_field, title_field, id_field),
        **bounds(max_calls, max_tokens, max_usd, max_seconds),
    }
    settings = BaselineConfig.of(find_settings(config, out, flags, BaselineConfig.kind))
    paths = [*(documents or []), *(more or [])]
    if dry_run or pilot:
        foresee(settings, paths, out, dry_run=dry_run, pilot=pilot, as_json=as_json)
    finish(settings, paths, out, as_json=as_json)
