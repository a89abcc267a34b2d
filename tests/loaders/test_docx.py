import io
import zipfile
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.opc.packuri import PackURI
from docx.opc.part import Part
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


def strict(data: bytes) -> bytes:
    """The archive in the namespaces of the standard's strict kind."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as read, zipfile.ZipFile(out, "w") as written:
        for entry in read.infolist():
            content = read.read(entry)
            for kind in (b"officeDocument", b"wordprocessingml", b"drawingml"):
                content = content.replace(
                    b"http://schemas.openxmlformats.org/" + kind + b"/2006/",
                    b"http://purl.oclc.org/ooxml/" + kind + b"/",
                )
            written.writestr(entry, content)
    return out.getvalue()


def test_a_strict_document_is_read(put: Put) -> None:
    made = docx.Document()
    made.add_heading("Plan", 1)
    assert load(put(strict(saved(made)), "a.docx")).page_content == "# Plan"


def numbered(made: Any, levels: str, numbers: str = "") -> None:
    """Gives the document one list, number 77, of these levels; `numbers` are further ones of the same list."""
    root = made.part.numbering_part.element
    root.insert(0, parse_xml(f"<w:abstractNum {nsdecls('w')} w:abstractNumId='77'>{levels}</w:abstractNum>"))
    root.append(parse_xml(f"<w:num {nsdecls('w')} w:numId='77'><w:abstractNumId w:val='77'/></w:num>"))
    if numbers:
        root.append(parse_xml(numbers))


def level(number: int, kind: str, text: str, more: str = "") -> str:
    how = f"<w:start w:val='1'/><w:numFmt w:val='{kind}'/>{more}<w:lvlText w:val='{text}'/>"
    return f"<w:lvl w:ilvl='{number}'>{how}</w:lvl>"


def item(made: Any, text: str, depth: int = 0, number: int = 77, style: str | None = None) -> None:
    properties = made.add_paragraph(text, style)._p.get_or_add_pPr()
    properties.append(
        parse_xml(
            f"<w:numPr {nsdecls('w')}><w:ilvl w:val='{depth}'/><w:numId w:val='{number}'/></w:numPr>",
        )
    )


def test_numbers_of_lists_and_headings_stand_as_they_are_shown(put: Put) -> None:
    made = docx.Document()
    levels = [level(0, "decimal", "%1."), level(1, "lowerLetter", "%1.%2)"), level(2, "upperRoman", "%3")]
    again = "<w:lvlOverride w:ilvl='0'><w:startOverride w:val='5'/></w:lvlOverride>"
    numbered(
        made,
        "".join(levels),
        f"<w:num {nsdecls('w')} w:numId='78'><w:abstractNumId w:val='77'/>{again}</w:num>",
    )
    item(made, "Scope", style="Heading 1")
    item(made, "Terms", 1)
    item(made, "", 1)
    item(made, "Fees", 1)
    item(made, "Late fees", 2)
    item(made, "Duration", style="Heading 1")
    item(made, "Notice", 1)
    item(made, "Annex", number=78)
    text = load(put(saved(made), "a.docx")).page_content
    assert text == (
        "# 1. Scope\n\n  1.a) Terms\n  1.c) Fees\n    I Late fees\n\n# 2. Duration\n\n  2.a) Notice\n5. Annex"
    )


def test_a_list_of_a_style_is_numbered_as_the_style_says(put: Put) -> None:
    made = docx.Document()
    clause = made.styles["Normal"].element.getparent()
    clause.append(
        parse_xml(
            f"<w:style {nsdecls('w')} w:type='paragraph' w:styleId='Clause'><w:name w:val='Clause'/><w:pPr><w:numPr>"
            "<w:numId w:val='77'/></w:numPr></w:pPr></w:style>"
        )
    )
    numbered(made, level(0, "decimal", "%1.") + level(1, "decimal", "%1.%2", "<w:pStyle w:val='Clause'/>"))
    item(made, "Liability")
    made.add_paragraph("Limited to fees.", "Clause")
    made.add_paragraph("Except for fraud.", "Clause")
    text = load(put(saved(made), "a.docx")).page_content
    assert text == "1. Liability\n  1.1 Limited to fees.\n  1.2 Except for fraud."


def test_numbers_stand_in_cells_too_and_bullets_do_not(put: Put) -> None:
    made = docx.Document()
    numbered(made, level(0, "decimal", "%1.") + level(1, "bullet", "o"))
    cell = made.add_table(2, 1).cell(1, 0)
    for place, text in enumerate(("Wash", "Soap", "Dry")):
        item(made, text, place % 2)
        cell._tc.append(made.element.body[-2])
    made.tables[0].cell(0, 0).text = "Steps"
    assert load(put(saved(made), "a.docx")).page_content == "| Steps |\n| --- |\n| 1. Wash Soap 2. Dry |"


def test_hidden_text_is_left_out(put: Put) -> None:
    made = docx.Document()
    secret = made.styles.add_style("Secret", 2)
    secret.font.hidden = True
    shy = made.styles.add_style("Shy", 1)
    shy.font.hidden = True
    paragraph = made.add_paragraph("Seen")
    paragraph.add_run(" hidden").font.hidden = True
    paragraph.add_run(" styled away", secret)
    paragraph.add_run(" and shown.").font.hidden = False
    made.add_paragraph("Gone", shy).add_run(" but this").font.hidden = False
    assert load(put(saved(made), "a.docx")).page_content == "Seen and shown.\n\nbut this"


def test_deleted_rows_are_left_out(put: Put) -> None:
    made = docx.Document()
    table = made.add_table(3, 1)
    for number, text in enumerate(("Head", "Old", "New")):
        table.cell(number, 0).text = text
    table.rows[1]._tr.get_or_add_trPr().append(parse_xml(f"<w:del {nsdecls('w')} w:id='1' w:author='A'/>"))
    assert load(put(saved(made), "a.docx")).page_content == "| Head |\n| --- |\n| New |"


def test_headers_and_footers_stand_first_and_once_without_page_numbers(put: Put) -> None:
    made = docx.Document()
    made.add_heading("Report", 1)
    for section in (made.sections[0], made.add_section()):
        section.header.is_linked_to_previous = False
        section.header.paragraphs[0].text = "Orchard Ltd, 12 Hill Road"
        section.footer.is_linked_to_previous = False
        section.footer.paragraphs[0].text = "Confidential"
        section.footer.add_paragraph("Page 1 of 7")
        section.even_page_header.paragraphs[0].text = "Of even pages, which are as the others"
        section.first_page_header.paragraphs[0].text = "Of a first page like the others"
    text = load(put(saved(made), "a.docx")).page_content
    assert text == "Orchard Ltd, 12 Hill Road\n\nConfidential\n\n# Report"
    made.settings.odd_and_even_pages_header_footer = True
    made.sections[0].different_first_page_header_footer = True
    text = load(put(saved(made), "a.docx")).page_content
    assert "Of even pages" in text
    assert "Of a first page" in text


def test_a_chart_is_read_as_a_table(put: Put) -> None:
    made = docx.Document()
    chart = (
        '<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><c:chart><c:title><c:tx><c:rich><a:p><a:r>'
        "<a:t>Harvest</a:t></a:r></a:p></c:rich></c:tx></c:title><c:plotArea><c:barChart><c:ser>"
        '<c:tx><c:v>Apples</c:v></c:tx><c:cat><c:pt idx="0"><c:v>2024</c:v></c:pt></c:cat>'
        '<c:val><c:pt idx="0"><c:v>12</c:v></c:pt></c:val></c:ser></c:barChart></c:plotArea></c:chart></c:chartSpace>'
    )
    kind = "application/vnd.openxmlformats-officedocument.drawingml.chart+xml"
    key = attached(made, "/word/charts/chart1.xml", kind, chart.encode(), "chart")
    made.add_paragraph().add_run()._r.append(
        parse_xml(f"<w:drawing {nsdecls('w', 'r', 'c')}><c:chart r:id='{key}'/></w:drawing>")
    )
    assert load(put(saved(made), "a.docx")).page_content == "Harvest\n\n|  | Apples |\n| --- | --- |\n| 2024 | 12 |"


def test_a_header_of_merged_cells_above_another_row_becomes_one(put: Put) -> None:
    made = docx.Document()
    table = made.add_table(3, 3)
    for row, cells in enumerate((("Item", "Price", ""), ("", "May", "June"), ("Tea", "1", "2"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    table.cell(0, 1).merge(table.cell(0, 2))
    text = load(put(saved(made), "a.docx")).page_content
    assert text == "| Item | Price May | Price June |\n| --- | --- | --- |\n| Tea | 1 | 2 |"


def test_boxes_of_forms_and_symbols_are_read(put: Put) -> None:
    made = docx.Document()
    field = "<w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:checkBox>{0}</w:checkBox></w:ffData></w:fldChar></w:r>"
    symbol = "<w:r><w:sym w:font='{0}' w:char='{1}'/></w:r>"
    parts = (
        field.format("<w:default w:val='0'/><w:checked/>"),
        "<w:r><w:t> Tea </w:t></w:r>",
        field.format("<w:default w:val='0'/>"),
        "<w:r><w:t> Milk </w:t></w:r>",
        symbol.format("Wingdings", "F0FE"),
        symbol.format("Wingdings", "F001"),
        symbol.format("Symbol", "F0FE"),
        symbol.format("Arial", "03A9"),
    )
    made.element.body.insert(0, parse_xml(f"<w:p {nsdecls('w')}>{''.join(parts)}</w:p>"))
    assert load(put(saved(made), "a.docx")).page_content == "\u2612 Tea \u2610 Milk \u2611\u03a9"


def attached(made: Any, name: str, kind: str, data: bytes, relation: str) -> str:
    """Adds a part to the document; its key."""
    part = Part(PackURI(name), kind, data, made.part.package)
    return str(
        made.part.relate_to(part, f"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{relation}")
    )


def test_a_page_of_html_in_the_document_is_read(put: Put) -> None:
    made = docx.Document()
    made.add_paragraph("Before")
    page = "<h2>Prices</h2><table><tr><td>Té<td>2</table>".encode()
    key = attached(made, "/word/page.html", "text/html", page, "aFChunk")
    made.element.body.insert(1, parse_xml(f"<w:altChunk {nsdecls('w', 'r')} r:id='{key}'/>"))
    text = load(put(saved(made), "a.docx")).page_content
    assert text == "Before\n\n## Prices\n\n| Té | 2 |\n| --- | --- |"


def test_a_diagram_is_read_without_its_empty_shapes(put: Put) -> None:
    made = docx.Document()
    words = "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in ("From", "", "To"))
    data = f'<d xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">{words}</d>'.encode()
    key = attached(made, "/word/diagrams/data1.xml", "application/xml", data, "diagramData")
    made.add_paragraph().add_run()._r.append(
        parse_xml(f"<w:drawing {nsdecls('w', 'r')}><w:x r:dm='{key}'/></w:drawing>")
    )
    assert load(put(saved(made), "a.docx")).page_content == "From\n\nTo"


@pytest.mark.parametrize("target", ["../NULL", "media/image1.png", "/word/gone.xml", "../../../etc/passwd"])
def test_a_relation_to_a_part_that_is_not_there_is_no_damage(put: Put, target: str) -> None:
    made = docx.Document()
    made.add_paragraph("The ferry leaves at eight.")
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/image"
    one = f'<Relationship Id="rId98" Type="{kind}" Target="{target}"/>'
    loose = f"{one}{one.replace('98', '99')}</Relationships>".encode()
    data = edited(saved(made), "word/_rels/document.xml.rels", b"</Relationships>", loose)
    assert load(put(data, "a.docx")).page_content == "The ferry leaves at eight."
