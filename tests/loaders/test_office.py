"""What the loaders of sheets, slides, OpenDocument, old Word, RTF and e-books do beyond their samples."""

import datetime
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]  # ships no types
from langchain_core.documents import Document
from pptx import Presentation

from loaders import loader, sheets
from loaders.base import Failure, LoaderError, Source
from tests.loaders.conftest import Put
from tests.loaders.office_files import doc, ole, opendocument, package

SAMPLES = Path(__file__).parent.parent / "samples"


def load(name: str, source: Source, **options: Any) -> list[Document]:
    return list(loader(name).load(source, options))


def failure(name: str, source: Source) -> Failure:
    with pytest.raises(LoaderError) as caught:
        load(name, source)
    return caught.value.failure


def workbook(*cells: tuple[int, int, Any]) -> bytes:
    data = BytesIO()
    with xlsxwriter.Workbook(data) as book:
        sheet = book.add_worksheet("S")
        for row, column, value in cells:
            sheet.write(row, column, value)
    return data.getvalue()


def without(sample: Path, dropped: str, extra: dict[str, str] | None = None) -> bytes:
    """The sample's archive without the part `dropped`, with the parts `extra`."""
    with zipfile.ZipFile(sample) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if name != dropped}
    return package(parts | {name: text.encode() for name, text in (extra or {}).items()})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.0, "12"),
        (0.1 + 0.2, "0.3"),
        (-2.5e20, "-2.5e+20"),
        (True, "TRUE"),
        (None, ""),
        (" a ", "a"),
        (datetime.date(2024, 2, 1), "2024-02-01"),
        (datetime.datetime(2024, 2, 1), "2024-02-01"),
        (datetime.datetime(2024, 2, 1, 6, 5), "2024-02-01 06:05:00"),
        (datetime.time(6, 5), "06:05:00"),
        (datetime.timedelta(hours=30), "30:00:00"),
        (datetime.timedelta(seconds=-90), "-0:01:30"),
    ],
)
def test_values_of_cells_are_readable(value: sheets.Value, text: str) -> None:
    assert sheets.readable(value) == text


def test_a_table_goes_on_after_an_empty_row_but_another_table_has_its_own_header() -> None:
    grid: sheets.Grid = {
        0: {2: "Year", 3: "Rain"},
        1: {2: 2020, 3: 610},
        5: {2: 2021, 3: 580},
        8: {0: "Pier", 1: "Boats"},
        9: {0: "Old", 1: 3},
        12: {7: "Note."},
    }
    assert sheets.markdown_of("A|b", grid) == (
        "# A\\|b\n\n| Year | Rain |\n| --- | --- |\n| 2020 | 610 |\n| 2021 | 580 |\n\n"
        "| Pier | Boats |\n| --- | --- |\n| Old | 3 |\n\nNote."
    )


HEADS: sheets.Grid = {
    0: {0: "Herd", 1: "Rain", 3: "Sun"},
    1: {1: "May", 2: "June", 3: "May", 4: "June"},
    2: {0: "Hill", 1: 1, 2: 2, 3: 3, 4: 4},
}
SPANS = [(0, 0, 1, 0), (0, 1, 0, 2), (0, 3, 0, 4)]


def test_a_header_of_merged_cells_above_another_row_becomes_one() -> None:
    text = sheets.markdown_of("S", HEADS, SPANS)
    heads = ("Herd", "Rain May", "Rain June", "Sun May", "Sun June")
    assert text == f"# S\n\n| {' | '.join(heads)} |\n|{' --- |' * 5}\n| Hill | 1 | 2 | 3 | 4 |"


def test_a_long_merged_cell_above_a_header_is_a_caption() -> None:
    long = "# of hours of sun and millimetres of rain by months of the year and herds"
    text = sheets.markdown_of("S", {**HEADS, 0: {1: long, 3: "Sun"}}, SPANS[1:])
    assert text.splitlines()[2:5] == [f"\\{long}", "", "|  | May | June | Sun May | Sun June |"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({0: "Dale", 1: "much", 2: "little", 3: "no", 4: "no"}, False),
        ({1: 5, 2: 6, 3: 7, 4: 8}, False),
        ({1: "May", 2: "June", 3: "May"}, False),
        ({1: 2023, 2: 2024, 3: 2023, 4: 2024}, True),
    ],
)
def test_a_row_of_data_below_merged_cells_stays_one(row: dict[int, sheets.Value], told: bool) -> None:
    lines = sheets.markdown_of("S", {**HEADS, 1: row}, SPANS[1:]).splitlines()
    assert (lines[4].startswith("| Hill ")) is told


