r"""The characters of a reply: control characters never pass, and a single backslash of LaTeX in JSON is what it means.

Models write `"\frac{1}{2}"` where JSON wants `"\\frac{1}{2}"`. `\f`, `\b`, `\n`, `\r` and `\t` are escapes of JSON, so
a plain reader makes a form feed of it without a word. What is LaTeX beyond doubt is read as LaTeX; where a line break
or a tab may be meant as well, the reply is asked for again.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_LINE_ENDS: Final = re.compile(r"\r\n?|[\x0b\x0c](?![A-Za-z])")
_COMMAND: Final = re.compile(r"[\x07\x08\x0b\x0c](?=[A-Za-z])")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LETTER_OF: Final = {"\x07": "\\a", "\x08": "\\b", "\x0b": "\\v", "\x0c": "\\f"}
_WITHOUT: Final = dict.fromkeys([*range(9), *range(14, 32), 127]) | {
    code: bytes([code]).decode("cp1252", "ignore") or None for code in range(128, 160)
}
"""What is dropped, and the quotation marks and dashes of Windows that were decoded as Latin-1."""
_ESCAPE: Final = re.compile(
    r"(?P<pairs>(?:\\\\)++)|\\(?:u(?P<hex>[0-9a-fA-F]{4})|(?P<letters>[A-Za-z]++)|(?P<mark>[^A-Za-z]))", re.DOTALL
)
_MARKS: Final = frozenset("()[]{},;:!%$&#_|^~-. <>+=*@?0123456789")
"""What may follow a backslash in LaTeX, Markdown or a pattern, and is no escape of JSON."""

_COMMANDS: Final = frozenset(
    """nabla natural nearrow neg neq newcommand newline nexists ngeq ngeqslant ngtr ni nleftarrow nleq nleqslant nless
    nmid nobreak noindent nolimits nonumber norm normalsize not notin nparallel nprec npreceq nrightarrow nsim nsubseteq
    nsucc nsucceq nsupseteq ntriangleleft ntriangleright nu nwarrow ne ncong
    tag tan tanh tau tbinom tensor text textbf textit textrm textsf texttt textstyle textup textnormal textcolor
    textsuperscript textsubscript tfrac therefore theta thetasym thickapprox thicksim thinspace tilde times to top
    triangle triangledown triangleleft trianglelefteq triangleq triangleright trianglerighteq twoheadrightarrow
    twoheadleftarrow tt tiny""".split()
)
"""LaTeX commands that begin like a line break or a tab of JSON."""
_DOUBTFUL: Final = frozenset("ne neg ni nless nmid nu nexists nparallel nsim tan tau top tt".split())
"""Those of them whose rest (`u`, `an`, `op`) may begin a line or a cell of its own."""
_PLAIN: Final = _COMMANDS - _DOUBTFUL
_ROWS: Final = re.compile(r"\\begin|&")
"""LaTeX whose rows end with two backslashes: where other backslashes are single, these two are meant as they stand."""
_MARK_BEHIND: Final = re.compile(r"[^\w\s&\\+-]")
_AFTER_MATHS: Final = frozenset("$({[^_=+-*/|<>&}")
_MATHS: Final = re.compile(r"[$^=]|_\{|\\[([]")


class _Where(NamedTuple):
    """What is known of the string around an escape."""

    inside: bool
    """An odd number of `$` stands before it."""
    doubles: bool
    """Backslashes of other commands are doubled."""
    single: bool
    """Other backslashes are single, and plainly LaTeX."""
    maths: bool
    """There are signs of mathematics."""


class Doubtful(ValueError):
    """A backslash of which nobody can say whether a control character or LaTeX is meant."""


def clean(text: str) -> str:
    r"""Return a text without control characters but `\n` and `\t`.

    A bell, backspace, vertical tab or form feed before a letter is the rest of a LaTeX command, and becomes its
    backslash and letter again; other form feeds and carriage returns are line breaks. Half a surrogate pair stays.
    """
    if not _CONTROL.search(text) and "\r" not in text:
        return text
    lines = _LINE_ENDS.sub("\n", text)
    return _COMMAND.sub(lambda match: _LETTER_OF[match[0]], lines).translate(_WITHOUT)


def doubled(literal: str) -> str:
    r"""Return the inside of a JSON string with the backslashes of LaTeX doubled. Raises Doubtful.

    Without doubt LaTeX are: `\b` and `\f`, for neither has any business in a text; a backslash before what JSON gives
    no meaning; `\r` before a letter; `\n` and `\t` where a known command follows whose rest is no word (`\theta`), or
    that stands where no break would (after `$`, at the start); the two backslashes that end a row of a matrix. A string
    that doubles other commands, or shows no mathematics at all, keeps its line breaks and tabs.
    """
    if "\\" not in literal:
        return literal
    escapes = list(_ESCAPE.finditer(literal))
    doubles = any(e["pairs"] and literal[e.end() : e.end() + 2].isalpha() for e in escapes)
    single = any(_plainly_latex(e) for e in escapes)
    maths = single or bool(_MATHS.search(literal))
    where = [_Where(inside, doubles, single, maths) for inside in (False, True)]
    rows = single and not doubles and bool(_ROWS.search(literal))
    pieces, position, dollars = [], 0, 0
    for escape in escapes:
        plain = literal[position : escape.start()]
        dollars += plain.count("$") + (escape["mark"] == "$")
        row_ends = rows and escape["pairs"] == "\\\\" and not _MARK_BEHIND.match(literal, escape.end())
        pieces += [plain, r"\\\\" if row_ends else _read(escape, where[dollars % 2])]
        position = escape.end()
    return "".join([*pieces, literal[position:]])


def _command(escape: re.Match[str]) -> str:
    """Return the LaTeX command that an escape would be; empty for an escape of a single character."""
    if escape["hex"]:
        return ""
    return escape["letters"] or ""


def _plainly_latex(escape: re.Match[str]) -> bool:
    name = _command(escape)
    if not name:
        return escape["mark"] in {"(", ")", "[", "]", "{", "}", ",", ";"}
    if name[0] in "nt":
        return name in _PLAIN
    return len(name) > 1


def _read(escape: re.Match[str], where: _Where) -> str:
    """Return an escape as JSON is to read it."""
    found, name = escape[0], _command(escape)
    latex = f"\\{found}"
    if escape["hex"] or escape["pairs"]:
        return found
    if not name:
        mark = escape["mark"]
        return "'" if mark == "'" else latex if mark in _MARKS or not mark.isascii() else found
    if name[0] == "r":
        return latex if len(name) > 1 else found
    if name[0] in "nt":
        return latex if name in _COMMANDS and (name not in _DOUBTFUL or _is_command(escape, name, where)) else found
    return found if name in {"u", "x"} else latex


def _is_command(escape: re.Match[str], name: str, where: _Where) -> bool:
    r"""Whether a doubtful name (`\nu`) is a command here rather than a break and a word. Raises Doubtful."""
    text, start = escape.string, escape.start()
    before, after = text[max(0, start - 2) : start], text[escape.end() : escape.end() + 1]
    if not before or (before[-1] == "$" and before != "$$" and where.inside):
        return True  # no text begins with a break, and no formula
    if before in {"\\n", "\\t"} or before[-1] in ".:;!?\n" or (where.doubles and not where.single):
        return False  # an empty line, an indent, the end of a sentence; or whoever wrote it doubles backslashes
    spaced = before[-1] == " " and before != "  "
    if (
        after in {"^", "}"}
        or before[-1] in "^_"
        or (where.maths and (spaced or where.inside or before[-1] in _AFTER_MATHS))
        or (spaced and (name[0] == "t" or name in {"ne", "nu"}))
    ):
        return True
    if where.maths or _is_symbol(before):
        raise Doubtful(f"is \\{name} a LaTeX command or a break and {name[1:]!r}? Write every backslash of LaTeX twice")
    return False


def _is_symbol(before: str) -> bool:
    r"""Whether two characters end with a digit, a sign or a letter alone, as `x` in `x\ne 0`, or `/` in `t/\tau`."""
    return before[-1] in "0123456789()[]}/+*<>|" or (before[-1].isalpha() and not before[:-1].isalpha())
