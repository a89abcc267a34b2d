"""Tables of every format stay tables: Markdown rows, and their header in every chunk, whatever the splitter."""

from collections.abc import Callable
from io import BytesIO

import docx
import pytest
import xlsxwriter  # type: ignore[import-untyped]  # ships no types
from fpdf import FPDF

from loaders import loader
from loaders.detect import detect
from loaders.splitters import SPLITTERS, splitter
from tests.loaders.conftest import Put

HEADER = ("Station", "Depth", "Temperature")
ROWS = [(f"Buoy {number}", f"{number * 7} m", f"{number % 9}.5 C") for number in range(1, 41)]


def as_csv() -> bytes:
    return "\n".join(",".join(row) for row in (HEADER, *ROWS)).encode()


def as_html() -> bytes:
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in ROWS)
    head = "".join(f"<th>{cell}</th>" for cell in HEADER)
    return f"<html><body><h1>Sea</h1><p>Read daily.</p><table><tr>{head}</tr>{rows}</table></body></html>".encode()


def as_docx() -> bytes:
    document = docx.Document()
    document.add_heading("Sea", 1)
    table = document.add_table(0, 3)
    for row in (HEADER, *ROWS):
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def as_xlsx() -> bytes:
    file = BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet("Sea")
        for number, row in enumerate((HEADER, *ROWS)):
            sheet.write_row(number, 0, row)
    return file.getvalue()


def as_pdf() -> bytes:
    pdf = FPDF()
    pdf.add_page()
    for number, row in enumerate((HEADER, *ROWS)):
        pdf.set_font("helvetica", "" if number else "B", size=11)
        for cell in row:
            pdf.cell(60, 6, cell)
        pdf.ln()
    return bytes(pdf.output())


MAKERS: list[Callable[[], bytes]] = [as_csv, as_html, as_docx, as_xlsx, as_pdf]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", sorted(set(SPLITTERS) - {"code"}))  # which is for text that is no Markdown
def test_every_chunk_of_a_table_has_its_header(put: Put, make: Callable[[], bytes], name: str) -> None:
    source = put(make(), "sea")
    documents = list(loader(detect(source)).load(source, {}))
    for page in documents:
        assert page.metadata["format"] == "markdown"
    size = 120 if name == "token" else 300
    chunks = splitter(name, {"chunkSize": size, "chunkOverlap": 0}).split(documents)
    assert len(chunks) > 3
    held = [chunk.page_content for chunk in chunks]
    for text in held:
        if "Buoy" in text:
            assert "| Station | Depth | Temperature |\n| --- | --- | --- |" in text
    if name != "token":  # whose windows may end within a row
        for row in ROWS:
            assert sum(f"| {' | '.join(row)} |" in text for text in held) == 1
