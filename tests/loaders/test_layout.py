"""A PDF's layout becomes Markdown: headings, paragraphs, tables; nothing is lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pytest
from fpdf import FPDF
from langchain_core.documents import Document

from loaders.base import Source
from loaders.layout import Cell, Line, pages
from loaders.pdf import PdfLoader
from tests.loaders.conftest import Put

Make = Callable[[FPDF], None]
Read = Callable[[Make], list[Document]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The documents of a PDF that `make` draws."""

    def load(make: Make) -> list[Document]:
        pdf = FPDF()
        pdf.set_font("Helvetica", size=10)
        make(pdf)
        path = tmp_path / "made.pdf"
        path.write_bytes(bytes(pdf.output()))
        return list(PdfLoader().load(Source(path, "made.pdf"), {}))

    return load


def heading(pdf: FPDF, text: str, size: float) -> None:
    pdf.set_font("Helvetica", "B", size)
    pdf.cell(0, 12, text, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("Helvetica", size=10)


def prose(pdf: FPDF, *paragraphs: str) -> None:
    for paragraph in paragraphs:
        pdf.multi_cell(0, 5, paragraph, new_x="LMARGIN", new_y="NEXT")
        pdf.ln(4)


@pytest.mark.parametrize("drawn", [0, 90, 180, 270])
@pytest.mark.parametrize("shown", [0, 90, 180, 270])
def test_text_is_read_as_it_is_written_however_it_and_its_page_are_turned(
    tmp_path: Path, drawn: int, shown: int
) -> None:
    pdf = FPDF(format=(200, 200))
    pdf.add_page()
    with pdf.rotation(drawn, 100, 100):
        heading(pdf, "Rainfall by station", 18)
        prose(pdf, "What fell in the last two years, in millimetres, as the observers of the service tell. " * 4)
        for number, row in enumerate((("Station", "2022", "2023"), ("Hill", "610", "580"), ("Dale", "700", "690"))):
            pdf.set_font("Helvetica", "" if number else "B", 10)
            for text in row:
                pdf.cell(50, 5, text)
            pdf.ln()
    made = pdfium.PdfDocument(bytes(pdf.output()))
    made[0].set_rotation(shown)
    made.save(path := tmp_path / "made.pdf")
    (found,) = PdfLoader().load(Source(path, "made.pdf"), {})
    assert found.page_content.startswith("# Rainfall by station\n\nWhat fell in")
    assert found.page_content.endswith(
        "| Station | 2022 | 2023 |\n| --- | --- | --- |\n| Hill | 610 | 580 |\n| Dale | 700 | 690 |"
    )


def arabic(drawn: str) -> bytes:
    """A PDF of one line, drawn from the left, in which `B` is one glyph for two letters, as most fonts have one."""
    letters = {"A": "0645", "B": "06440627", "C": "0633", "D": "0644", "E": "0627"}
    mapped = "\n".join(f"<{ord(code):02x}> <{text}>" for code, text in letters.items())
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /A def /CMapType 2 def "
        f"1 begincodespacerange <00> <ff> endcodespacerange {len(letters)} beginbfchar\n{mapped}\n"
        "endbfchar endcmap end end"
    )
    font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>"
    page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>"
    streams = [
        f"<</Length {len(text)}>>stream\n{text}\nendstream" for text in (f"BT /F 12 Tf 50 50 Td ({drawn}) Tj ET", cmap)
    ]
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        page,
        streams[0],
        font,
        streams[1],
    ]
    body = "".join(f"{number} 0 obj\n{text}\nendobj\n" for number, text in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer<</Size 7/Root 1 0 R>>\n%%EOF".encode()


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        ("ABC", "\u0633\u0644\u0627\u0645"),
        ("ADEC", "\u0633\u0627\u0644\u0645"),
        ("CB", "\u0644\u0627\u0633"),
    ],
)
def test_arabic_letters_that_share_a_glyph_stand_in_their_order(tmp_path: Path, drawn: str, text: str) -> None:
    (path := tmp_path / "made.pdf").write_bytes(arabic(drawn))
    (found,) = PdfLoader().load(Source(path, "made.pdf"), {})
    assert found.page_content == text


