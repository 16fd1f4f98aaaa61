"""The public interface: what docs/api.md lists is what can be imported, and all of it says what it is."""

from __future__ import annotations

import ast
import re
from importlib.metadata import version
from inspect import ismodule
from pathlib import Path

import pytest

import autodata
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
    assert listed == autodata.__all__ == sorted(set(autodata.__all__))


def test_nothing_public_stands_outside_the_list() -> None:
    """Only the package's own modules may be seen beside what is listed."""
    seen = {name for name, value in vars(autodata).items() if not name.startswith("_") and not ismodule(value)}
    assert seen - {"Any", "TYPE_CHECKING", "annotations", "import_module"} <= set(autodata.__all__)


def test_what_type_checkers_see_is_what_is_listed() -> None:
    tree = ast.parse(Path(autodata.__file__).read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    checked = {a.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assert checked == autodata._HOME_OF
    assert all(getattr(autodata, name) is not None for name in autodata.__all__)
    assert autodata.__version__ == version("autodata-langgraph")


def test_what_composition_imports_is_public() -> None:
    page = (DOCS / "composition.md").read_text("utf-8")
    imported = re.findall(r"^from (autodata\S*) import \(?([^)]*?)\)?$", page, re.MULTILINE)
    assert imported
    for module, names in imported:
        assert module == "autodata"
        assert set(re.findall(r"\w+", names)) <= set(autodata.__all__)


def test_a_public_name_without_a_docstring_is_refused() -> None:
    def bare() -> None: ...

    with pytest.raises(ValueError, match="bare is public and has no docstring"):
        public.entry("bare", bare)


def test_names_that_moved_are_still_found_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="import open_services from autodata, not from autodata.graphs"):
        assert graphs.open_services is autodata.open_services
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = graphs.nothing
