"""Check before paying: what code can say against an edited prompt pack before a single document is run with it.

Every problem is one line that says what to do instead: it goes back to the editor.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from autodata.checkpoints.errors import PatchError
from autodata.nodes.optimizer.directive_check import addressed, sentences
from autodata.nodes.optimizer.edit_sandbox import editable_roles, head_of, invisible
from autodata.nodes.optimizer.ngrams import Shingles
from autodata.prompts import Prompt, PromptPack
from autodata.prompts.patch import apply_diff

ALLOWANCE = 1000
"""Characters that every prompt may grow by, on top of its share."""
MAX_PROMPT_CHARS = 60_000
"""No prompt grows beyond this many characters, whatever the baseline's: 20 times the longest that is shipped."""

Check = Callable[[PromptPack], list[str]]
"""What an edited pack is held against: its problems, empty when it may be evaluated."""

_NAME = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
_KEPT = re.compile(r"\binstructions? to (?:you|anybody|anyone)\b", re.IGNORECASE)
"""Sentences by which text from outside stays data (rule 7)."""
_CODE = re.compile(
    r"\{\{[^{}\n]*\}\}|\{%[^{}\n]*%\}|\{#[^{}\n]*#\}|<%[^<>\n]*%>|<\?[^<>\n]*\?>"  # Jinja, ERB, PHP
    r"|\{\{|\}\}|\{%|%\}|\{#|#\}|<%|%>|<\?|\?>|#\{|\$\{"  # halves of them, Ruby, shell
    r"|(?<![\w\\^_}{$])\{[A-Za-z_]\w*(?:[.\[!:][^{}\n]*)?\}"  # str.format, and not LaTeX
    r"|(?<![\w\\^_}{$])\{\d+\}|\{\d*[.\[!:][^{}\n]*\}"
    r"|%\([A-Za-z_]\w*\)[sdrf]|(?<!\w)%[sdr](?!\w)"
    r"|\$\((?=[a-z_/.]{2,}[ )])[^()\n]*\)(?!\$)"
    r"|`[^`\n]*(?:\$\(|\b(?:exec|eval|system)\(|\bos\.\w|\bsubprocess\b|\bimport \w"
    r"|\b(?:curl|wget|sudo|rm|bash|sh|python3?) )[^`\n]*`"
)


def pack_problems(
    baseline: PromptPack,
    parent: PromptPack,
    mutant: PromptPack,
    *,
    protected: Shingles | None = None,
    growth: float = 2.0,
) -> list[str]:
    """Return what is wrong with a pack that was edited from `parent`; empty when it may be evaluated.

    It is held against the baseline, whose heads, placeholders and output contract it keeps and whose length times
    `growth`, plus 1,000 characters, no prompt exceeds, nor MAX_PROMPT_CHARS; of one that is longer nothing else is
    looked at. `protected` are the word runs of the documents of the search:
    none may stand in a prompt that does not stand in the baseline's too.
    """
    if too_long := list(_too_long(baseline, mutant, growth)):
        return too_long
    found = [*_changes(parent, mutant), *_of_the_whole(baseline, mutant)]
    known = None if protected is None else Shingles([prompt.text for prompt in baseline.prompts.values()], protected.n)
    editable = editable_roles(baseline)
    for role, prompt in mutant.prompts.items():
        before = baseline.prompts.get(role)
        if before is None or before.text == prompt.text:
            continue
        if role not in editable:
            found.append(f"{role}.md: only {_files(editable)} may be edited: put it back as it was")
            continue
        found += [f"{role}.md: {problem}" for problem in _of_a_prompt(before, prompt)]
        if protected is not None:
            for passage in protected.found_in(prompt.text, known):
                found.append(
                    f"{role}.md: {_quoted(passage)} stands in a document of the search: say it in general terms"
                )
    return found


def checker(
    baseline: PromptPack, parent: PromptPack, *, protected: Shingles | None = None, growth: float = 2.0
) -> Check:
    """Return `pack_problems` of packs edited from one parent."""

    def check(mutant: PromptPack) -> list[str]:
        return pack_problems(baseline, parent, mutant, protected=protected, growth=growth)

    return check


def _changes(parent: PromptPack, mutant: PromptPack) -> Iterator[str]:
    if all(_words(mutant[role]) == _words(parent[role]) for role in mutant.prompts if role in parent.prompts):
        said = "nothing was changed" if parent.version == mutant.version else "only blanks and line ends were changed"
        yield f"{said}: edit {_files(editable_roles(parent))} against a cause that the analysis names"


