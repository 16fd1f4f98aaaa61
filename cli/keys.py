"""Single keys from a terminal, or from lines where there is none."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty

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
            while select.select([file], [], [], 0)[0] and os.read(file, 1):
                pass
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)
    return END if key in {b"", b"\x03", b"\x04"} else key.decode(errors="ignore").strip("\x1b\r\n").lower()


def read_line(prompt: str) -> str:
    """Return a line that a person types, without blank ends; empty when it is broken off."""
    try:
        return input(prompt).strip()
    except (KeyboardInterrupt, EOFError):
        sys.stdout.write("\n")
        return ""