def test_numbers_stand_as_their_cells_show_them(put: Put) -> None:
    data = BytesIO()
    with xlsxwriter.Workbook(data) as book:
        sheet = book.add_worksheet("S")
        share = book.add_format({"num_format": "0.0%"})
        price = book.add_format({"num_format": "[$€-407]#,##0.00"})
        sheet.write_row(0, 0, ["Share", "Price", "Plain", "Sum"])
        sheet.write(1, 0, 0.12345, share)
        sheet.write(1, 1, 1234.5, price)
        sheet.write(1, 2, 0.12345)
        sheet.write_formula(1, 3, "=A2*2", share, 0.2469)
        sheet.write(2, 0, "n/a", share)
    (found,) = load("xlsx", put(data.getvalue(), "a.xlsx"))
    assert found.page_content.splitlines()[-2:] == ["| 12.3% | €1234.50 | 0.12345 | 24.7% |", "| n/a |  |  |  |"]


def test_a_merged_cell_stands_in_each_of_its_rows_however_tall() -> None:
    grid: sheets.Grid = {0: {0: "A", 1: "B"}, 1: {0: "x", 1: 1}, 2: {1: 2}}
    text = sheets.markdown_of("S", grid, [(1, 0, 1_000_000, 0)] * 1000)
    assert text.endswith("| x | 1 |\n| x | 2 |")


def test_cells_far_apart_load_or_are_too_large_but_never_fill_the_memory(put: Put) -> None:
    (found,) = load("xlsx", put(workbook((0, 0, "a"), (1_000_000, 3, "z")), "a.xlsx"))
    assert found.page_content == "# S\n\na\n\nz"
    assert failure("xlsx", put(workbook((0, 0, "a"), (1_048_575, 16_383, "z")), "a.xlsx")) is Failure.TOO_LARGE


def test_formats_far_out_and_wrong_dimensions_do_not_matter(put: Put) -> None:
    data = BytesIO(workbook((0, 0, "a")))
    with zipfile.ZipFile(data) as archive:
        part = archive.read("xl/worksheets/sheet1.xml").decode()
    part = part.replace('<dimension ref="A1"/>', '<dimension ref="A1:XFD1048576"/>')
    part = part.replace("</sheetData>", '<row r="1048576"><c r="XFD1048576" s="0"/></row></sheetData>')
    file = Path(put(data.getvalue(), "a").path)
    made = without(file, "xl/worksheets/sheet1.xml", {"xl/worksheets/sheet1.xml": part})
    assert [found.page_content for found in load("xlsx", put(made, "a.xlsx"))] == ["# S\n\na"]


def test_empty_and_foreign_workbooks_have_their_reasons(put: Put) -> None:
    assert failure("xlsx", put(workbook(), "a.xlsx")) is Failure.EMPTY
    assert failure("xlsx", put(package({"a": "b"}), "a.xlsx")) is Failure.CORRUPT
    assert failure("xlsx", put(package({"[Content_Types].xml": "<a/>"}), "a.xlsx")) is Failure.CORRUPT
    assert failure("xls", put(workbook((0, 0, "a")), "a.xls")) is Failure.CORRUPT
    assert failure("xls", put("<table><tr><td>1</td></tr></table>", "a.xls")) is Failure.CORRUPT


@pytest.mark.parametrize("name", ["xlsx", "pptx", "docx", "xls", "doc"])
def test_files_that_need_a_password_are_encrypted(put: Put, name: str) -> None:
    data = ole({"EncryptionInfo": b"x", "EncryptedPackage": b"y"}) if name not in ("doc", "xls") else b""
    if name == "doc":
        data = doc("secret", flags=0x0100)
    if name == "xls":
        data = ole({"EncryptedPackage": b"y"})
    assert failure(name, put(data, "a")) is Failure.ENCRYPTED


