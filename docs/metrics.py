"""Write the table of the code's structure in docs/architecture.md: `python docs/metrics.py`, or `make docs`.

Files, lines, imports and names are read from the source. The frames between the command and a model are counted in a
simulated run, for a graph's nodes are called by LangGraph and not by a line that could be read.
"""

from __future__ import annotations

import ast
import asyncio
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from typer.testing import CliRunner

from autodata.cli.app import app
from autodata.examples import documents_folder
from autodata.jobs.event_loop import VARIABLE
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.prompts.roles import OPTIMIZER_ROLES, ROLES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"

BEFORE = {"graphs": 40, "chain": 22, "frames": 24, "sql": 32, "role": 11}
"""What was counted before the packages were divided."""

SQL = re.compile(r"^\s*(?:select\s.+\sfrom|insert\s+into|update\s+\w+\s+set|delete\s+from|pragma\s)", re.I | re.DOTALL)
"""How a text begins that is a statement."""

_PART = re.compile(r"(<!-- generated: metrics -->\n).*?(<!-- end -->)", re.DOTALL)


@cache
def packages() -> Mapping[str, Path]:
    """Return every package of the distribution by its import name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    return {name: ROOT / folder for name, folder in project["package-dir"].items() if name.startswith("autodata")}


@cache
def modules() -> Mapping[str, Path]:
    """Return every module by its import name; a package's own module has the package's."""
    return {
        package if path.stem == "__init__" else f"{package}.{path.stem}": path
        for package, folder in packages().items()
        for path in sorted(folder.glob("*.py"))
    }


@cache
def tree(name: str) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(modules()[name].read_text("utf-8"))


def imported(name: str) -> set[str]:
    """Return the modules that one imports when it is imported itself: not in functions, nor for types alone."""

    def at_import(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if not for_types and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield child
                yield from at_import(child)

    named: set[str] = set()
    for node in at_import(tree(name)):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & modules().keys()
            named |= inner or {node.module}
    return (named & modules().keys()) - {name}


def longest_chain() -> list[str]:
    """Return the longest chain of modules of which each imports the next. Raises ValueError for a circle."""
    found: dict[str, list[str]] = {}
    under_way: set[str] = set()

    def chain(name: str) -> list[str]:
        if name in under_way:
            raise ValueError(f"{name} imports itself in a circle")
        if name not in found:
            under_way.add(name)
            found[name] = [name, *max((chain(other) for other in sorted(imported(name))), key=len, default=[])]
            under_way.remove(name)
        return found[name]

    return max((chain(name) for name in modules()), key=len)


def texts(name: str) -> list[str]:
    """Return every text in a module's code, docstrings left out."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    nodes = (node for node in ast.walk(tree(name)) if isinstance(node, ast.Constant) and id(node) not in docs)
    return [node.value for node in nodes if isinstance(node.value, str)]


def with_sql() -> list[str]:
    """Return the modules that hold SQL."""
    return [name for name in modules() if any(SQL.match(text) for text in texts(name))]


def with_roles() -> list[str]:
    """Return the modules that list roles: a display or a class that names at least three of one graph.

    A new role is looked for in each of them.
    """

    def lists(node: ast.AST, roles: set[str]) -> bool:
        if isinstance(node, ast.ClassDef):
            fields = [item.target for item in node.body if isinstance(item, ast.AnnAssign)]
            names: list[object] = [field.id for field in fields if isinstance(field, ast.Name)]
        elif isinstance(node, ast.Dict):
            names = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        elif isinstance(node, ast.Tuple | ast.List | ast.Set):
            elements = [item.args[0] if isinstance(item, ast.Call) and item.args else item for item in node.elts]
            names = [item.value for item in elements if isinstance(item, ast.Constant)]
        else:
            return False
        return len(roles.intersection(name for name in names if isinstance(name, str))) >= 3

    graphs = [set(ROLES), set(OPTIMIZER_ROLES)]
    return [name for name in modules() if any(lists(node, roles) for node in ast.walk(tree(name)) for roles in graphs)]