def test_bookmarks_say_where_a_page_lies_in_a_file_without_headings(read: Read) -> None:
    def make(pdf: FPDF) -> None:
        for names in (["Travel"], ["Claims", "Deadlines"], [], ["Leave"]):
            pdf.add_page()
            for name in names:
                pdf.start_section(name, level=0 if name in ("Travel", "Leave") else 1)
            prose(pdf, LONG)

    found = [each.metadata.get("heading") for each in read(make)]
    assert found == ["Travel", "Travel > Claims", "Travel > Deadlines", "Leave"]


LONG = "Everybody who travels for the company reads these rules before the journey and keeps to them on the way. " * 3


def test_larger_lines_are_headings_and_the_largest_is_the_title(read: Read) -> None:
    def make(pdf: FPDF) -> None:
        pdf.add_page()
        heading(pdf, "Travel rules", 20)
        prose(pdf, LONG)
        heading(pdf, "Handing in a claim", 13)
        prose(pdf, "Submit every claim within 30 days.", LONG)
        pdf.add_page()
        prose(pdf, LONG)

    first, second = read(make)
    assert first.metadata["title"] == "Travel rules"
    assert first.metadata["format"] == "markdown"
    assert "# Travel rules\n\nEverybody who" in first.page_content
    assert "## Handing in a claim\n\nSubmit every claim within 30 days.\n\nEverybody" in first.page_content
    assert "heading" not in first.metadata
    assert second.metadata["heading"] == "Travel rules > Handing in a claim"


def test_a_table_below_a_bold_row_is_a_table_and_wrapped_cells_are_joined(read: Read) -> None:
    def make(pdf: FPDF) -> None:
        pdf.add_page()
        prose(pdf, LONG)
        rows = [("Country", "You pay", "We pay"), ("Germany", "as you choose", "4 % of it"), ("", "", "and more")]
        for number, row in enumerate([*rows, ("Portugal", "nothing", "3 %")]):
            pdf.set_font("Helvetica", "B" if number == 0 else "", 10)
            for text in row:
                pdf.cell(50, 5, text)
            pdf.ln(5)
        pdf.ln(6)
        pdf.set_font("Helvetica", size=10)
        prose(pdf, LONG)

    (page,) = read(make)
    assert (
        "| Country | You pay | We pay |\n| --- | --- | --- |\n"
        "| Germany | as you choose | 4 % of it and more |\n| Portugal | nothing | 3 % |\n\nEverybody"
    ) in page.page_content


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("TOTAL $821.14", 16),
        ("The pilot misjudged the clearance over obstacles.", 16),
        ("Page 1 of 1", 16),
        ("4711-0815-42", 16),
        ("which goes on in lower case", 16),
        ("Contents .......... 12", 16),
    ],
)
def test_what_only_looks_like_a_heading_is_text(read: Read, text: str, size: float) -> None:
    def make(pdf: FPDF) -> None:
        pdf.add_page()
        prose(pdf, LONG)
        heading(pdf, text, size)
        prose(pdf, LONG)

    (page,) = read(make)
    assert text in page.page_content
    assert "#" not in page.page_content
    assert page.metadata["format"] == "text"
    assert page.metadata["title"] == "made.pdf"


def test_what_every_page_repeats_is_no_heading(read: Read) -> None:
    def make(pdf: FPDF) -> None:
        for number in (1, 2, 3):
            pdf.add_page()
            heading(pdf, f"Tarnwick handbook {number}", 14)
            prose(pdf, LONG)

    assert all("#" not in page.page_content for page in read(make))


def test_marks_of_the_text_itself_are_not_read_as_headings(read: Read) -> None:
    def make(pdf: FPDF) -> None:
        pdf.add_page()
        heading(pdf, "Shell", 16)
        prose(pdf, "# this is a comment", LONG)

    (page,) = read(make)
    assert "\\# this is a comment" in page.page_content


def test_every_word_is_kept(read: Read) -> None:
    words: list[Any] = [f"word{number}" for number in range(400)]

    def make(pdf: FPDF) -> None:
        pdf.add_page()
        heading(pdf, words[0], 18)
        prose(pdf, " ".join(words[1:300]))
        heading(pdf, words[300], 12)
        prose(pdf, " ".join(words[301:]))

    found = [word for page in read(make) for word in page.page_content.split() if word.strip("#")]
    assert found == words


