import io
import zipfile
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from langchain_core.documents import Document

from loaders.base import Failure, LoaderError, Source
from loaders.docx import DocxLoader
from tests.loaders.conftest import Put


def saved(made: Any) -> bytes:
    data = io.BytesIO()
    made.save(data)
    return data.getvalue()


def load(source: Source) -> Document:
    (found,) = DocxLoader().load(source, {})
    return found


def edited(data: bytes, part: str, old: bytes, new: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as read, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
        for entry in read.infolist():
            content = read.read(entry)
            written.writestr(entry.filename, content.replace(old, new) if entry.filename == part else content)
    return out.getvalue()


def test_links_insertions_boxes_and_content_controls_are_read_deletions_are_not(put: Put) -> None:
    made = docx.Document()
    parts = (
        "<w:sdt {0}><w:sdtContent><w:p><w:r><w:t>In a control.</w:t></w:r></w:p></w:sdtContent></w:sdt>",
        "<w:p {0}><w:ins><w:r><w:t>New</w:t></w:r></w:ins><w:del><w:r><w:delText>Old</w:delText></w:r></w:del>"
        "<w:hyperlink><w:r><w:t> linked</w:t></w:r></w:hyperlink></w:p>",
        "<w:p {0}><w:r><w:t>Outside</w:t><w:pict><w:txbxContent><w:p><w:r><w:t>Boxed</w:t></w:r></w:p>"
        "</w:txbxContent></w:pict></w:r></w:p>",
    )
    for place, part in enumerate(parts):
        made.element.body.insert(place, parse_xml(part.format(nsdecls("w"))))
    assert load(put(saved(made), "a.docx")).page_content == "In a control.\n\nNew linked\n\nOutside\n\nBoxed"


MATH = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


@pytest.mark.parametrize(
    ("equation", "text"),
    [
        (run("E=m") + f"<m:sSup><m:e>{run('c')}</m:e><m:sup>{run('2')}</m:sup></m:sSup>", "E=mc^2"),
        (f"<m:f><m:num>{run('a+b')}</m:num><m:den>{run('c')}</m:den></m:f>", "(a+b)/c"),
        (f"<m:d><m:dPr><m:begChr m:val='['/></m:dPr><m:e>{run('a')}</m:e><m:e>{run('b')}</m:e></m:d>", "[a|b)"),
        (f"<m:rad><m:deg/><m:e>{run('n')}</m:e></m:rad>", "√n"),
        (
            f"<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{run('i=1')}</m:sub><m:sup>{run('n')}</m:sup>"
            f"<m:e><m:func><m:fName>{run('sin')}</m:fName><m:e>{run('x')}</m:e></m:func></m:e></m:nary>",
            "∑_(i=1)^nsin x",
        ),
        (f"<m:m><m:mr><m:e>{run('1')}</m:e><m:e>{run('2')}</m:e></m:mr><m:mr><m:e>{run('3')}</m:e></m:mr></m:m>",
         "1, 2; 3"),
    ],
)  # fmt: skip
def test_equations_stand_where_they_are(put: Put, equation: str, text: str) -> None:
    made = docx.Document()
    paragraph = f"<w:p {nsdecls('w')} {MATH}><w:r><w:t>As </w:t></w:r><m:oMathPara><m:oMath>{equation}</m:oMath>"
    made.element.body.insert(0, parse_xml(paragraph + "</m:oMathPara><w:r><w:t>.</w:t></w:r></w:p>"))
    assert load(put(saved(made), "a.docx")).page_content == f"As {text}."


def test_a_paragraph_that_begins_with_a_number_sign_is_no_heading(put: Put) -> None:
    made = docx.Document()
    made.add_heading("Stock", 2)
    made.add_paragraph("# of units: 5")
    assert load(put(saved(made), "a.docx")).page_content == "## Stock\n\n\\# of units: 5"


def test_a_text_box_in_a_cell_stands_once(put: Put) -> None:
    made = docx.Document()
    table = made.add_table(2, 1)
    table.cell(0, 0).text = "Head"
    box = "<w:txbxContent><w:p><w:r><w:t>Boxed</w:t></w:r></w:p></w:txbxContent>"
    table.cell(1, 0)._tc.append(
        parse_xml(
            f"<w:p {nsdecls('w')} xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'><w:r>"
            f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback><w:pict>{box}</w:pict></mc:Fallback>"
            "</mc:AlternateContent></w:r></w:p>"
        )
    )
    assert load(put(saved(made), "a.docx")).page_content == "| Head |\n| --- |\n| Boxed |"


def test_cells_over_rows_are_repeated_so_that_rows_read_alone(put: Put) -> None:
    made = docx.Document()
    table = made.add_table(3, 2)
    for row, cells in enumerate((("Day", "Open"), ("Monday", "9:00"), ("Tuesday", ""))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    table.cell(1, 1).merge(table.cell(2, 1))
    assert load(put(saved(made), "a")).page_content.endswith("| Monday | 9:00 |\n| Tuesday | 9:00 |")


def test_the_title_is_the_property_then_the_first_heading_then_the_name(put: Put) -> None:
    made = docx.Document()
    made.add_paragraph("Text")
    assert load(put(saved(made), "plan.docx")).metadata["title"] == "plan.docx"
    made.add_heading("Plan of the year", 0)
    assert load(put(saved(made), "plan.docx")).metadata["title"] == "Plan of the year"
    made.core_properties.title = "The plan"
    assert load(put(saved(made), "plan.docx")).metadata["title"] == "The plan"


def test_a_document_without_text_is_empty(put: Put) -> None:
    with pytest.raises(LoaderError) as caught:
        load(put(saved(docx.Document()), "a"))
    assert caught.value.failure is Failure.EMPTY


@pytest.mark.parametrize(
    ("part", "old", "new", "expected"),
    [
        ("word/document.xml", b"<w:body>", b"<w:body", Failure.CORRUPT),
        ("word/document.xml", b"<w:document", b'<!DOCTYPE x [<!ENTITY a "b">]><w:document', Failure.CORRUPT),
        ("word/document.xml", b"<w:t>", b"<w:t>" + bytes(200_000_000), Failure.TOO_LARGE),
        ("[Content_Types].xml", b"wordprocessingml.document.main", b"nonsense", Failure.CORRUPT),
        ("_rels/.rels", b"officeDocument/2006/relationships/officeDocument", b"nonsense", Failure.CORRUPT),
    ],
)
def test_hostile_and_damaged_parts_are_refused(put: Put, part: str, old: bytes, new: bytes, expected: Failure) -> None:
    made = docx.Document()
    made.add_paragraph("Text")
    with pytest.raises(LoaderError) as caught:
        load(put(edited(saved(made), part, old, new), "a.docx"))
    assert caught.value.failure is expected


def test_entities_in_a_part_of_another_encoding_are_not_resolved(put: Put, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("classified")
    made = docx.Document()
    made.add_paragraph("Text &amp;secret; here")
    data = saved(made)
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        xml = read.read("word/document.xml").decode()
    body = xml[xml.index("<w:document") :].replace("amp;amp;", "", 1)
    evil = f'<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE x [<!ENTITY secret SYSTEM "{secret}">]>' + body.replace(
        "&amp;secret;", "&secret;"
    )
    try:
        text = load(put(edited(data, "word/document.xml", xml.encode(), evil.encode("utf-16")), "a")).page_content
    except LoaderError as error:
        text = error.message
    assert "classified" not in text
