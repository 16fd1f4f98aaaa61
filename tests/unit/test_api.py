"""The public interface: what docs/api.md lists is what can be imported, and all of it says what it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autodata import graphs
from docs import public

DOCS = Path(public.__file__).parent


@pytest.mark.parametrize("page", public.PAGES)
def test_generated_parts_are_up_to_date(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    assert text == public.rendered(page, text), "type: make docs"
    assert re.findall(r"<!-- generated: (\S+) -->", text) == list(public.PAGES[page])
    assert text.count("<!-- end -->") == len(public.PAGES[page])


def test_the_page_lists_every_public_name_once() -> None:
    listed = re.findall(r"^### `(\w+)`$", (DOCS / "api.md").read_text("utf-8"), re.MULTILINE)
    assert listed == graphs.__all__ == sorted(set(graphs.__all__))


def test_nothing_public_stands_outside_the_list() -> None:
    """Only the package's own modules may be seen beside what is listed."""
    seen = {name for name in vars(graphs) if not name.startswith("_")}
    modules = {path.stem for path in Path(next(iter(graphs.__path__))).glob("*.py")}
    assert seen - set(graphs.__all__) <= modules


def test_what_composition_imports_is_public() -> None:
    page = (DOCS / "composition.md").read_text("utf-8")
    imported = re.findall(r"^from autodata\.(\S+) import \(?([^)]*?)\)?$", page, re.MULTILINE)
    assert imported
    for module, names in imported:
        assert module == "graphs"
        assert set(re.findall(r"\w+", names)) <= set(graphs.__all__)


def test_a_public_name_without_a_docstring_is_refused() -> None:
    def bare() -> None: ...

    with pytest.raises(ValueError, match="bare is public and has no docstring"):
        public.entry("bare", bare)
