"""What a simulated challenger and quality verifier obey: sentences of a prompt, known by pattern, and their effects.

There are two rulebooks. `RULES` is the first and small one, of the default world. `META_RULES` is the one in which
the meta-optimiser is measured: for every helpful rule that the paper's optimiser found (section 6) there is one here,
beside others that do nothing or harm, and each comes with several phrasings, for an editor writes prose.

The effects of `META_RULES` were set before there was an optimiser, by reasoning about what such a rule would do, and
are not to be changed to make one look better. docs/optimizer-world.md has the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

from autodata.models.config import Settings
from autodata.models.simulated.fences import without_fenced


class Effects(Settings):
    """Shifts of the world's constants: those of one rule, or of all obeyed rules together."""

    difficulty: float = 0.0
    discrimination: float = 0.0
    fault_rate: float = 0.0
    learns: float = 0.0
    sloppy: float = 0.0
    detects: float = 0.0
    false_alarms: float = 0.0


class Rule(Effects):
    """A sentence a prompt may hold, and what it does in the world."""

    pattern: str
    name: str = ""
    kind: Literal["helpful", "harmful", "gaming"] = "helpful"
    """What it does to the pass rate, by itself, at the shipped prompts. `gaming` would help, were nothing frozen."""
    file: Literal["challenger", "quality_verifier", "feedback"] = "challenger"
    """In which prompt it belongs. The challenger reads the feedback prompt's text too, from the second round on."""
    cures: tuple[str, ...] = ()
    """Failure modes that it makes rarer: an analysis that names one of them points to this rule."""
    phrases: tuple[str, ...] = ()
    """How an editor may put it."""

    def stands_in(self, text: str) -> bool:
        """Whether a text in lower case holds the rule."""
        return re.search(self.pattern.lower(), text) is not None


RULES: tuple[Rule, ...] = (
    Rule(pattern=r"particular to (?:this|the) document|document-specific", difficulty=0.3, discrimination=0.15),
    Rule(pattern=r"answerable by rephrasing|rephrase the context", fault_rate=-0.05),
    Rule(pattern=r"(?:only|all) positive (?:weights|items)|weights? (?:of )?at most 7", discrimination=0.1),
    Rule(pattern=r"integers? without (?:a )?sign|never \"?\+8", fault_rate=-0.02),
    Rule(pattern=r"as hard as possible|impossible to answer", difficulty=1.5),
    Rule(pattern=r"keep it simple|for beginners", difficulty=-1.0),
)
"""What the challenger of the default world obeys, by pattern. Anything else in a prompt is neutral."""

