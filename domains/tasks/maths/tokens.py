"""The tokens of a text of mathematics, plain or LaTeX, and the names, functions and signs that are known.

The work is linear in the text's length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST = 400
"""Longest text, in characters, that is taken for an expression."""

_GREEK = """
    α alpha β beta γ gamma δ delta ε epsilon ζ zeta η eta θ theta κ kappa λ lambda μ mu µ mu ν nu ξ xi ρ rho σ sigma
    τ tau φ phi χ chi ψ psi ω omega π pi ϕ phi ℏ hbar ħ hbar ℓ ell Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Φ Phi Ψ Psi
    Ω Omega
"""
NAMES = frozenset(_GREEK.split()[1::2]) | {"varepsilon", "varphi", "vartheta", "varrho", "kappa"}
_SIGNS = str.maketrans(
    {sign: f" \\{name} " for sign, name in zip(_GREEK.split()[::2], _GREEK.split()[1::2], strict=True)}
    | {"−": "-", "–": "-", "·": r" \cdot ", "⋅": r" \cdot ", "×": r" \times ", "÷": r" \div ", "∞": r" \infty "}
    | {"±": r" \pm ", "≤": r" \le ", "≥": r" \ge ", "≠": r" \ne ", "≈": r" \approx ", "∈": r" \in ", "°": r"^\circ "}
    | {"½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}"}
)
_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "₀₁₂₃₄₅₆₇₈₉"
_DIGITS = str.maketrans(_RAISED + _LOWERED, "0123456789+-n0123456789")
_TOKEN = re.compile(
    r"""(?P<space> \s+ | \\[,;:!\ ] | \\(?:left|right|displaystyle|[bB]igg?[lr]?)(?![A-Za-z]) )
    | (?P<number> (?: [0-9]++ (?:(?:,|\{,\})[0-9]++)*+ (?:\.[0-9]++)? | \.[0-9]++ ) (?: [eE][+-]?[0-9]++ (?![\w.]) )? )
    | (?P<command> \\[A-Za-z]+ | \\. )
    | (?P<letters> [^\W\d_]+ )
    | (?P<sign> \*\* | . )""",
    re.VERBOSE | re.DOTALL,
)
_ALIKE = {r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\leq": r"\le", r"\geq": r"\ge", r"\neq": r"\ne", "**": "^"}
_ALIKE |= {r"\dbinom": r"\binom", r"\lbrace": r"\{", r"\rbrace": r"\}", r"\operatorname": r"\mathrm"}

_TRIGONOMETRIC = "sin cos tan cot sec csc sinh cosh tanh coth sech csch"
TRIGONOMETRIC = frozenset(_TRIGONOMETRIC.split())
_INVERSE = {f"{before}{name}": f"a{name}" for name in TRIGONOMETRIC for before in ("arc", "a", "ar")}
JUXTAPOSED = {name: name for name in (*TRIGONOMETRIC, "exp", "ln", "log", "lg")} | _INVERSE
BRACKETED = {"sqrt": 1, "cbrt": 1, "abs": 1, "floor": 1, "ceil": 1, "factorial": 1, "binomial": 2, "binom": 2}
BRACKETED |= {"min": 0, "max": 0, "gcd": 0, "lcm": 0}
"""Functions written with brackets only, and how many arguments each takes (0: two or more)."""
WORDS = frozenset(JUXTAPOSED) | frozenset(BRACKETED) | NAMES | {"infty", "oo", "inf", "infinity", "pm"}


class Unreadable(ValueError):
    """A text that is not surely one plain scalar expression."""


@dataclass(frozen=True)
class Token:
    """A number, a name, a command or a sign, as written."""

    kind: str
    """`number`, `letters`, `command` or `sign`."""
    text: str
    spaced: bool
    """Whether space stands before it."""


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text of any kind: what space separates stays apart, how it is spaced does not matter."""
    text = re.sub(f"[{_RAISED}]+", lambda match: f"^{{{match[0].translate(_DIGITS)}}}", text)
    text = re.sub(f"[{_LOWERED}]+", lambda match: f"_{{{match[0].translate(_DIGITS)}}}", text)
    found, spaced = [], True
    for match in _TOKEN.finditer(text.translate(_SIGNS)):
        kind, piece = str(match.lastgroup), match[0]
        if kind != "space":
            if kind == "letters" and piece in WORDS:
                kind, piece = "command", "\\" + {"oo": "infty", "inf": "infty", "infinity": "infty"}.get(piece, piece)
            found.append(Token(kind, _ALIKE.get(piece, piece), spaced))
        spaced = kind == "space"
    return found


def alike(text: str) -> tuple[str, ...]:
    """Return a text's tokens, by which texts written alike are known.

    Braces around an exponent or index of one sign are left out, and those around an exponent of digits: `k_BT` is not
    `k_{BT}`. Two texts with the same tokens say the same, whatever they are. A text of more than ten times LONGEST
    characters is alike to none but itself.
    """
    if len(text) > 10 * LONGEST:
        return (text,)
    found = [token.text for token in tokens(text)]
    kept: list[str] = []
    skip = -1
    for at, piece in enumerate(found):
        raised = found[at - 1 : at]
        if (
            piece == "{"
            and found[at + 2 : at + 3] == ["}"]
            and raised in (["^"], ["_"])
            and _is_one(found[at + 1], raised)
        ):
            skip = at + 2
        elif at != skip:
            kept.append(piece)
    return tuple(kept)


def _is_one(inner: str, raised: list[str]) -> bool:
    """Whether a token behind `^` or `_` is raised or lowered as a whole, with braces or without."""
    return len(inner) == 1 or inner[0] == "\\" or (raised == ["^"] and inner.isdecimal())
