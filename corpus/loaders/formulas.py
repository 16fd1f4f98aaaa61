"""Formulas of Office files and of MathML as LaTeX: readers of their text alone would lose them without a word."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

OMML: Final = "http://schemas.openxmlformats.org/officeDocument/2006/math"
_WORD: Final = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_DRAWING: Final = "http://schemas.openxmlformats.org/drawingml/2006/main"
_COMPATIBLE: Final = "http://schemas.openxmlformats.org/markup-compatibility/2006"
_SLIDE_FORMULA: Final = "http://schemas.microsoft.com/office/drawing/2010/main"

Parts = Mapping[str, str]


def _group(text: str) -> str:
    return text if len(text) == 1 else f"{{{text}}}"


_FORMS: Final[Mapping[str, Callable[[Parts], str]]] = {
    "f": lambda p: f"\\frac{{{p['num']}}}{{{p['den']}}}",
    "sSup": lambda p: f"{_base(p['e'])}^{_group(p['sup'])}",
    "sSub": lambda p: f"{_base(p['e'])}_{_group(p['sub'])}",
    "sSubSup": lambda p: f"{_base(p['e'])}_{_group(p['sub'])}^{_group(p['sup'])}",
    "sPre": lambda p: f"{{}}_{_group(p['sub'])}^{_group(p['sup'])}{_base(p['e'])}",
    "rad": lambda p: f"\\sqrt{'[' + p['deg'] + ']' if p['deg'] else ''}{{{p['e']}}}",
    "nary": lambda p: f"{p['chr'] or '∫'}{_limits(p['sub'], p['sup'])} {p['e']}",
    "func": lambda p: f"{p['fName']} {p['e']}",
    "limLow": lambda p: f"{_base(p['e'])}_{_group(p['lim'])}",
    "limUpp": lambda p: f"{_base(p['e'])}^{_group(p['lim'])}",
    "bar": lambda p: f"\\overline{{{p['e']}}}",
    "acc": lambda p: f"{p['e']}{p['chr'] or chr(0x302)}",
}
"""What an element of a Word formula is in LaTeX, by its parts."""


def _matrix(rows: Sequence[str]) -> str:
    return "\\begin{matrix} " + r" \\ ".join(rows) + " \\end{matrix}"


def _base(text: str) -> str:
    return text if len(text) == 1 or text.isalnum() or text.startswith(("(", "[", "\\")) else f"{{{text}}}"


def _limits(low: str, high: str) -> str:
    return (f"_{_group(low)}" if low else "") + (f"^{_group(high)}" if high else "")


class _Read(dict[str, str]):
    """The parts of an element, empty for one that it lacks."""

    def __missing__(self, name: str) -> str:
        return ""


def omml_text(element: Any) -> str:
    """Return a formula of Word or PowerPoint, an element of lxml, as LaTeX; signs stay as they are."""
    name = _local(element)
    if name == "t" or name.endswith("Pr"):
        return (element.text or "") if name == "t" else ""
    children = [child for child in element if isinstance(child.tag, str)]
    if name == "d":
        return _delimited(element, [omml_text(child) for child in children if _local(child) == "e"])
    if name == "m":
        rows = [" & ".join(omml_text(cell) for cell in row) for row in children if _local(row) == "mr"]
        return _matrix(rows)
    if name == "eqArr":
        return r" \\ ".join(omml_text(child) for child in children if _local(child) == "e")
    if form := _FORMS.get(name):
        parts = _Read({_local(child): omml_text(child).strip() for child in children})
        parts["chr"] = _property(element, "chr") or ""
        return form(parts)
    return "".join(map(omml_text, children))


def _delimited(element: Any, parts: Sequence[str]) -> str:
    begin, between, end = (_property(element, name) for name in ("begChr", "sepChr", "endChr"))
    inside = ("|" if between is None else between).join(parts)
    return f"{'(' if begin is None else begin}{inside}{')' if end is None else end}"


def _property(element: Any, name: str) -> str | None:
    """Return a property of a formula's element; None where it is not stated."""
    found = element.find(f"./{{*}}{_local(element)}Pr/{{*}}{name}")
    return None if found is None else str(found.get(f"{{{OMML}}}val") or "")


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def with_formulas(data: bytes) -> tuple[bytes, int]:
    """Return an Office file whose formulas are text, and how many they were.

    Raises what zipfile and lxml raise for a damaged one.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist() if _may_hold(entry.filename)}
        changed = {name: _rewritten(xml) for name, xml in parts.items() if b"oMath" in xml}
        if not changed:
            return data, 0
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
            for entry in archive.infolist():
                written.writestr(
                    entry.filename, changed[entry.filename][0] if entry.filename in changed else archive.read(entry)
                )
    return out.getvalue(), sum(count for _, count in changed.values())


def _may_hold(name: str) -> bool:
    return name.endswith(".xml") and (name.startswith("word/") or name.startswith("ppt/slides/"))


def _rewritten(xml: bytes) -> tuple[bytes, int]:
    """Return a part of an Office file with each formula as a run of text, and their number."""
    from lxml import etree  # noqa: PLC0415 - an optional extra

    root = etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))
    for either in list(root.iter(f"{{{_COMPATIBLE}}}AlternateContent")):
        _choose(either)
    formulas = [one for one in root.iter(f"{{{OMML}}}oMath") if _local(one.getparent()) != "oMath"]
    for formula in formulas:
        _replace(formula, f"${' '.join(omml_text(formula).split())}$", etree)
    for outer in [*root.iter(f"{{{OMML}}}oMathPara"), *root.iter(f"{{{_SLIDE_FORMULA}}}m")]:
        for child in reversed(list(outer)):
            if _local(child) == "r" and child.tag != f"{{{OMML}}}r":
                outer.addnext(child)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, standalone=True), len(formulas)


def _choose(either: Any) -> None:
    """Put the choice that holds a formula in the place of what programs choose from; the other one is a picture."""
    choice = either.find(f"./{{{_COMPATIBLE}}}Choice")
    if choice is None or next(choice.iter(f"{{{OMML}}}oMath"), None) is None:
        return
    for child in reversed(list(choice)):
        either.addnext(child)
    either.getparent().remove(either)


def _replace(formula: Any, text: str, etree: Any) -> None:
    """Put a run of text in a formula's place, as the file's format has runs."""
    slide = any(_local(one) == "txBody" for one in formula.iterancestors())
    space = _DRAWING if slide else _WORD
    run = etree.Element(f"{{{space}}}r")
    words = etree.SubElement(run, f"{{{space}}}t")
    words.text = f" {text} "
    words.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
    formula.addprevious(run)
    formula.getparent().remove(formula)


_MATHML: Final[Mapping[str, Callable[[Sequence[str]], str]]] = {
    "mfrac": lambda p: f"\\frac{{{p[0]}}}{{{p[1]}}}",
    "msup": lambda p: f"{_base(p[0])}^{_group(p[1])}",
    "msub": lambda p: f"{_base(p[0])}_{_group(p[1])}",
    "mover": lambda p: f"{_base(p[0])}^{_group(p[1])}",
    "munder": lambda p: f"{_base(p[0])}_{_group(p[1])}",
    "msubsup": lambda p: f"{_base(p[0])}_{_group(p[1])}^{_group(p[2])}",
    "munderover": lambda p: f"{_base(p[0])}_{_group(p[1])}^{_group(p[2])}",
    "mroot": lambda p: f"\\sqrt[{p[1]}]{{{p[0]}}}",
    "msqrt": lambda p: f"\\sqrt{{{''.join(p)}}}",
    "mtr": " & ".join,
    "mtable": _matrix,
}
_LEAST: Final = {"mfrac": 2, "msup": 2, "msub": 2, "mover": 2, "munder": 2, "msubsup": 3, "munderover": 3, "mroot": 2}
_STYLE: Final = re.compile(r"^\s*\{\s*\\displaystyle\s(.*)\}\s*$", re.DOTALL)


def mathml_text(element: Any) -> str:
    """Return a formula of MathML, an element of BeautifulSoup, as LaTeX: as it states it itself where it does."""
    stated = element.find("annotation", encoding=re.compile("tex", re.IGNORECASE))
    tex = stated.get_text() if stated is not None else str(element.get("alttext") or "")
    if not tex.strip():
        tex = _mathml(element)
    found = _STYLE.match(tex)
    return " ".join((found[1] if found else tex).split())


def _mathml(element: Any) -> str:
    children = [child for child in element.children if getattr(child, "name", None)]
    if not children:
        return " ".join(element.get_text().split())
    parts = [_mathml(child) for child in children if child.name not in {"annotation", "annotation-xml"}]
    form = _MATHML.get(element.name)
    return form(parts) if form and len(parts) >= _LEAST.get(element.name, 1) else "".join(parts)