@pytest.mark.parametrize("name", ["xlsx", "pptx", "ods", "odt", "epub"])
def test_archives_that_are_bombs_are_refused(put: Put, name: str) -> None:
    sample = next(file for file in (SAMPLES / name).iterdir() if file.suffix != ".json")
    bomb = without(sample, "", {"bomb.xml": " " * 60_000_000})
    assert failure(name, put(bomb, "a")) is Failure.TOO_LARGE


def test_repeated_cells_of_a_sheet_are_counted_not_written_out(put: Put) -> None:
    cell = '<table:table-cell table:number-columns-repeated="{}"><text:p>x</text:p></table:table-cell>'
    row = '<table:table-row table:number-rows-repeated="{}">{}</table:table-row>'
    table = '<table:table table:name="T">{}</table:table>'
    far = opendocument("spreadsheet", table.format(row.format(1_048_576, cell.format(16_384))))
    (found,) = load("ods", put(far, "a.ods"))
    assert found.page_content == "# T\n\nx"
    wide = row.format(1000, cell.format(1000)) * 6
    assert failure("ods", put(opendocument("spreadsheet", table.format(wide)), "a.ods")) is Failure.TOO_LARGE


def test_text_deep_within_open_documents_is_read(put: Put) -> None:
    nested = "<text:section>" * 200 + "<text:p>x</text:p>" + "</text:section>" * 200
    listed = "<text:list><text:list-item>" * 100 + "<text:p>y</text:p>" + "</text:list-item></text:list>" * 100
    (found,) = load("odt", put(opendocument("text", nested + listed), "a.odt"))
    assert "x" in found.page_content
    assert found.page_content.endswith("- y")


def test_open_documents_with_a_password_or_of_another_kind_are_told(put: Put) -> None:
    locked = package({"content.xml": "??", "META-INF/manifest.xml": "<m:encryption-data/>"})
    assert failure("odt", put(locked, "a.odt")) is Failure.ENCRYPTED
    assert failure("odt", put(opendocument("spreadsheet", ""), "a.odt")) is Failure.CORRUPT
    assert failure("odt", put(opendocument("text", "<text:p/>"), "a.odt")) is Failure.EMPTY


def test_old_open_documents_may_declare_a_type_whose_entities_stay_unread(put: Put) -> None:
    data = opendocument("text", "<text:p>Old &lt;words&gt;</text:p>")
    with zipfile.ZipFile(BytesIO(data)) as archive:
        content = archive.read("content.xml").decode()
    declared = '<!DOCTYPE office:document-content [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + content.replace(
        "Old", "Old &x;"
    )
    (found,) = load("odt", put(package({"content.xml": declared}), "a.odt"))
    assert "root" not in found.page_content
    assert "<words>" in found.page_content


def test_a_slide_whose_title_is_all_its_text_is_no_heading(put: Put) -> None:
    made = Presentation()
    slide = made.slides.add_slide(made.slide_layouts[5])
    slide.shapes.title.text = "Words of a poster. " * 20
    data = BytesIO()
    made.save(data)
    (found,) = load("pptx", put(data.getvalue(), "poster.pptx"))
    assert found.page_content.startswith("Words of a poster.")
    assert found.metadata["title"] == "poster.pptx" or not found.metadata["title"].startswith("PowerPoint")


def test_presentations_without_text_or_parts_have_their_reasons(put: Put) -> None:
    made = Presentation()
    made.slides.add_slide(made.slide_layouts[6])
    data = BytesIO()
    made.save(data)
    assert failure("pptx", put(data.getvalue(), "a.pptx")) is Failure.EMPTY
    assert failure("pptx", put(workbook((0, 0, "a")), "a.pptx")) is Failure.CORRUPT


def test_a_word_document_in_pieces_with_nested_fields(put: Put) -> None:
    text = "See \x13 REF \x13 PAGE \x14 9\x15 \x14page 9\x15.\rSoft\x1fhyphen, line\x0bbreak\r"
    (found,) = load("doc", put(doc(text), "a.doc"))
    assert found.page_content == "See page 9.\nSofthyphen, line\nbreak"
    assert found.metadata["format"] == "text"