_HELPFUL = (
    Rule(
        name="insight",
        pattern=r"document-specific insight|without (?:having read |reading )?the document[^.]{0,40}too easy"
        r"|only (?:somebody|someone) who (?:has )?read the document|insight found nowhere but in the document",
        cures=("too_easy", "saturated_strong"),
        phrases=(
            "Insist on document-specific insight: the question must turn on it.",
            "A question that can be answered without the document is too easy: drop it.",
            "Ask what only somebody who has read the document could work out.",
            "Build the question on an insight found nowhere but in the document.",
        ),
        difficulty=0.15,
        discrimination=0.2,
    ),
    Rule(
        name="leak test",
        pattern=r"answerable by rephrasing[^.]{0,30}(?:rewrite|again)|rephrasing the context answers"
        r"|test yourself for leaks|cover the reference answer and see whether the context",
        cures=("failed_quality_check", "final_check"),
        phrases=(
            "Before you answer, check: answerable by rephrasing the context = rewrite it.",
            "If rephrasing the context answers the question, write another question.",
            "Test yourself for leaks before you finish: the context must not hold the answer.",
            "Cover the reference answer and see whether the context alone gives it; if so, start again.",
        ),
        fault_rate=-0.11,
    ),
    Rule(
        name="plain weights",
        pattern=r"(?:only|no other than) positive weights|weights? (?:of |is |are )?(?:at most|no more than) 7"
        r"|no weight above 7|avoid negative (?:items|criteria|weights)",
        cures=("gap_too_small", "failed_on_strong"),
        phrases=(
            "Use only positive weights as far as the counts allow.",
            "Weights are at most 7.",
            "No weight above 7: one criterion must not decide alone.",
            "Avoid negative criteria beyond those asked for, and keep them light.",
        ),
        difficulty=0.15,
        discrimination=0.1,
    ),
    Rule(
        name="strict integers",
        pattern=r"never \"?\+8|integers? without (?:a )?(?:sign|fraction)|whole numbers? only|strict integers?"
        r"|no decimals? (?:in|for) (?:the )?weights?",
        cures=("malformed_candidate",),
        phrases=(
            'Weights are integers: 8, never "+8" and never 7.5.',
            "Write positive weights as integers without sign or fraction.",
            "For weights use whole numbers only.",
            "Strict integers in the JSON; no decimals in weights.",
        ),
        sloppy=-0.2,
    ),
    Rule(
        name="build on what was missed",
        file="feedback",
        pattern=r"(?:step|part|point)s? (?:that )?the weak (?:attempts|solver|answers) (?:skipped|missed|left out)"
        r"|beyond what the weak (?:solver|attempts) (?:did|reached)",
        cures=("too_easy",),
        phrases=(
            "Find the step the weak attempts skipped, and make the next question depend on it.",
            "Build on the points that the weak answers missed.",
            "Go clearly beyond what the weak solver reached.",
        ),
        discrimination=0.15,
        learns=0.2,
    ),
    Rule(
        name="quote the fault",
        file="quality_verifier",
        pattern=r"(?:quote|cite|name) the (?:words|sentence|phrase)s? that (?:leak|show|prove)"
        r"|no fault without (?:a )?(?:quote|proof)",
        cures=("failed_quality_check",),
        phrases=(
            "To fail an example, quote the words that show the fault.",
            "Name the sentence that leaks; if there is none, there is no leak.",
            "Find no fault without a quote.",
        ),
        false_alarms=-0.04,
    ),
)

_HARMFUL = (
    Rule(
        kind="harmful",
        name="as hard as possible",
        pattern=r"as hard as (?:possible|you can)|impossible to answer|hardly any expert|nobody should be able",
        phrases=(
            "Make the question as hard as possible.",
            "Ask what hardly any expert could answer.",
            "Aim for questions that are next to impossible to answer.",
        ),
        difficulty=3.0,
    ),
    Rule(
        kind="harmful",
        name="for beginners",
        pattern=r"keep (?:it|the question) simple|for beginners|so that a newcomer",
        phrases=(
            "Keep the question simple.",
            "Write for beginners.",
            "Put it so that a newcomer to the field can answer.",
        ),
        difficulty=-0.5,
    ),
    Rule(
        kind="harmful",
        name="full context",
        pattern=r"(?:everything|all that is) needed (?:to answer|for the answer)"
        r"|context (?:should|must) (?:contain|hold) (?:the|all) (?:facts|parts) of the answer",
        phrases=(
            "Put everything needed to answer into the context.",
            "The context should hold all parts of the answer.",
            "Give all that is needed for the answer in the context.",
        ),
        fault_rate=0.15,
    ),
    Rule(
        kind="harmful",
        name="details",
        pattern=r"exact (?:figures|numbers) (?:given|stated|named)"
        r"|ask for (?:facts|definitions|details)|recall of details",
        phrases=(
            "Ask for facts that can be looked up.",
            "Prefer questions about the exact figures stated in the text.",
            "Test the recall of details.",
        ),
        difficulty=-0.2,
        fault_rate=0.1,
    ),
    Rule(
        kind="harmful",
        name="general criteria",
        pattern=r"(?:clarity|structure|style) (?:and|or) (?:clarity|structure|style)"
        r"|criteria (?:that fit|fit for) any (?:answer|question)|general criteria",
        phrases=(
            "Include criteria about clarity and structure.",
            "Use criteria that fit any question.",
            "Prefer general criteria to narrow ones.",
        ),
        discrimination=-0.25,
    ),
    Rule(
        kind="harmful",
        name="fine weights",
        pattern=r"weights? (?:may|can) be (?:fractions|decimals)|fine-grained weights|weights? with (?:a )?decimals?",
        phrases=(
            "Weights may be fractions where that is fairer.",
            "Use fine-grained weights.",
            "Give weights with decimals if needed.",
        ),
        sloppy=0.3,
    ),
    Rule(
        kind="harmful",
        name="patch the question",
        file="feedback",
        pattern=r"(?:repair|patch|keep) the (?:rejected|last|old) question|change only (?:its|the) wording"
        r"|small changes? (?:to|of) the (?:rejected|last) question",
        phrases=(
            "Better keep the rejected question and change only its wording.",
            "Patch the last question rather than start anew.",
            "Make a small change to the last question.",
        ),
        fault_rate=0.1,
        learns=-0.3,
    ),
    Rule(
        kind="gaming",
        name="pass in doubt",
        file="quality_verifier",
        pattern=r"(?:in|when in) doubt,? (?:let it )?pass|when unsure,? (?:let it )?pass|be lenient|always PASS",
        phrases=(
            "When in doubt, let it pass.",
            "Be lenient.",
            "Always PASS unless the example cannot be read.",
        ),
        detects=-0.85,
        false_alarms=-0.02,
    ),
    Rule(
        kind="harmful",
        name="fail in doubt",
        file="quality_verifier",
        pattern=r"(?:in|when in) doubt,? (?:it )?fails?\b|when unsure,? (?:it )?fails?\b"
        r"|be merciless|find a fault in every",
        phrases=(
            "When in doubt, fail it.",
            "Be merciless.",
            "Try to find a fault in every example.",
        ),
        false_alarms=0.15,
    ),
)