def _of_the_whole(baseline: PromptPack, mutant: PromptPack) -> Iterator[str]:
    if set(baseline.prompts) != set(mutant.prompts):
        yield "files were added or removed: a pack keeps the files of the baseline"
        return
    try:
        applied = apply_diff(baseline, baseline.diff(mutant))
    except PatchError as error:
        yield f"the diff against the baseline cannot be applied: {error}"
        return
    if applied.version != mutant.version:
        yield "the diff against the baseline does not make this pack: change less"


def _too_long(baseline: PromptPack, mutant: PromptPack, growth: float) -> Iterator[str]:
    """Yield the prompts that are longer than they may be: what is read of one takes time with its length."""
    for role, prompt in mutant.prompts.items():
        before = baseline.prompts.get(role)
        if before is not None and before.text == prompt.text:
            continue
        longest = MAX_PROMPT_CHARS if before is None else int(growth * len(before.text)) + ALLOWANCE
        longest = min(longest, MAX_PROMPT_CHARS)
        if len(prompt.text) > longest:
            yield f"{role}.md: {len(prompt.text):,} characters are too many: shorten it to at most {longest:,}"


def _of_a_prompt(before: Prompt, after: Prompt) -> Iterator[str]:
    if head_of(before.text) != head_of(after.text):
        yield "the head between the lines +++ was changed: put it back to the letter"
    yield from _placeholders(before, after)
    yield from _kept_sentences(before, after)
    for code in _new_code(before, after):
        yield f"{_quoted(code)} looks like code of a template or a shell: write it in words"
    known = set(before.text)
    if sign := invisible("".join(sign for sign in after.text if sign not in known)):
        yield f"the invisible character U+{ord(sign):04X} is in it: leave it out"
    for what, sentence in addressed(_body(before), _body(after)):
        yield f"{_quoted(sentence)} {what}: say what a task should be like instead, not what anybody should do with it"


def _placeholders(before: Prompt, after: Prompt) -> Iterator[str]:
    """Yield each placeholder that stands in a section more or less often than in the baseline."""
    for section, old, new in (("system", before.system, after.system), ("user", before.user, after.user)):
        had, has = Counter(_NAME.findall(old)), Counter(_NAME.findall(new))
        for name in sorted(had | has):
            if had[name] != has[name]:
                yield (
                    f"{{{{{name}}}}} stands {has[name]} times in '# {section}', and {had[name]} in the baseline:"
                    " keep each placeholder where it is"
                )


def _kept_sentences(before: Prompt, after: Prompt) -> Iterator[str]:
    """Yield what is lost of the output contract, and of what says that text from outside is no instruction."""
    contract, text = output_contract(before), " ".join(_body(after).split())
    if contract and contract not in text:
        yield f"the output contract {_quoted(contract)} is gone: put it back word for word"
    elif contract:
        asked = contract.rpartition("{{")[0].strip()
        if asked and text.count(asked) > " ".join(_body(before).split()).count(asked):
            yield f"{_quoted(asked)} stands there once more than in the baseline: say it only where the schema is"
    for sentence in sentences(_body(before)):
        if _KEPT.search(sentence) and sentence not in text:
            yield f"{_quoted(sentence)} is gone: put it back word for word, for text from outside is only material"


def output_contract(prompt: Prompt) -> str:
    """Return the sentence that asks for the schema, with its placeholder, on one line; empty without a schema."""
    for section in (prompt.system, prompt.user):
        match = re.search(r"\{\{\s*schema\s*\}\}", section)
        if match:
            paragraph = re.split(r"\n\s*\n", section[: match.start()])[-1]
            asked = re.split(r"(?<=[.!?])\s+", paragraph.strip())[-1]
            return " ".join([*asked.split(), match[0]])
    return ""


def _new_code(before: Prompt, after: Prompt) -> list[str]:
    """Return what looks like code in a prompt and does not in the baseline's, each once."""
    old, new = (Counter(match[0] for match in _CODE.finditer(_NAME.sub("", _body(p)))) for p in (before, after))
    return list(new - old)


def _body(prompt: Prompt) -> str:
    return prompt.text[len(head_of(prompt.text)) :]


def _words(prompt: Prompt) -> list[str]:
    return prompt.text.split()


def _files(roles: tuple[str, ...]) -> str:
    return ", ".join(f"{role}.md" for role in roles) or "nothing"


def _quoted(text: str) -> str:
    text = " ".join(text.split())
    return f"'{text}'" if len(text) <= 160 else f"'{text[:159]}…'"
