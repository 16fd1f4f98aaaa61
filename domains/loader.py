"""A domain of one's own: a folder with `domain.toml` and one prompt per role, checked whole before it is used."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autodata.checkpoints.errors import UserError
from autodata.domains.acceptance.parse import policy_of
from autodata.domains.domain import DOMAINS, Domain
from autodata.domains.tasks.registry import judge_sees
from autodata.models.config import ModelSettings
from autodata.models.validation import problems
from autodata.prompts import PromptPack, load_pack
from autodata.prompts.roles import DATASET_PROMPTED, NEEDED

FILE = "domain.toml"


def find_domain(name_or_path: str) -> Domain:
    """Return a shipped domain by its name, or load the one of a folder: a path, or the name of a folder that exists.

    Raises UserError naming the domains there are, or the file and the key that are wrong.
    """
    if name_or_path in DOMAINS:
        return DOMAINS[name_or_path]
    if is_path(name_or_path):
        return load_domain(Path(name_or_path).expanduser())
    shipped = ", ".join(sorted(DOMAINS))
    raise UserError(f"unknown domain {name_or_path!r}: use one of {shipped}, or ./FOLDER for one of your own")


def is_path(name: str) -> bool:
    """Whether a domain's name is a path: it contains a separator, or a folder of this name exists."""
    separators = {"/", os.sep}
    return bool(name) and (any(sign in name for sign in separators) or os.path.isdir(name))


def load_domain(folder: Path) -> Domain:
    """Return the domain of a folder, whose task type can be imported and whose prompts fit it.

    Raises UserError, in one line, naming the file and the key or the placeholder that is wrong.
    """
    file = folder / FILE
    domain = _domain(folder, file, _values(folder, file))
    try:
        domain.scorer  # noqa: B018 - importing it is the check
    except UserError as error:
        raise UserError(f"{file}: kind: {error}") from error
    require_fitting(domain, load_pack(folder), folder)
    return domain


def require_own_name(name: str, where: str) -> None:
    """Raise UserError when a domain of one's own would be called like a shipped one."""
    if name in DOMAINS:
        raise UserError(f"{where}: name: {name!r} is a domain that comes with the package: choose another name")


def _values(folder: Path, file: Path) -> dict[str, Any]:
    """Read the file's values, with the folder's name where it says none. `schema` is another word for `kind`."""
    if not os.path.isdir(folder):
        raise UserError(f"{folder}: no such domain folder: put it back, or name another with --domain")
    try:
        values = tomllib.loads(file.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise UserError(f"{folder}: holds no {FILE}: write a new domain with 'autodata init --domain NAME'") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file}: not valid TOML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    if "schema" in values:
        if "kind" in values:
            raise UserError(f"{file}: schema: there is a kind already: leave one of the two out")
        values["kind"] = values.pop("schema")
    return {"name": folder.absolute().name, **values}


def _domain(folder: Path, file: Path, values: Mapping[str, Any]) -> Domain:
    try:
        domain = Domain.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{file}: {problems(error, Domain)}") from error
    require_own_name(domain.name, str(file))
    if domain.final_check and not domain.quality_check:
        raise UserError(f"{file}: final_check: it asks the quality verifier: set quality_check = true, or leave it out")
    judged = domain.acceptance == "loop_judge"
    if domain.loop_judge is not judged:
        said = "true" if judged else "false"
        raise UserError(
            f'{file}: loop_judge: it goes with acceptance = "loop_judge": set loop_judge = {said}, or'
            " another acceptance"
        )
    try:
        policy = policy_of(domain.acceptance)
    except ValueError as error:
        raise UserError(f"{file}: {error}") from error
    try:
        policy.require_possible(domain.planned)
    except ValueError as error:
        raise UserError(f"{file}: acceptance: {error}") from error
    for role, settings in domain.role_defaults.items():
        if role not in domain.roles:
            known = ", ".join(domain.roles)
            raise UserError(f"{file}: role_defaults.{role}: the domain has no such role: it uses {known}")
        try:
            ModelSettings.model_validate(settings)
        except ValidationError as error:
            raise UserError(f"{file}: {problems(error, ModelSettings, f'role_defaults.{role}')}") from error
    return domain.at(folder)


def require_fitting(domain: Domain, pack: PromptPack, folder: Path) -> None:
    """Raise UserError unless the prompts are those of the domain's roles and name what the domain can show them.

    `folder` is where the error says that a prompt stands.
    """
    roles = domain.prompted
    for role in roles:
        if role not in pack.prompts:
            raise UserError(f"{folder / f'{role}.md'}: no such prompt: the domain uses the role {role}")
    for role, prompt in pack.prompts.items():
        file = folder / f"{role}.md"
        if role not in roles and role not in DATASET_PROMPTED:
            raise UserError(f"{file}: the domain does not use the role {role}: remove the file, or see to {FILE}")
        named = {*prompt.front.placeholders}
        if missing := NEEDED[role] - named:
            raise UserError(f"{file}: {{{{{min(missing)}}}}} is missing: {role} cannot do without it")
        if "angle" in named and not prompt.front.angles:
            raise UserError(
                f"{file}: {{{{angle}}}} is nothing here: give 'angles', a list of texts, in the file's head"
            )
        for placeholder, (shown, why) in _conditions(domain, role).items():
            if placeholder in named and not shown:
                raise UserError(f"{file}: {{{{{placeholder}}}}} is nothing here: {why}")
            if placeholder not in named and shown and placeholder in {"criteria", "reference"}:
                raise UserError(f"{file}: {{{{{placeholder}}}}} is missing: {why}")


def _conditions(domain: Domain, role: str) -> Mapping[str, tuple[bool, str]]:
    """Return the placeholders that a domain fills only sometimes: whether it does, and why."""
    if role == "challenger":
        return {
            "anchor": (domain.passage_words is not None, f"it needs passage_words in {FILE}"),
            "extract": (domain.extractor, f"it needs extractor = true in {FILE}"),
            "grounding": (domain.grounding > 0, f"it needs grounding in {FILE}"),
            "angle": (domain.challengers > 1, f"it needs challengers > 1 in {FILE}"),
        }
    if role == "strong_solver":
        return {"source": (domain.privileged_strong, f"it needs privileged_strong = true in {FILE}")}
    if role == "verifier" and (judged := judge_sees(domain.kind)):
        why = f"answers of kind {domain.kind} are judged by {{{{{judged}}}}}"
        return {name: (name == judged, why) for name in ("criteria", "reference")}
    return {}
