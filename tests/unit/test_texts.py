"""Single backslashes of LaTeX in JSON, and control characters in any text of a reply."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from autodata.models.scan import Unusable
from autodata.models.structured import parse_reply
from autodata.models.texts import clean
from tests.unit.scripted import ASK, SITE, bench


class Text(BaseModel):
    text: str


COMMANDS = r"""\frac{1}{2} \binom{a}{b} \beta/2 \bar{x} \begin{x} \theta \times \tau \to \text{cm} \nabla \nu \ne
    \neq \rho     \right) \rangle \alpha \underline{a} \upsilon \xi \sqrt{2} \Delta \( \[ \{ \% \$""".split()

READ = {
    "several": (r"\frac{3}{2}\theta + \nu", r"\frac{3}{2}\theta + \nu"),
    "in the middle": (r"x \times \tau \neq y \ne z", r"x \times \tau \neq y \ne z"),
    "in a formula": (r"so $\nu = 2$", r"so $\nu = 2$"),
    "a limit": (r"\lim_{x \to 0} \tan x", r"\lim_{x \to 0} \tan x"),
    "no doubt without spaces": (r"f(x)\to 0", r"f(x)\to 0"),
    "rows of a matrix": (
        r"\begin{pmatrix}1&2\\3&4\\ \alpha & x\end{pmatrix} costs \\$5",
        r"\begin{pmatrix}1&2\\3&4\\ \alpha & x\end{pmatrix} costs \$5",
    ),
    "rows that were doubled": (
        r"\\begin{cases} x & \\alpha \\\\ y & 0 \\end{cases}",
        r"\begin{cases} x & \alpha \\ y & 0 \end{cases}",
    ),
    "doubled": (r"$\\frac{1}{2}$ and\nu is a word here", "$\\frac{1}{2}$ and\nu is a word here"),
    "breaks": (r"First.\nThen this.\n\nnot that\tno tan", "First.\nThen this.\n\nnot that\tno tan"),
    "break after mathematics": (r"It is $x$.\nnu is a letter", "It is $x$.\nnu is a letter"),
    "Italian": (r"riso\ne pasta", "riso\ne pasta"),
    "code": (r"def f():\n\ttop = 1\n\treturn top", "def f():\n\ttop = 1\n\treturn top"),
    "a path": (r"C:\foo\bar", r"C:\foo\bar"),
    "a pattern": (r"\bword\b \d+\s", r"\bword\b \d+\s"),
    "apostrophe": (r"it\'s", "it's"),
    "escapes of JSON": (r"\u00e9 \"q\" a\/b \\", 'é "q" a/b \\'),
    "Windows line ends": (r"a\r\nb", "a\nb"),
    "control characters by number": (r"\u000crac12 \u0008eta \u0000x\u007f\u001b[0m", r"\frac12 \beta x[0m"),
}

ASKED_AGAIN = [r"$x$ and\nu_0", r"x\ne 0", r"\u{1F600}", r"\x41", r"2\tan x", r"t/\tau", r"f(\tau)"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("around", ["{}", "so ${}$", r"\alpha {}", "is $a = {} b$"])
def test_a_single_backslash_of_latex_is_kept(command: str, around: str) -> None:
    text = around.format(command) if "{}" in around else around
    assert parse_reply('{"text": "' + text + '"}', Text).text == text


@pytest.mark.parametrize(("written", "read"), READ.values(), ids=READ)
def test_a_text_is_read_as_it_is_meant(written: str, read: str) -> None:
    assert parse_reply('{"text": "' + written + '"}', Text).text == read


@pytest.mark.parametrize("written", ASKED_AGAIN)
def test_what_may_be_either_is_asked_for_again(written: str) -> None:
    with pytest.raises(Unusable) as refused:
        parse_reply('{"text": "' + written + '"}', Text)
    assert (refused.value.kind, refused.value.shape) == ("not_json", True)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_no_control_character_passes(text: str) -> None:
    left = clean(text)
    assert not [one for one in left if unicodedata.category(one) == "Cc" and one not in "\n\t"]
    assert clean(left) == left
    kept = [one for one in text if unicodedata.category(one) != "Cc"]
    assert [one for one in kept if one not in left] == []


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("\x0crac{1}{2} \x08eta \x07lpha", r"\frac{1}{2} \beta \alpha"),
        ("a\r\nb\rc\x0c\nd", "a\nb\nc\n\nd"),
        ("\x93so\x94 \x97 \x1b[31mred", "“so” — [31mred"),
    ],
)
async def test_no_control_character_of_a_free_text_is_stored(said: str, kept: str) -> None:
    reply = await bench(AIMessage(said))[0].text(SITE, ASK)
    assert (reply.text, reply.answer) == (kept, kept)