def frames() -> list[str]:
    """Return the code of the package on the way from `autodata run` to a model, outermost first.

    Coroutines that await one another stand in one stack; the tasks that LangGraph makes each have their own, so what
    a task was made by is kept beside it.
    """
    seen: list[list[str]] = []
    real = SimulatedChatModel._agenerate
    factory_stack: dict[Any, list[str]] = {}

    def stack() -> list[str]:
        own = own_frames(sys._getframe(1))
        task = _task()
        return [*factory_stack.get(task, []), *own]

    def make(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
        factory_stack[task] = stack()
        return task

    async def watched(self: SimulatedChatModel, *args: Any, **options: Any) -> Any:
        seen.append(stack())
        return await real(self, *args, **options)

    def loop_with_factory() -> asyncio.AbstractEventLoop:
        loop = new_loop()
        loop.set_task_factory(make)
        return loop

    new_loop = asyncio.new_event_loop
    try:
        SimulatedChatModel._agenerate = watched  # type: ignore[method-assign]  # a hook, taken off below
        asyncio.events.new_event_loop = loop_with_factory
        _run_command()
    finally:
        SimulatedChatModel._agenerate = real  # type: ignore[method-assign]
        asyncio.events.new_event_loop = new_loop
    # The loop runs under the command, so that the command's frames stand below each task's: each function counts once.
    ways = [list(dict.fromkeys(found)) for found in seen]
    return max(ways, key=len)


def _task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs yet
        return None


def own_frames(frame: FrameType | None) -> list[str]:
    """Return the package's functions on a stack, outermost first."""
    places = {str(folder): name for name, folder in packages().items()}
    found: list[str] = []
    while frame is not None:
        code: CodeType = frame.f_code
        path = Path(code.co_filename)
        if str(path.parent) in places:
            found.append(f"{places[str(path.parent)]}.{path.stem}:{code.co_qualname}")
        frame = frame.f_back
    return found[::-1]


def _run_command() -> None:
    """Run one example document on simulated models, as typed."""
    with tempfile.TemporaryDirectory() as place:
        config = Path(place) / "autodata.toml"
        config.write_text(
            'max_rounds = 2\nlimit = 1\n[models.default]\nprovider = "simulated"\nmodel = "strong"\n', "utf-8"
        )
        arguments = ["run", "--config", str(config), "--documents", str(documents_folder()), "--out", f"{place}/run"]
        # The hooks are in asyncio's own loops and tasks.
        result = CliRunner().invoke(app, arguments, env={VARIABLE: "asyncio"})
        if result.exit_code != 0:
            raise RuntimeError(f"the run that is measured failed: {result.output}")


def folders() -> list[tuple[str, int, int]]:
    """Return every package's folder, its files and their lines, to the next hundred, in the order of the packages."""
    rows = []
    for folder in packages().values():
        files = sorted(folder.glob("*.py"))
        lines = sum(len(path.read_text("utf-8").splitlines()) for path in files)
        rows.append((f"{folder.relative_to(ROOT)}/", len(files), round(lines, -2) or lines))
    return rows


FIGURES: Mapping[str, tuple[str, Callable[[], int]]] = {
    "graphs": ("files in `graphs/`", lambda: len(list(packages()["autodata.graphs"].glob("*.py")))),
    "chain": ("modules in the longest chain of imports", lambda: len(longest_chain())),
    "frames": ("own frames from command to model call", lambda: len(frames())),
    "sql": ("modules that hold SQL", lambda: len(with_sql())),
    "role": ("modules that list roles", lambda: len(with_roles())),
}
"""What the table compares: name and how it is counted."""


def table() -> str:
    """Return both tables as they are now."""
    rows = [f"| {said} | {BEFORE[name]} | {count()} |" for name, (said, count) in FIGURES.items()]
    of_folders = [f"| `{folder}` | {files} | {lines:,} |" for folder, files, lines in folders()]
    compared = ["| what is counted | before | now |", "|---|---|---|", *rows]
    return "\n".join([*compared, "", "| folder | files | lines, about |", "|---|---|---|", *of_folders])


def rendered(text: str) -> str:
    """Return the page with its tables as they are now."""
    return _PART.sub(lambda match: f"{match[1]}{table()}\n{match[2]}", text)


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text("utf-8")), "utf-8")
