"""Single keys from a terminal, or from lines where there is none."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

END = "q"
"""What the end of the input, Ctrl-C and Ctrl-D stand for."""


def read_key() -> str:
    """Return the key a person presses, in lower case; without a terminal the first character of a line.

    Keys pressed ahead are kept, and what arrow and function keys send is no key at all: it returns as empty.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip()[:1].lower() if line else END
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    try:
        tty.setraw(file, termios.TCSADRAIN)  # the default would throw away what was typed ahead
        key = os.read(file, 1)
        if key == b"\x1b":
            _rest_of_sequence(file)
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)
    return END if key in {b"", b"\x03", b"\x04"} else key.decode(errors="ignore").strip("\x1b\r\n").lower()


def _rest_of_sequence(file: int) -> None:
    """Read what follows an escape that an arrow or function key sent; a bare Escape is followed by nothing."""

    def following() -> bytes:
        return os.read(file, 1) if select.select([file], [], [], 0)[0] else b""

    if following() in {b"[", b"O"}:
        while (byte := following()) and not b"@" <= byte <= b"~":
            pass


@contextmanager
def held() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Keep the terminal from echoing and gathering lines, so that no key is lost or shown before it is asked for.

    The value lets go of it for a while, for a line to be typed or another program. Does nothing without a terminal.
    """
    if not sys.stdin.isatty():
        yield nullcontext
        return
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    keys = termios.tcgetattr(file)
    keys[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)

    @contextmanager
    def released() -> Iterator[None]:
        termios.tcsetattr(file, termios.TCSADRAIN, before)
        try:
            yield
        finally:
            termios.tcsetattr(file, termios.TCSADRAIN, keys)

    termios.tcsetattr(file, termios.TCSADRAIN, keys)
    try:
        yield released
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


def read_line(prompt: str) -> str:
    """Return a line that a person types, without blank ends; empty when it is broken off."""
    try:
        return input(prompt).strip()
    except (KeyboardInterrupt, EOFError):
        sys.stdout.write("\n")
        return ""