def test_damaged_properties_of_a_word_document_leave_its_text(put: Put) -> None:
    data = (SAMPLES / "doc" / "rules.doc").read_bytes()
    for start in range(0x200 + 0x9A, 0x200 + 0x2F2, 8):  # the places of its parts
        if start != 0x200 + 0x1A2:  # of the pieces of its text
            damaged = data[:start] + b"\xff\xff\xff\x7f" + data[start + 4 :]
            (found,) = load("doc", put(damaged, "a.doc"))
            assert "For all tenants." in found.page_content


def test_cells_of_a_table_without_regular_rows_are_lines(put: Put) -> None:
    (found,) = load("doc", put(doc("a\x07b\x07\x07c\x07x\r"), "a.doc"))
    assert found.page_content == "a\nb\nc\n\nx"


def test_damaged_word_documents_are_corrupt(put: Put) -> None:
    assert failure("doc", put(ole({"WordDocument": b"x" * 2000}), "a.doc")) is Failure.CORRUPT
    assert failure("doc", put(ole({"Workbook": b"x"}), "a.doc")) is Failure.CORRUPT
    assert failure("doc", put(doc(" \r"), "a.doc")) is Failure.EMPTY


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (rb"{\v hidden}", "a b"),
        (rb"{\rtlch\fcs1 \af0\v\insrsid12 hid{\b d}en}", "a b"),
        (rb"{\b\deleted gone}", "a b"),
        (rb"{\b\v0 shown}", "a shownb"),
        (rb"{\vertalt shown}", "a shownb"),
    ],
)
def test_hidden_and_deleted_runs_of_rtf_are_left_out(put: Put, run: bytes, text: str) -> None:
    (found,) = load("rtf", put(rb"{\rtf1\ansi a " + run + rb"b\par}", "a.rtf"))
    assert found.page_content == text


def test_rtf_in_another_code_page(put: Put) -> None:
    title = rb"{\info{\title \'cf\'eb\'e0\'ed}}"
    (found,) = load("rtf", put(rb"{\rtf1\ansi\ansicpg1251 " + title + rb"\'cf\'f0\'e8\'e2\'e5\'f2\par}", "a.rtf"))
    assert found.metadata["title"] == "План"
    assert found.page_content == "Привет"
    assert failure("rtf", put(rb"{\rtf1\ansi }", "a.rtf")) is Failure.EMPTY
    assert failure("rtf", put("no", "a.rtf")) is Failure.CORRUPT


def test_rtf_has_its_notes_last_and_pairs_of_surrogates_as_one_character(put: Put) -> None:
    notes = rb"One{\footnote\pard\chftn  First {\b note}.}{\super 1} two{\*\footnote 2nd \{note\}.} 3 \u-10179?\u-8704?"
    (found,) = load("rtf", put(rb"{\rtf1\ansi " + notes + rb"\par}", "a.rtf"))
    lines = [line.strip() for line in found.page_content.split("\n") if line.strip()]
    assert lines == ["One1 two 3 😀", "First note.", "2nd {note}."]


STYLED = rb"{\rtf1\ansi{\stylesheet{\s0 Normal;}{\s1\sbasedon0\b heading 1;}{\s12 Title;}{\*\cs15 heading 1 Char;}}"


def test_headings_of_rtf_are_told_by_their_styles(put: Put) -> None:
    heading = rb"\pard\plain\s1{\listtext I.\tab}The  {\i year}\par"
    text = rb"\pard\plain\s12 Report\par" + heading + rb"\pard\s0 # Words\par\pard\s1 \par}"
    (found,) = load("rtf", put(STYLED + text, "a.rtf"))
    assert found.page_content == "# Report\n\n# I. The year\n\n\\# Words"
    assert (found.metadata["title"], found.metadata["format"]) == ("Report", "markdown")


def test_cells_of_rtf_may_hold_paragraphs_bars_and_tables(put: Put) -> None:
    inner = rb"\intbl x\nestcell y\nestcell{\*\nesttableprops\trowd\nestrow}"
    row = rb"\trowd\cellx1\cellx2\pard\intbl %s\cell %s\cell\trowd\cellx1\cellx2\row"
    table = rb"\trowd\cellx1\intbl Of 2024\cell\row" + row % (rb"A|b\par more", rb"B") + row % (rb"1", inner)
    (found,) = load("rtf", put(rb"{\rtf1\ansi C:\\cell\par Two" + rb"\par " + table + rb"\pard End\par}", "a.rtf"))
    table_of = "| A\\|b more | B |\n| --- | --- |\n| 1 | x y |"
    assert found.page_content == f"C:\\cell\nTwo\n\nOf 2024\n\n{table_of}\n\nEnd"