def test_no_line_costs_a_look_at_all_behind_it() -> None:
    """Drawings and maps have a hundred thousand words on a page, each a line."""
    copied = 0

    class Lines(list[Line]):
        def __getitem__(self, at: Any) -> Any:
            nonlocal copied
            found = super().__getitem__(at)
            copied += len(found) if isinstance(at, slice) else 1
            return found

    cells = (Cell("a", 10, 20), Cell("b", 40, 50))
    count = 500
    scattered = [
        Line(
            f"Pier {number}",
            10 + number % 3,
            bool(number % 5 == 0),
            number * 37 % 800,
            cells if number % 5 == 0 else (),
        )
        for number in range(count)
    ]
    (page,) = pages([Lines(scattered)])
    assert all(f"Pier {number}" in page.text for number in (0, 1, count - 1))
    assert copied < 30 * count


def over_pages(*pages: list[tuple[float, str, str]], widths: tuple[int, ...] = (60, 50, 40)) -> bytes:
    """Pages of lines: where a line begins, its style, and its cells with `|` between; each page has a header and a
    number."""
    pdf = FPDF()
    pdf.set_auto_page_break(False)
    for number, lines in enumerate(pages, start=1):
        pdf.add_page()
        for left, style, text in [(0.0, "", "Of the harbour"), *lines, (0.0, "", f"Page {number} of {len(pages)}")]:
            pdf.set_font("helvetica", style, size=11)
            pdf.set_x(pdf.l_margin + left)
            for cell, width in zip(text.split("|"), widths, strict=False):
                pdf.cell(width if "|" in text else 0, 6, cell)
            pdf.ln()
    return bytes(pdf.output())


FIRST = [(0.0, "B", "Station|Depth|Keeper"), (0.0, "", "Buoy A|7 m|Ann"), (0.0, "", "Buoy B|9 m|Bob")]
HEAD = "| Station | Depth | Keeper |"


def test_a_table_that_goes_on_over_pages_has_its_header_on_each(put: Put) -> None:
    rows = [(0.0, "", f"Buoy {letter}|{at} m|Eve") for at, letter in enumerate("CDEFGHIJK", start=10)]
    found = list(PdfLoader().load(put(over_pages(FIRST, rows, [*rows[:1], (0.0, "", "Then words.")]), "a.pdf"), {}))
    tables = [[line for line in page.page_content.split("\n") if line.startswith("|")] for page in found]
    assert [table[0] for table in tables] == [HEAD] * 3
    assert [len(table) for table in tables] == [4, 11, 3]
    assert "Then words." in found[2].page_content.split("\n")


@pytest.mark.parametrize(
    "lines",
    [
        [(0.0, "", "Words stand between."), (0.0, "", "Buoy C|7 m|Ann")],
        [(9.0, "", "Buoy C|7 m|Ann"), (9.0, "", "Buoy D|7 m|Ann")],
        [(0.0, "", "Buoy C|7 m"), (0.0, "", "Buoy D|7 m")],
        [(0.0, "B", "Boat|Sails|Owner"), (0.0, "", "Mary|two|Ann")],
    ],
)
def test_a_page_that_begins_otherwise_gets_no_header_of_the_table_before(
    put: Put, lines: list[tuple[float, str, str]]
) -> None:
    _, page = PdfLoader().load(put(over_pages(FIRST, lines), "a.pdf"), {})
    assert HEAD not in page.page_content


def test_a_table_that_ends_on_its_page_gives_its_header_to_no_other(put: Put) -> None:
    first = [*FIRST, (0.0, "", "Words below the table.")]
    _, page = PdfLoader().load(put(over_pages(first, FIRST[1:]), "a.pdf"), {})
    assert "|" not in page.page_content


def test_a_single_line_of_two_cells_is_no_row_of_the_table_before(put: Put) -> None:
    first = [(left, style, text.rpartition("|")[0]) for left, style, text in FIRST]
    _, page = PdfLoader().load(put(over_pages(first, [first[1], (0.0, "", "Words.")]), "a.pdf"), {})
    assert "|" not in page.page_content
    _, page = PdfLoader().load(put(over_pages(first, first[1:]), "a.pdf"), {})
    assert page.page_content.count("|") == 12
