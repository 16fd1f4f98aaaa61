"""What is known against the locked dependencies: vulnerabilities, and releases that were taken back. `make audit`.

pip-audit asks PyPI, and OSV about what PyPI did not answer; pip's report says which releases are yanked (PEP 592). What
nobody answered is not known to be sound: it fails. With `--where-reachable`, as in CI, package registries alone are
asked, and what they do not answer is said and no more.
Standard library alone: it runs where `audit.txt` is installed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
SERVICES = ("pypi", "osv")
SECONDS = 300
"""How long one question may take in all."""
_PIN = re.compile(r"^[A-Za-z0-9][^ \\\n]*==[^ \\\n]+(?: ; [^\\\n]*)?", re.MULTILINE)

Ask = Callable[[Sequence[str]], tuple[str, str]]
"""Runs a module of this Python; returns what it printed, and its last words on the error stream."""


@dataclass
class Looked:
    """What came of a question about all dependencies."""

    what: str
    known: dict[str, list[str]] = field(default_factory=dict)
    """Name and version of each dependency that was answered -> what is known against it."""
    unanswered: str = ""
    """What was not answered and why, empty where all was."""

    @property
    def against(self) -> list[str]:
        """Return what is known against any, a line each."""
        return [f"{name}: {', '.join(dict.fromkeys(said))}" for name, said in sorted(self.known.items()) if said]


def run(command: Sequence[str]) -> tuple[str, str]:
    """Run a module, as `Ask`."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {SECONDS} seconds"
    return done.stdout, (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200]


def vulnerabilities(lock: Path, ask: Ask = run, services: Sequence[str] = SERVICES) -> Looked:
    """Look up known vulnerabilities by every service until all dependencies are answered."""
    looked, reasons, missing = Looked("known vulnerabilities"), [], set[str]()
    for service in services:
        command = ["pip_audit", "--require-hashes", "--disable-pip", "-r", str(lock), "-s", service]
        printed, last = ask([*command, "-f", "json", "--progress-spinner", "off"])
        try:
            found: list[dict[str, Any]] = json.loads(printed)["dependencies"]
        except (ValueError, KeyError):
            reasons.append(f"{service}: {last}")
            continue
        for one in found:
            if "skip_reason" in one:
                missing.add(one["name"])
            else:
                key = f"{one['name']} {one['version']}"
                looked.known.setdefault(key, []).extend(known["id"] for known in one["vulns"])
        missing -= {name.split()[0] for name in looked.known}
        if not missing:
            return looked
        reasons.append(f"{service} does not answer about {len(missing)}, {min(missing)} for instance")
    looked.unanswered = "; ".join(reasons)
    return looked


def taken_back(lock: Path, ask: Ask = run) -> Looked:
    """Look up which locked releases were yanked; nothing is installed."""
    looked = Looked("releases taken back")
    with tempfile.TemporaryDirectory() as scratch:
        pins, report = Path(scratch) / "pins.txt", Path(scratch) / "report.json"
        pins.write_text("\n".join(_PIN.findall(lock.read_text("utf-8"))) + "\n", "utf-8")
        command = ["pip", "install", "--quiet", "--no-input", "--dry-run", "--ignore-installed", "--no-deps"]
        _, last = ask([*command, "--report", str(report), "-r", str(pins)])
        if not report.exists():
            looked.unanswered = last
            return looked
        for one in json.loads(report.read_text("utf-8"))["install"]:
            name = f"{one['metadata']['name']} {one['metadata']['version']}"
            looked.known[name] = ["its release was taken back"] if one["is_yanked"] else []
    return looked


def verdict(looked: Sequence[Looked], *, where_reachable: bool) -> int:
    """Print what is known; return the exit code: 1 for anything against a dependency, 2 for what was not answered."""
    code = 0
    for one in looked:
        for line in one.against:
            print(line)
            code = 1
        if one.unanswered:
            print(f"not looked up: {one.what} ({one.unanswered})")
            code = code or (0 if where_reachable else 2)
        else:
            print(f"{one.what}: {len(one.against)} of {len(one.known)} dependencies")
    return code


def main() -> None:
    """Look up both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--where-reachable", action="store_true", help="what nobody answered about fails nothing")
    chosen = parser.parse_args()
    services = SERVICES[:1] if chosen.where_reachable else SERVICES
    looked = [vulnerabilities(LOCK, services=services), taken_back(LOCK)]
    sys.exit(verdict(looked, where_reachable=chosen.where_reachable))


if __name__ == "__main__":
    main()