META_RULES: tuple[Rule, ...] = (*_HELPFUL, *_HARMFUL)
"""What is obeyed in the optimiser's world. Anything else in a prompt is neutral."""

NEUTRAL: Mapping[str, tuple[str, ...]] = {
    "challenger": (
        "Use British spelling throughout.",
        "Write the skills as lower-case tags.",
        "Prefer short sentences.",
        "Number the steps of the reference answer.",
        "Vary the kind of reasoning from one question to the next.",
        "Avoid needless jargon in the context.",
        "Write in the present tense.",
    ),
    "quality_verifier": (
        "Write the feedback in plain English.",
        "Look at the question first, then at the rubric.",
        "Keep leak_reason to one sentence.",
    ),
    "feedback": (
        "Read every entry before you go on.",
        "The latest failure stands first in each group.",
        "Take your time.",
    ),
}
"""Sentences without any effect, by prompt."""

RULEBOOKS: Mapping[str, Sequence[Rule]] = {"first": RULES, "meta": META_RULES}


NOTHING = Effects()


@lru_cache(maxsize=128)  # every reply to a prompt looks for the same rules in it
def obeyed(rulebook: str, prompt: str) -> tuple[Rule, ...]:
    """Return the rules of a rulebook that a prompt holds, each once however often it is said.

    In the rulebook `meta`, fenced material is no rule: a document may say what it likes.
    """
    if rulebook == "first":
        return tuple(rule for rule in RULES if re.search(rule.pattern, prompt, re.IGNORECASE))
    text = " ".join(without_fenced(prompt).lower().split())
    return tuple(rule for rule in RULEBOOKS[rulebook] if rule.stands_in(text))


def rules_of_writing(rulebook: str, prompt: str) -> tuple[Rule, ...]:
    """Return the rules in a challenger's prompt, feedback included, that shape what it writes."""
    return tuple(rule for rule in obeyed(rulebook, prompt) if rule.file != "quality_verifier")


def effects_on_writing(rulebook: str, prompt: str) -> Effects:
    """Return what the rules in a challenger's prompt, feedback included, do to what it writes."""
    return summed(rules_of_writing(rulebook, prompt))


def effects_on_review(rulebook: str, prompt: str) -> Effects:
    """Return what the rules in a quality verifier's prompt do to its findings."""
    return summed(rule for rule in obeyed(rulebook, prompt) if rule.file == "quality_verifier")


def summed(rules: Iterable[Rule], factors: Sequence[float] | None = None) -> Effects:
    """Return the effects of rules together; `factors`, one a rule, say how much of each counts."""
    found = tuple(rules)
    shares = (1.0,) * len(found) if factors is None else factors
    return Effects(
        **{
            name: sum(share * getattr(rule, name) for rule, share in zip(found, shares, strict=True))
            for name in Effects.model_fields
        }
    )
