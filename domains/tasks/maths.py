"""Mathematics on texts from outside: are two answers the same, what is an expression worth.

The work is done by `maths_worker.py` in child processes with bounded processor time and memory; this module sends them
texts and takes "cannot say" for any that die. Nothing here raises over a hostile text, and none of it is evaluated as
Python.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, cast

from autodata.checkpoints.records import UserError

Same = Literal["equal", "different"]

CPU_SECONDS = 5.0
"""Processor time of one request."""
LONGEST = 400
"""Longest text, in characters, that is taken for an expression."""
MOST_BRACKETS = 40
"""Brackets, and powers, in one expression: what nests deeper takes a parser too long."""
PROCESSES = 2
"""Child processes at most."""

_COMMANDS = re.compile(
    r"\\(?:text|mathrm|mathbf|mathit|operatorname|mbox|textbf|ldots|cdots|dots|quad|circ|degree|%|approx|sim)"
)
_RUN = re.compile(r"(?<![\\A-Za-z_{])[A-Za-z]{2,}|(?<=\{)[A-Za-z]{2,}")
_WORDS = """
    sqrt cbrt exp log ln sin cos tan cot sec csc asin acos atan acot sinh cosh tanh coth asinh acosh atanh
    arcsin arccos arctan factorial binomial gamma floor ceil gcd lcm erf abs min max pi oo inf infinity hbar
    alpha beta delta epsilon theta lambda mu nu rho sigma tau phi psi omega pmatrix bmatrix matrix cases
"""
_KNOWN = frozenset(_WORDS.split())
_ODD = re.compile(r"[%°$€£;?\"'`@#&~≈≃…]|/\s*\d+\s*[A-Za-z(\\]|\d\s*\\[dt]?frac\s*\{\s*\d+\s*\}\s*\{\s*\d+\s*\}")
_GREEK = """
    α alpha β beta δ delta ε epsilon θ theta λ lambda μ mu ν nu ρ rho σ sigma τ tau φ phi ψ psi ω omega π pi
    ℏ hbar ħ hbar
"""  # noqa: RUF001
_SIGNS = str.maketrans(
    {sign: f" {name} " for sign, name in zip(_GREEK.split()[::2], _GREEK.split()[1::2], strict=True)}
    | {"−": "-", "–": "-", "·": "*", "⋅": "*", "×": "*", "÷": "/", "∞": " oo "}  # noqa: RUF001
    | {"²": "^2", "³": "^3", "⁴": "^4", "½": "(1/2)", "¼": "(1/4)", "¾": "(3/4)"}
)
_ROOT = re.compile(r"√\s*(?:(\d+|[A-Za-z])|(?=\())")


def require_installed() -> None:
    """Raise UserError, naming what to type, when the libraries of the extra `science` are missing."""
    if any(find_spec(name) is None for name in ("math_verify", "latex2sympy2_extended", "sympy", "antlr4")):
        raise UserError(
            "comparing and calculating needs a mathematics library: pip install 'autodata-langgraph[science]'"
        )


def unwrapped(text: str) -> str:
    """Return an answer without its wrapping: dollar signs, a box, bold marks, a final full stop."""
    text = text.strip("*_ \t\r\n")
    if text.endswith((".", ",")) and not text.endswith(".."):
        text = text[:-1].rstrip("*_ \t\r\n")
    for left, right in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("`", "`")):
        if text.startswith(left) and text.endswith(right) and len(text) > len(left) + len(right):
            text = text[len(left) : -len(right)].strip()
    boxed = re.fullmatch(r"\\boxed\s*\{(.*)\}", text, re.DOTALL)
    return boxed[1].strip() if boxed else text


def answer_key(text: str) -> str:
    """Return a text by which answers written alike are known: no spaces, no wrapping, one form of a fraction."""
    text = unwrapped(text).translate(_SIGNS)
    text = re.sub(r"\\(?:left|right|displaystyle|[,;:! ])", "", text)
    text = re.sub(r"\\[dt]frac\b", r"\\frac", text)
    return re.sub(r"\s+", "", text).rstrip(".")


def _readable(text: str) -> str | None:
    """Return a text ready for the reader, or None for one that words, units or odd signs leave to a judge."""
    text = _ROOT.sub(lambda match: f"sqrt({match[1]})" if match[1] else "sqrt", unwrapped(text).translate(_SIGNS))
    if not text or len(text) > LONGEST or "\n" in text or _COMMANDS.search(text) or _ODD.search(text):
        return None
    opening, closing = (sum(map(text.count, signs)) for signs in ("([{", ")]}"))
    if opening != closing or opening > MOST_BRACKETS or text.count("^") > MOST_BRACKETS:
        return None
    bare = re.sub(r"\\(?:begin|end)\{[a-z]+\}|\\[A-Za-z]+", " ", text)
    return None if any(run not in _KNOWN for run in _RUN.findall(bare)) else text


def compare(reference: str, answer: str) -> Same | None:
    """Return whether two answers are the same value, or None when that takes a judge. Blocks; call it from a thread.

    Written alike is equal. Otherwise both must read wholly as expressions: words and units are left to a judge, and so
    are different variables, equations that are not the same, and decimals that are near but not equal.
    """
    if (key := answer_key(reference)) and key == answer_key(answer):
        return "equal"
    sides = _readable(reference), _readable(answer)
    if sides[0] is None or sides[1] is None:
        return None
    return cast("Same | None", _pool.ask({"op": "compare", "reference": sides[0], "answer": sides[1]}))


def evaluate(expression: str) -> str | None:
    """Return the value of an expression as text, or None when it has none. Blocks; call it from a thread."""
    text = _readable(expression)
    return None if text is None else _pool.ask({"op": "evaluate", "expression": text})


class _Pool:
    """Child processes, started when needed, each answering one request at a time."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(PROCESSES)
        self._idle: list[subprocess.Popen[str]] = []
        self.cpu_seconds = CPU_SECONDS
        atexit.register(self.close)

    def ask(self, request: Mapping[str, str]) -> str | None:
        """Send a request; None for a child that ends over it."""
        with self._free:
            child = self._idle.pop() if self._idle else self._start()
            reply = ""
            try:
                assert child.stdin is not None
                assert child.stdout is not None
                child.stdin.write(json.dumps(request) + "\n")
                child.stdin.flush()
                reply = child.stdout.readline()
            except BrokenPipeError:
                reply = ""
            if not reply:
                _end(child)
                return None
            self._idle.append(child)
            found = json.loads(reply)
        return found if isinstance(found, str) else None

    def close(self) -> None:
        """End the idle children. The next request starts a new one."""
        while self._idle:
            _end(self._idle.pop())

    def _start(self) -> subprocess.Popen[str]:
        require_installed()
        script = Path(__file__).with_name("maths_worker.py")
        return subprocess.Popen(  # noqa: S603 - our own interpreter and script
            [sys.executable, "-I", str(script), str(self.cpu_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV") if name in os.environ},
            start_new_session=True,
        )


def _end(child: subprocess.Popen[str]) -> None:
    child.kill()
    with child:  # closes the pipes and waits
        pass


_pool = _Pool()
