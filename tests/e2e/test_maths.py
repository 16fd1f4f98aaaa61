"""Comparing and working out expressions: what the library decides, what it leaves to a judge, and hostile texts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from autodata.checkpoints.records import UserError
from autodata.domains.tasks import maths
from autodata.domains.tasks.maths import answer_key, compare, evaluate, unwrapped

pytest.importorskip("math_verify")


@pytest.fixture(scope="module", autouse=True)
def short_time() -> Iterator[None]:
    """Give children started here one second of processor time a request."""
    maths._pool.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maths._pool, "cpu_seconds", 1.0)
        yield
    maths._pool.close()


EQUAL = [
    ("1/2", r"\frac{1}{2}"),
    ("1/2", "0.5"),
    (r"\frac12", r"\dfrac{1}{2}"),
    ("1/3", "0.333333"),
    ("pi", "3.14159265"),
    (r"\frac{\sqrt{17}}{5}", "sqrt(17)/5"),
    (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
    ("sqrt(8)", "2√2"),
    ("2^{1/3}", r"\sqrt[3]{2}"),
    ("2x+1", "1 + 2*x"),
    ("x^2-1", "(x-1)(x+1)"),
    ("1/(1-x)", "(1-x)^{-1}"),
    ("n(n+1)/2", "(n^2+n)/2"),
    (r"\binom{n}{2}", "n(n-1)/2"),
    (r"\sin(2x)", r"2\sin x\cos x"),
    ("sin(x)^2", "1-cos(x)^2"),
    ("tan(x)", r"\frac{\sin x}{\cos x}"),
    (r"\pi/4", r"\arctan 1"),
    ("ln(2)", "log(4)/2"),
    ("e^2", "exp(2)"),
    (r"e^{i\pi}", "-1"),
    ("3!", "6"),
    ("|x|", "abs(x)"),
    ("x = 5/3", "5/3"),
    ("5/3", "x = 10/6 = 5/3"),
    ("x^2+y^2=1", "y^2+x^2=1"),
    ("x>2", "2<x"),
    (r"\{1,2\}", r"\{2,1\}"),
    ("[1,2)", r"\left[1, 2\right)"),
    (r"\hbar\omega/2", "ħω/2"),
    ("k_B T", "T k_B"),
    ("m_e c^2", "c^2 m_e"),
    (r"\frac12 m v^2", "m*v^2/2"),
    ("sqrt(g/L)", r"\sqrt{\frac{g}{L}}"),
    (r"\infty", "infinity"),
    (r"$\boxed{\frac{1}{2}}$", "1/2."),
    ("Noether's theorem", "**Noether's theorem**"),
    ("5 m", "5 m"),
    ("x·y", "x*y"),
]
DIFFERENT = [
    ("1/2", "1/3"),
    ("1/3", "0.34"),
    ("sqrt(2)/2", "sqrt(2)/3"),
    ("x^2-1", "x^2+1"),
    (r"\sin(2x)", r"2\sin x"),
    ("10^{-34}", "2*10^{-34}"),
    ("g/L", "sqrt(g/L)"),
    ("oo", "5"),
    ("pi", "-pi"),
    ("x = 5/3", "x = 5/4"),
    ("5 m", "6 m"),
    ("e^2", "2e"),
]
LEFT_TO_A_JUDGE = [
    ("5 m", "500 cm"),
    ("5 m", "5"),
    (r"5\,\text{m}", "5 m"),
    ("50%", "1/2"),
    (r"90^\circ", "pi/2"),
    ("pi", "3.14"),
    ("k_B T", "k_b T"),
    ("2*pi*R", "2*pi*r"),
    ("x=5/3", "y=5/3"),
    ("sqrt(x^2)", "x"),
    ("(-1)^n", "cos(n*pi)"),
    ("x^2/2 + C", "(x+1)^2/2 + C"),
    ("(1,2)", "(2,1)"),
    ("x>2", "x>3"),
    ("1/2x", "x/2"),
    ("f(x)", "f(y)"),
    ("Noether's theorem", "the conservation of energy"),
    ("x = 2", "x = 2 or x = 3"),
    ("1/2", ""),
    ("", ""),
]
HOSTILE = [
    "__import__('os').system('touch {here}/owned')",
    "__import__('pathlib').Path('{here}/owned').touch()",
    "open('{here}/owned', 'w')",
    "().__class__.__bases__[0].__subclasses__()",
    "exec(x)",
    "lambda x: x",
    "[x for x in (1, 2)]",
    "a if b else c",
    "f'{x}'",
    "(x := 1)",
    "x.y",
    "x[0]",
    r"\input{/etc/passwd}",
    "9**9**9**9",
    "9^9^9^9",
    "10**10**10",
    "10^{10^{10^{10}}}",
    "(10^9999)^9999",
    "factorial(10**9)",
    "(((10^99)!)!)!",
    "(" * 300,
    "-" * 390,
    "1" * 5000,
    "x^" * 100,
    "\x00",
    "\ud800",
    "1\n2",
]


@pytest.mark.parametrize(("reference", "answer"), EQUAL)
def test_the_same_value_in_another_form_is_equal(reference: str, answer: str) -> None:
    assert compare(reference, answer) == "equal"
    assert compare(answer, reference) == "equal"


@pytest.mark.parametrize(("reference", "answer"), DIFFERENT)
def test_another_value_is_different(reference: str, answer: str) -> None:
    assert compare(reference, answer) == "different"
    assert compare(answer, reference) == "different"


@pytest.mark.parametrize(("reference", "answer"), LEFT_TO_A_JUDGE)
def test_units_words_and_doubts_are_left_to_a_judge(reference: str, answer: str) -> None:
    assert compare(reference, answer) is None


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_neither_run_nor_right(text: str, tmp_path: Path) -> None:
    hostile = text.replace("{here}", str(tmp_path))
    assert compare("sqrt(2)/3", hostile) in {None, "different"}
    assert compare("1/2", hostile) in {None, "different"}
    evaluate(hostile)
    assert list(tmp_path.iterdir()) == []
    assert compare("1/2", "2/4") == "equal", "whatever became of that child, the next question is answered"


@pytest.mark.parametrize("text", HOSTILE[:13])
def test_the_reader_itself_runs_nothing(text: str, tmp_path: Path) -> None:
    """The guards before the child left out: its own reader evaluates nothing either."""
    hostile = text.replace("{here}", str(tmp_path))
    maths._pool.ask({"op": "evaluate", "expression": hostile})
    assert maths._pool.ask({"op": "compare", "reference": "sqrt(2)/3", "answer": hostile}) != "equal"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [*HOSTILE[:13], "True", "'a'", "x == 1", "x and y", "sqrt(*x)", "sqrt(x=2)", "~x"])
def test_the_plain_reader_takes_only_what_is_listed(text: str) -> None:
    spec = spec_from_file_location("maths_worker", Path(maths.__file__).with_name("maths_worker.py"))
    assert spec is not None
    assert spec.loader is not None
    worker = module_from_spec(spec)
    spec.loader.exec_module(worker)
    with pytest.raises(worker.Unreadable):
        worker.plain(text)


def test_a_child_that_computes_without_end_is_ended_by_the_kernel() -> None:
    endless = "gcd(" + "*".join(f"(x^97+y^{k}+z^89+{k})^60" for k in range(1, 9)) + ", (x+y+z)^400 + 1)"
    assert maths._pool.ask({"op": "evaluate", "expression": endless}) is None
    assert evaluate("1+1") == "2"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2+2", "4"),
        ("17*23", "391"),
        ("1/3", "1/3 = 0.333333333333 (rounded)"),
        ("sqrt(16)", "4"),
        ("2^100", str(2**100)),
        (r"\frac{1}{2}+\frac{1}{3}", "5/6 = 0.833333333333 (rounded)"),
        ("binomial(10, 3)", "120"),
        ("3x + x", "4*x"),
        ("17 % 5", None),
        ("open('x')", None),
        ("1/0", None),
    ],
)
def test_the_calculator(expression: str, value: str | None) -> None:
    assert evaluate(expression) == value


def test_a_child_gets_no_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    child = maths._pool._start()
    try:
        assert b"sk-secret" not in Path(f"/proc/{child.pid}/environ").read_bytes() if os.path.exists("/proc") else True
    finally:
        maths._end(child)


def test_children_end_with_their_parent() -> None:
    """A child that waits ends when its standard input does, also after a kill."""
    code = (
        "from autodata.domains.tasks import maths; maths.evaluate('1+1'); print(maths._pool._idle[0].pid, flush=True);"
        " import os; os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    for _ in range(500):
        if not _runs(pid):
            break
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


def test_what_is_missing_is_named_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maths, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'autodata-langgraph\[science\]'"):
        maths.require_installed()


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("$x$", "x"),
        ("$$x$$", "x"),
        (r"\(x\)", "x"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        ("**x**.", "x"),
        ("x.", "x"),
        ("`x`", "x"),
        ("x...", "x..."),
    ],
)
def test_wrapping_is_taken_off(text: str, bare: str) -> None:
    assert unwrapped(text) == bare


def test_answers_written_alike_have_one_key() -> None:
    keys = {
        answer_key(text) for text in (r"$\dfrac{1}{2} x$", r"\frac{1}{2}x", r"\frac {1}{2}\,x.", r"\left\frac{1}{2}x")
    }
    assert len(keys) == 1
    assert len({answer_key(text) for text in ("1/2", "1*2", "1^2", "12")}) == 4
