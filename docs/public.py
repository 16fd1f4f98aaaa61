"""Write docs/api.md, and the table of events in docs/composition.md: `python docs/public.py`, or `make docs`.

The page says what the code says: names, signatures, fields and docstrings. So a change of the public interface is a
change of the page, which a review sees.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

import autodata
from autodata.nodes import events

HERE = Path(__file__).parent
_PART = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def summary(thing: Any) -> str:
    """Return the first paragraph of a docstring on one line. Raises ValueError when there is none."""
    text = inspect.getdoc(thing) or ""
    if not text or text.startswith(("dict() ->", "Usage docs:")):
        raise ValueError(f"{getattr(thing, '__name__', thing)} is public and has no docstring")
    return " ".join(text.split("\n\n")[0].split())


def signature(name: str, thing: Callable[..., Any]) -> str:
    """Return a function's name and signature as they stand in its source."""
    function = inspect.unwrap(thing)
    found = inspect.signature(function)
    parameters = [_shown(p, function) for p in found.parameters.values() if p.name != "self"]
    shown = found.replace(parameters=parameters, return_annotation=_Text(found.return_annotation))
    return f"{'async ' if inspect.iscoroutinefunction(thing) else ''}{name}{shown}"


class _Text:
    """Source text, shown without quotes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _shown(parameter: inspect.Parameter, function: Callable[..., Any]) -> inspect.Parameter:
    """Return a parameter with its annotation as written, and a constant of the module as its default by name."""
    default = parameter.default
    constants = [name for name, value in inspect.unwrap(function).__globals__.items() if value is default]
    if constants and not isinstance(default, str | int | None):
        default = _Text(constants[0])
    return parameter.replace(annotation=_Text(parameter.annotation), default=default)


def fields(cls: type) -> dict[str, str]:
    """Return the fields of a record, a dataclass or a TypedDict, base classes first, with their types as written."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("autodata."):
            found |= vars(base).get("__annotations__", {})
    written = {name: str(getattr(kind, "__forward_arg__", kind)) for name, kind in found.items()}
    return {name: kind for name, kind in written.items() if not name.startswith("_") and "ClassVar" not in kind}


def methods(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield what the class itself defines to be called or read, in order."""
    for name, member in vars(cls).items():
        if name.startswith(("_", "model_")):
            continue
        if inspect.isfunction(member) or isinstance(member, property | classmethod):
            yield name, member


def entry(name: str, thing: Any) -> str:
    """Return what the page says of one public name."""
    if get_origin(thing) is not None:
        kinds = ", ".join(f"`{member.__name__}`" for member in get_args(get_args(thing)[0]))
        return f"### `{name}`\n\nAny event of a graph, recognised by its field `event`: {kinds}."
    if inspect.isfunction(thing):
        return f"### `{name}`\n\n    {signature(name, thing)}\n\n{summary(thing)}"
    lines = [f"### `{name}`", "", summary(thing)]
    shown = [f"- `{field}: {kind}`" for field, kind in fields(thing).items()]
    for method, member in methods(thing):
        if isinstance(member, property):
            shown.append(f"- `{method}`: {summary(member)}")
        elif inspect.isfunction(member):
            shown.append(f"- `{signature(method, member)}`: {summary(member)}")
    return "\n".join([*lines, *([""] if shown else []), *shown])


def api() -> str:
    """Return the list of all public names."""
    return "\n\n".join(entry(name, getattr(autodata, name)) for name in autodata.__all__)


def table_of_events() -> str:
    """Return a table of all events: name, type, what happened, and the values beside `event`, `document_id`, `n`."""
    rows = ["| event | type | what happened | values |", "|---|---|---|---|"]
    for kind in get_args(get_args(events.GraphEvent)[0]):
        assert issubclass(kind, BaseModel)
        [name] = get_args(kind.model_fields["event"].annotation)
        values = [field for field in kind.model_fields if field not in {"event", "document_id", "n"}]
        rows.append(f"| `{name}` | `{kind.__name__}` | {summary(kind)} | {', '.join(f'`{v}`' for v in values)} |")
    return "\n".join(rows)


PAGES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "api.md": {"api": api},
    "composition.md": {"events": table_of_events},
}
"""The pages with generated parts, and what writes each part."""


def rendered(page: str, text: str) -> str:
    """Return a page's text with every generated part as it is now. Raises KeyError for a part that is not known."""
    return _PART.sub(lambda match: f"{match[1]}{PAGES[page][match[2]]()}\n{match[3]}", text)


if __name__ == "__main__":
    for page in PAGES:
        (HERE / page).write_text(rendered(page, (HERE / page).read_text("utf-8")), "utf-8")