def test_a_row_of_rtf_without_its_beginning_and_rows_of_one_cell(put: Put) -> None:
    (found,) = load("rtf", put(rb"{\rtf1\ansi One\par a\cell b\cell\row c\cell d\cell\row End}", "a.rtf"))
    assert found.page_content == "One\n\n| a | b |\n| --- | --- |\n| c | d |\n\nEnd"
    (found,) = load("rtf", put(rb"{\rtf1\ansi\trowd Boxed\par words\cell\row\pard End}", "a.rtf"))
    assert (found.page_content, found.metadata["format"]) == ("Boxed words\nEnd", "text")


def test_dots_of_lists_and_text_boxes_of_rtf_are_read(put: Put) -> None:
    box = rb"{\shp{\*\shpinst{\sp{\sn x}{\sv 1}}{\shptxt\pard Boxed\par}}}"
    dots = rb"{\listtext\f3\'b7\tab}One\par{\listtext\u61623\'b7\tab}Two\par "
    (found,) = load("rtf", put(rb"{\rtf1\ansi " + dots + box + rb"End\par}", "a.rtf"))
    assert [line for line in found.page_content.split("\n") if line] == ["- One", "- Two", "End", "Boxed"]


def test_rtf_whose_note_does_not_end_is_read(put: Put) -> None:
    (found,) = load("rtf", put(rb"{\rtf1\ansi One {\footnote two", "a.rtf"))
    assert found.page_content.startswith("One")


def test_a_book_is_one_document_when_asked() -> None:
    sample = Source(SAMPLES / "epub" / "tides.epub", "tides.epub")
    chapters, (book,) = load("epub", sample), load("epub", sample, usage="perFile")
    assert [chapter.metadata["chapter"] for chapter in chapters] == [1, 2]
    assert book.page_content == "\n\n".join(chapter.page_content for chapter in chapters)
    assert book.metadata["title"] == chapters[0].metadata["title"]


def test_a_book_with_hidden_chapters_is_encrypted_one_with_hidden_fonts_is_read(put: Put) -> None:
    sample = SAMPLES / "epub" / "tides.epub"
    hidden = "<e><CipherReference URI='{}'/></e>"
    fonts = without(sample, "", {"META-INF/encryption.xml": hidden.format("OEBPS/font.otf")})
    assert len(load("epub", put(fonts, "a.epub"))) == 2
    chapters = without(sample, "", {"META-INF/encryption.xml": hidden.format("OEBPS/text/one.xhtml")})
    assert failure("epub", put(chapters, "a.epub")) is Failure.ENCRYPTED


def test_a_book_that_lacks_a_chapter_or_its_list_is_corrupt(put: Put) -> None:
    sample = SAMPLES / "epub" / "tides.epub"
    for part in ("OEBPS/text/two.xhtml", "OEBPS/book.opf", "META-INF/container.xml"):
        assert failure("epub", put(without(sample, part), "a.epub")) is Failure.CORRUPT


def test_a_table_and_a_list_in_a_cell_of_odt_are_their_words(put: Put) -> None:
    def row(*cells: str) -> str:
        made = "".join(f"<table:table-cell>{cell}</table:table-cell>" for cell in cells)
        return f"<table:table-row>{made}</table:table-row>"

    def words(text: str) -> str:
        return f"<text:p>{text}</text:p>"

    inner = f"<table:table>{row(words('A'), words('B|C'))}</table:table>"
    items = "".join(f"<text:list-item>{words(text)}</text:list-item>" for text in ("one", "two"))
    listed = f"<text:list>{items}</text:list>"
    table = f"<table:table>{row(words('Table'), words('List'))}{row(inner, listed)}</table:table>"
    (found,) = load("odt", put(opendocument("text", table), "a.odt"))
    assert found.page_content == "| Table | List |\n| --- | --- |\n| A B\\|C | one two |"
