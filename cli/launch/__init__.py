"""Entry point of the `autodata` command: outside the package, so that it can say when another package hides it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_INSTALLED = Path(__file__).absolute().parents[1] / "autodata" / "__init__.py"
_CHECKOUT = Path(__file__).absolute().parents[2] / "api" / "__init__.py"


def main() -> None:
    """Start the command line, or name the package that hides this one and how to remove it (exit code 2)."""
    spec = importlib.util.find_spec("autodata")
    if spec is not None and spec.origin is not None and Path(spec.origin).absolute() not in {_INSTALLED, _CHECKOUT}:
        sys.stderr.write(
            f"autodata: another package named 'autodata' is installed ({spec.origin}) and hides this one:"
            " type 'pip uninstall autodata'\n"
        )
        raise SystemExit(2)
    try:
        from autodata.cli.app import main as command

        command()
    except KeyboardInterrupt:
        sys.stderr.write("autodata: stopped\n")
        raise SystemExit(1) from None
