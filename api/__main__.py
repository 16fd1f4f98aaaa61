"""`python -m autodata`: the command line, where its script is not on the path."""

from __future__ import annotations

import sys

from autodata.cli.app import main

if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.stderr.write("autodata: stopped\n")
        raise SystemExit(1) from None
