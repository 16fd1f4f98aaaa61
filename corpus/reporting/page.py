"""The page of a report: one HTML file that refers to nothing outside of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from autodata.checkpoints.errors import UserError
from autodata.corpus.reporting import figures, plots
from autodata.corpus.reporting.maps import question_map
from autodata.corpus.reporting.packing import Limit, Packed, pack
from autodata.corpus.reporting.search_picture import search_picture
from autodata.corpus.reporting.sources import Source

if TYPE_CHECKING:
    from jinja2 import Environment

NEEDED = "a report needs Jinja2: pip install 'autodata-langgraph[report]'"

MEGABYTE = 1_000_000

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'"
)
"""What the page may do: run what stands in it, and nothing that comes from elsewhere."""


@dataclass(frozen=True)
class Report:
    """A page and what a person should know of it."""

    html: str
    limit: Limit | None
    """What texts were shortened to; None when none was."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.html.encode())


def report_page(sources: Sequence[Source], *, most_bytes: int = 5 * MEGABYTE, live: str = "") -> Report:
    """Return the report of some folders: the same bytes for the same folders.

    Texts are shortened until the page has at most `most_bytes`; one of very many documents can be larger all the same.
    `live` says when the page was made, where it is served and can be asked for again. Raises UserError without Jinja2.
    """
    environment = _environment()
    template = environment.get_template("report.html")
    runs = [source for source in sources if source.search is None]
    values: dict[str, Any] = {
        "policy": POLICY,
        "title": ", ".join(source.name for source in sources),
        "runs": [_drawn(source) for source in runs],
        "searches": [
            {"source": source, "picture": search_picture(source.search)} for source in sources if source.search
        ],
        "live": live,
        "side": plots.SIDE,
        "script": _resource("logic.js") + _resource("report.js"),
        "style": _resource("report.css"),
    }
    without = template.render(**values, data=Packed("", False, None))
    data = pack(
        {"runs": [{"name": source.name, "documents": source.documents} for source in runs]},
        most_bytes - len(without.encode()) - 1_000,
    )
    return Report(template.render(**values, data=data), data.limit)


def _drawn(source: Source) -> Mapping[str, Any]:
    """Return a run with its figures and where the marks of its pictures stand."""
    documents = source.documents
    gates = figures.gates(documents)
    columns = figures.by_round(documents)
    names = figures.modes_in_order(columns)
    return {
        "source": source,
        "summary": source.summary,
        "funnel": figures.funnel(documents),
        "gates": gates,
        "scatter": plots.scatter(figures.points(documents), gates),
        "gaps": plots.gaps(figures.gap_histogram(documents), gates),
        "columns": columns,
        "modes": names,
        "modes_picture": plots.modes(columns, names),
        "map": question_map(documents, source.embedded),
        "partial": any(row["partial"] for document in documents for row in document["rounds"]),
    }


def _resource(name: str) -> str:
    return (files("autodata.corpus.reporting.templates") / name).read_text("utf-8")


def _environment() -> Environment:
    try:
        from jinja2 import FunctionLoader, StrictUndefined  # noqa: PLC0415 - an extra
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError(NEEDED) from error
    environment = ImmutableSandboxedEnvironment(
        autoescape=True,
        loader=FunctionLoader(_resource),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["percent"] = _percent
    environment.filters["figure"] = _figure
    return environment


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _figure(value: float | None, places: int = 2) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
