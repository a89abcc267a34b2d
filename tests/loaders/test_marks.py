"""Plain text that begins like a mark of Markdown is no heading and no code, whatever format it comes in."""

from collections.abc import Callable
from io import BytesIO

import docx
import pytest
from langchain_core.documents import Document
from pptx import Presentation

from loaders import loader
from loaders.marks import escaped
from loaders.splitters import splitter
from tests.loaders.conftest import Put
from tests.loaders.office_files import opendocument

UNITS, RULE = "# of units: 5", "--"


def slides() -> bytes:
    made = Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = "Stock"
    slide.placeholders[1].text = f"{UNITS}\nEnd"
    slide.notes_slide.notes_text_frame.text = f"Say\n{UNITS}"
    file = BytesIO()
    made.save(file)
    return file.getvalue()


def word() -> bytes:
    made = docx.Document()
    made.add_heading("Stock", 1)
    for text in (UNITS, "```", f"Sum\n{RULE}", "End"):
        made.add_paragraph(text)
    file = BytesIO()
    made.save(file)
    return file.getvalue()


def text() -> bytes:
    paragraphs = "".join(f"<text:p>{text}</text:p>" for text in (UNITS, "```", f"Sum<text:line-break/>{RULE}", "End"))
    return opendocument("text", f'<text:h text:outline-level="1">Stock</text:h>{paragraphs}')


def sheet() -> bytes:
    rows = "".join(
        f"<table:table-row><table:table-cell><text:p>{text}</text:p></table:table-cell></table:table-row>"
        for text in (UNITS, "End")
    )
    return opendocument("spreadsheet", f'<table:table table:name="Stock">{rows}</table:table>')


RTF = rb"{\rtf1\ansi " + UNITS.encode() + rb"\par\trowd\cellx1\cellx2 a\cell b\cell\row\pard End\par}"
JATS = f"""<article><front><article-meta><title-group><article-title>Stock</article-title></title-group></article-meta>
</front><body><p>{UNITS}</p><p>End</p></body></article>"""
HTML = f"<h1>Stock</h1><p>{UNITS}</p><div>```</div>Sum<br>{RULE}<table><caption>{UNITS}<tr><td>a<td>b</table>End"
RST = f"Stock\n=====\n\n{UNITS}\n\nEnd\n"
ORG = "* Stock\n## of units: 5\n\nEnd\n"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("pptx", slides),
        ("docx", word),
        ("odt", text),
        ("ods", sheet),
        ("html", HTML.encode),
        ("xml", JATS.encode),
        ("rst", RST.encode),
        ("org", ORG.encode),
    ],
)
def test_plain_text_stands_under_the_heading_above_it(put: Put, name: str, make: Callable[[], bytes]) -> None:
    found = list(loader(name).load(put(make(), f"a.{name}"), {}))
    chunks = splitter("default", {"chunkSize": 20, "chunkOverlap": 0}).split(found)
    assert {chunk.metadata.get("heading") for chunk in chunks} == {"Stock"}
    assert "of units: 5" in " ".join(chunk.page_content for chunk in chunks)
    assert found[0].metadata["title"] in ("Stock", "a")


def test_plain_text_beside_a_table_is_no_heading(put: Put) -> None:
    (found,) = loader("rtf").load(put(RTF, "a.rtf"), {})
    assert found.page_content == f"\\{UNITS}\n\n| a | b |\n| --- | --- |\n\nEnd"


def test_a_cell_needs_no_mark(put: Put) -> None:
    cells = "".join(f"<table:table-cell><text:p>{text}</text:p></table:table-cell>" for text in (UNITS, "b"))
    made = opendocument("text", f"<table:table><table:table-row>{cells}</table:table-row></table:table>")
    (found,) = loader("odt").load(put(made, "a.odt"), {})
    assert found.page_content == f"| {UNITS} | b |\n| --- | --- |"


def test_a_paragraph_that_begins_with_a_tag_is_no_title(put: Put) -> None:
    made = opendocument("text", '<text:p>#units</text:p><text:h text:outline-level="2">Stock</text:h>')
    (found,) = loader("odt").load(put(made, "a.odt"), {})
    assert (found.page_content, found.metadata["title"]) == ("#units\n\n## Stock", "Stock")


@pytest.mark.parametrize(
    ("plain", "shown"),
    [
        ("# a", "\\# a"),
        ("a\n   ### b", "a\n   \\### b"),
        ("#", "\\#"),
        ("#a, ####### b", "#a, ####### b"),
        ("    # a", "    # a"),
        ("```\na", "\\```\na"),
        ("~~~", "\\~~~"),
        ("a\n===", "a\n\\==="),
        ("a\nb\n---", "a\nb\n---"),
        ("a\n\n---", "a\n\n---"),
        ("a\n-", "a\n-"),
        ("- a\n# b", "- a\n\\# b"),
    ],
)
def test_only_what_would_be_read_as_a_mark_gets_a_backslash(plain: str, shown: str) -> None:
    assert escaped(plain) == shown
    alone = Document(shown, metadata={"format": "markdown"})
    assert all("heading" not in chunk.metadata for chunk in splitter("default", {}).split([alone]))


def test_literal_blocks_and_rulers_of_rst_are_neither_headings_nor_endless_code(put: Put) -> None:
    written = "Stock\n=====\n\nRun::\n\n   # once\n   make\n\nThen wait.\n\n~~~~\n\nEnd\n---\n\nBye\n"
    (found,) = loader("rst").load(put(written, "a.rst"), {})
    chunks = splitter("markdown", {"chunkSize": 100, "splitByHeaders": "h2"}).split([found])
    assert [(chunk.metadata["heading"], chunk.page_content) for chunk in chunks] == [
        ("Stock", "# Stock\n\nRun::\n\n```\n# once\nmake\n```\n\nThen wait.\n\n\\~~~~"),
        ("Stock > End", "## End\n\nBye"),
    ]


def test_code_with_fences_has_longer_ones(put: Put) -> None:
    (found,) = loader("html").load(put("<pre>````\n# a\n````</pre>", "a.html"), {})
    assert found.page_content == "`````\n````\n# a\n````\n`````"
