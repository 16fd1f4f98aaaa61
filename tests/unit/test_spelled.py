"""What documents show by their looks is in their text: powers, formulas, charts, cells over rows, code as it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import docx
import pptx
import pytest
from docx.oxml import parse_xml
from lxml import etree
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE

from autodata.checkpoints.records import Document, Skipped
from autodata.corpus.loaders.base import Reading
from autodata.corpus.loaders.formulas import OMML, omml_text
from autodata.corpus.loaders.marks import lowered, raised
from autodata.corpus.loaders.plain import tex_text
from autodata.corpus.loaders.tex import without_comments
from tests.unit.test_loaders import only, read

BEFORE = Reading(version=2)
SPACES = f'xmlns:m="{OMML}" xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
FORMULA = (
    f"<m:oMath {SPACES}><m:r><m:t>E=</m:t></m:r><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num>"
    "<m:den><m:r><m:t>c</m:t></m:r></m:den></m:f></m:oMath>"
)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("5", "^5"),
        ("-12", "^-12"),
        ("n+1", "^(n+1)"),
        (" 2 ", " ^2 "),
        ("st", "st"),
        ("TM", "TM"),
        ("[3]", "[3]"),
        ("", ""),
        ("^2", "^2"),
    ],
)
def test_what_is_raised(text: str, spelled: str) -> None:
    assert raised(text) == spelled


@pytest.mark.parametrize(
    ("before", "text", "spelled"),
    [
        ("H", "2", "2"),
        ("(NH4)", "2", "2"),
        ("x", "2", "_2"),
        ("x", "i", "_i"),
        ("11", "2", "_2"),
        ("T", "max", "_max"),
        ("x", "i,j+1", "_(i,j+1)"),
    ],
)
def test_what_is_lowered(before: str, text: str, spelled: str) -> None:
    assert lowered(text, before) == spelled


def omml(inner: str) -> Any:
    return etree.fromstring(f"<m:oMath {SPACES}>{inner}</m:oMath>")


def t(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


@pytest.mark.parametrize(
    ("inner", "latex"),
    [
        (f"<m:sSup><m:e>{t('v')}</m:e><m:sup>{t('2')}</m:sup></m:sSup>", "v^2"),
        (f"<m:sSup><m:e>{t('a+b')}</m:e><m:sup>{t('10')}</m:sup></m:sSup>", "{a+b}^{10}"),
        (f"<m:sSubSup><m:e>{t('x')}</m:e><m:sub>{t('i')}</m:sub><m:sup>{t('n')}</m:sup></m:sSubSup>", "x_i^n"),
        (f"<m:rad><m:deg/><m:e>{t('x')}</m:e></m:rad>", r"\sqrt{x}"),
        (f"<m:rad><m:deg>{t('3')}</m:deg><m:e>{t('x')}</m:e></m:rad>", r"\sqrt[3]{x}"),
        (
            '<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr>'
            f"<m:sub>{t('i=1')}</m:sub><m:sup>{t('n')}</m:sup><m:e>{t('i')}</m:e></m:nary>",
            "∑_{i=1}^n i",
        ),
        (f"<m:d><m:dPr/><m:e>{t('a')}</m:e><m:e>{t('b')}</m:e></m:d>", "(a|b)"),
        (f'<m:d><m:dPr><m:begChr m:val="["/><m:endChr m:val=""/></m:dPr><m:e>{t("a")}</m:e></m:d>', "[a"),
        (
            f"<m:m><m:mr><m:e>{t('a')}</m:e><m:e>{t('b')}</m:e></m:mr><m:mr><m:e>{t('c')}</m:e><m:e>{t('d')}</m:e></m:mr></m:m>",
            r"\begin{matrix} a & b \\ c & d \end{matrix}",
        ),
        (f"<m:strange>{t('kept')}</m:strange>", "kept"),
    ],
)
def test_formulas_of_word(inner: str, latex: str) -> None:
    assert omml_text(omml(inner)) == latex


def test_word_says_its_powers_and_formulas(tmp_path: Path) -> None:
    made = docx.Document()
    line = made.add_paragraph("Load is 10")
    line.add_run("5").font.superscript = True
    line.add_run(" N,")
    line._p.append(parse_xml(FORMULA))
    line.add_run("so x")
    line.add_run("i").font.subscript = True
    alone = made.add_paragraph()
    alone._p.append(parse_xml(f"<m:oMathPara {SPACES}>{FORMULA}</m:oMathPara>"))
    made.save(str(tmp_path / "a.docx"))
    assert only(tmp_path / "a.docx").text == "Load is 10^5 N, $E=\\frac{a+b}{c}$ so x_i\n\n$E=\\frac{a+b}{c}$"
    assert only(tmp_path / "a.docx", reading=BEFORE).text == "Load is 105 N,so xi"


def test_slides_say_their_powers_charts_and_formulas(tmp_path: Path) -> None:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = "Loads"
    line = slide.placeholders[1].text_frame.paragraphs[0]
    line.add_run().text = "10"
    power = line.add_run()
    power.text = "5"
    power.font._element.set("baseline", "30000")
    line.add_run().text = " newtons"
    math = etree.SubElement(line._p, "{http://schemas.microsoft.com/office/drawing/2010/main}m")
    math.append(etree.fromstring(f"<m:oMathPara {SPACES}>{FORMULA}</m:oMathPara>"))
    made_of: Any = CategoryChartData
    data = made_of()
    data.categories = ["1907", "1911"]
    data.add_series("height", (12, 14.5))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 9999, 9999, data)
    made.save(str(tmp_path / "a.pptx"))
    assert only(tmp_path / "a.pptx").text == (
        "## Loads\n\n10^5 newtons $E=\\frac{a+b}{c}$\n\n"
        "Chart:\n\n|  | height |\n| --- | --- |\n| 1907 | 12 |\n| 1911 | 14.5 |"
    )
    assert only(tmp_path / "a.pptx", reading=BEFORE).text == "## Loads\n\n105 newtons"


KATEX = (
    '<span class="katex"><span class="katex-mathml"><math><mi>y</mi><annotation encoding="application/x-tex">'
    'y^2</annotation></math></span><span class="katex-html" aria-hidden="true">y2</span></span>'
)
WIKI = (
    '<span class="mwe-math-element"><span style="display: none;"><math alttext="{\\displaystyle x^{2}}">'
    "<mi>x</mi></math></span><img alt='x'></span>"
)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("10<sup>5</sup> of H<sub>2</sub>O, the 1<sup>st</sup> of x<sub>i</sub>", "10^5 of H2O, the 1st of x_i"),
        (f"a {KATEX} b", "a $y^2$ b"),
        (f"a {WIKI} b", "a $x^{2}$ b"),
        ('a <span class="MathJax">drawn</span><script type="math/tex">a  +b</script>', "a $a +b$"),
        (
            "<math><msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><mfrac><mn>1</mn><mn>3</mn></mfrac></math>",
            r"$x^2+\frac{1}{3}$",
        ),
        (
            "a <mjx-container>drawn<mjx-assistive-mml><math><mi>z</mi></math></mjx-assistive-mml></mjx-container>",
            "a $z$",
        ),
        ("shown<span hidden> no</span><span style='color:red;display: none'> nor</span>", "shown"),
        ("con&shy;tent of it", "content of it"),
    ],
)
def test_a_page_says_what_it_shows(tmp_path: Path, html: str, text: str) -> None:
    (tmp_path / "a.html").write_text(f"<p>{html}</p>")
    assert only(tmp_path / "a.html").text == text
    (tmp_path / "b.html").write_text("<p>10<sup>5</sup></p>")
    assert only(tmp_path / "b.html", reading=BEFORE).text == "105"


def test_cells_over_several_rows_stand_in_each_of_them(tmp_path: Path) -> None:
    rows = (
        "<tr><th>year<th>part<th>m</tr><tr><td rowspan=2>1907<td>foot<td>12</tr><tr><td>top<td rowspan='9'>3</tr>"
        "<tr><td colspan=2>all</tr>"
    )
    (tmp_path / "a.html").write_text(f"<table>{rows}</table>")
    lines = [line.replace(" ", "") for line in only(tmp_path / "a.html").text.splitlines()]
    assert lines[2:4] == ["|1907|foot|12|", "|1907|top|3|"]
    assert lines[4].startswith("|all|")
    assert lines[4].endswith("|3|")


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("a % remark", "a"),
        (r"5\% of it % remark", r"5\% of it"),
        (r"line \\% remark", r"line \\"),
        (r"\url{http://a.b/c%20d} % remark", r"\url{http://a.b/c%20d}"),
        (r"\verb|50%| and % remark", r"\verb|50%| and"),
        (r"\lstinline{a % b} rest", r"\lstinline{a % b} rest"),
        ("first\n% remark\nsecond", "first\nsecond"),
        ("first\n\nsecond", "first\n\nsecond"),
        ("\\begin{lstlisting}\nx % 2\n\\end{lstlisting}\ny % no", "\\begin{lstlisting}\nx % 2\n\\end{lstlisting}\ny"),
        ("\\begin{verbatim}\nnever closed % kept", "\\begin{verbatim}\nnever closed % kept"),
        ("\\begin{quote}\nx % 2", "\\begin{quote}\nx"),
        ("\\url{never closed % kept", "\\url{never closed % kept"),
    ],
)
def test_comments_of_latex(line: str, kept: str) -> None:
    assert without_comments(line) == kept


def test_the_title_of_latex_has_its_signs() -> None:
    assert tex_text(r"\title{50\% \emph{oak} \& iron}")[1] == "50% oak & iron"


def test_what_a_cell_printed_is_as_a_terminal_shows_it(tmp_path: Path) -> None:
    printed = ["\x1b[31mred\x1b[0m\n", "10%\r20%\r100%\r\n", "end\n"]
    outputs = [{"output_type": "stream", "text": printed}]
    book = {"cells": [{"cell_type": "code", "source": "go()", "outputs": outputs}]}
    (tmp_path / "a.ipynb").write_text(json.dumps(book))
    assert "```\nred\n100%\nend\n```" in only(tmp_path / "a.ipynb").text
    assert "\x1b[31m" in only(tmp_path / "a.ipynb", reading=BEFORE).text


def test_a_row_with_more_cells_than_columns_is_not_read_in_part(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(',text\n0,hello\n1,"one, two"\n2,three, four\n3,five,\n')
    found = read(path)
    assert [one.text for one in found if isinstance(one, Document)] == ["hello", "one, two", "five"]
    (skipped,) = [one for one in found if isinstance(one, Skipped)]
    assert skipped.reason == "row 4: more cells than the first row names columns: put cells that hold ',' in quotes"
    assert all(isinstance(one, Document) for one in read(path, reading=BEFORE))


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('---\ndate: 2020\ntitle: "The mast"\n---\n\n# Other\n', "The mast"),
        ("---\nsubject: x\n---\n\n# Other\n\ntitle: no\n", "Other"),
        ("title: no\n\n# Other\n", "Other"),
    ],
)
def test_front_matter_states_the_title(tmp_path: Path, text: str, title: str) -> None:
    (tmp_path / "a.md").write_text(text)
    assert only(tmp_path / "a.md").title == title


def test_what_restructured_text_includes_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.rst").write_text("Title\n=====\n\n.. include:: other.rst\n")
    assert only(tmp_path / "a.rst").note == "the files that it includes are not read with it: other.rst"
