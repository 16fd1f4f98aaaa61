"""A rule of the linter is set aside only with a reason beside it; the linter itself refuses what nothing needs."""

from __future__ import annotations

import io
import re
import tokenize

from tests.support.packages import PACKAGES, ROOT

WITH_REASON = re.compile(r"# noqa: [A-Z]+\d+(, [A-Z]+\d+)* - \w")
FOLDERS = ("benchmarks", "docs", "tests")


def bare(text: str) -> list[str]:
    """Return the comments of a module that set a rule aside without a reason, or set all aside."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT and "noqa" in token.string]
    return [comment for comment in comments if not WITH_REASON.search(comment)]


def test_a_reason_stands_beside_each() -> None:
    modules = [path for folder in ("api", "examples", *PACKAGES, *FOLDERS) for path in (ROOT / folder).rglob("*.py")]
    found = {
        f"{path.relative_to(ROOT)}: {comment}"
        for path in modules
        if "noqa" in (text := path.read_text("utf-8"))
        for comment in bare(text)
    }
    assert len(modules) > 400
    assert found == set()


def test_what_has_no_reason_is_found() -> None:
    assert bare("import x  # noqa: F401\n") == ["# noqa: F401"]
    assert bare("import x  # noqa\n") == ["# noqa"]
    assert bare("import x  # noqa: F401 - what every life needs\n") == []
    assert bare("X = '# noqa: F401'\n") == []
