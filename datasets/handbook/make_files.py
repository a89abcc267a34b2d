"""Makes the PDF and DOCX files of the sample handbook from the texts in `source/`.

Run `python datasets/handbook/make_files.py`; it writes into `files/` beside this script, or into the folder given as
its one argument. Dates and archive times are fixed, so that the same library versions give the same bytes.

The texts are written in a small markup, blocks parted by blank lines: `# title`, `## heading`, `- list item`,
`1. numbered item`, `| cell | cell` for a row of a table (the first row is its head), anything else is a paragraph.
"""

import io
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from docx import Document
from fpdf import FPDF, FontFace
from fpdf.enums import TableBordersLayout

MADE = datetime(2025, 1, 15, 9, 0, tzinfo=UTC)
AUTHOR = "Tarnwick Instruments, People team"

SOURCE = Path(__file__).parent / "source"

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A title, heading, paragraph, list item or table; a table has rows, the others text."""

    kind: Literal["title", "heading", "paragraph", "bullet", "number", "table"]
    text: str = ""
    rows: Rows = ()


def blocks(markup: str) -> Iterator[Block]:
    """The blocks of a text in the markup described at the top of this module."""
    for part in re.split(r"\n\s*\n", markup.strip()):
        if part.startswith("# "):
            yield Block("title", part[2:])
        elif part.startswith("## "):
            yield Block("heading", part[3:])
        elif part.startswith("|"):
            rows = (tuple(cell.strip() for cell in line[1:].split("|")) for line in part.splitlines())
            yield Block("table", rows=tuple(rows))
        elif re.match(r"- |\d+\. ", part):
            for item in re.split(r"\n(?=- |\d+\. )", part):
                marker, text = item.split(" ", 1)
                yield Block("bullet" if marker == "-" else "number", " ".join(text.split()))
        else:
            yield Block("paragraph", " ".join(part.split()))


def widths(rows: Rows) -> list[int]:
    """Column widths in proportion to the longest cell of each column, no column too thin to read."""
    return [max(10, *(min(len(row[i]), 34) for row in rows)) for i in range(len(rows[0]))]


class Sheet(FPDF):
    """An A4 page with the document's name and the page number at its foot."""

    def __init__(self, name: str) -> None:
        super().__init__(format="A4")
        self.name = name
        self.core_fonts_encoding = "windows-1252"  # has the euro sign, which the default (Latin-1) lacks
        self.set_title(name)
        self.set_author(AUTHOR)
        self.set_lang("en")
        self.set_creation_date(MADE)
        self.set_producer("fpdf2")
        self.set_margins(left=25, top=22, right=25)
        self.set_auto_page_break(auto=True, margin=24)
        self.add_page()

    def footer(self) -> None:
        """Called by fpdf2 at the end of each page."""
        self.set_y(-15)
        self.set_font("Helvetica", size=8)
        self.set_text_color(110)
        self.cell(w=0, text=f"Tarnwick Instruments | {self.name} | Page {self.page_no()} of {{nb}}", align="C")

    def heading(self, block: Block, following: Block) -> None:
        """A title or heading, kept on one page with what follows: the whole table, or the first lines of a text."""
        title = block.kind == "title"
        self.ln(0 if title else 2)
        if not title and self.will_page_break(16 + 8 * len(following.rows) if following.rows else 30):
            self.add_page()
        self.start_section(block.text, level=0 if title else 1)
        self.set_font("Helvetica", style="B", size=20 if title else 13)
        self.set_text_color(20, 60, 90)
        self.multi_cell(w=0, h=8, text=block.text, align="L", new_x="LMARGIN", new_y="NEXT")
        self.set_text_color(0)
        self.ln(2 if title else 0.5)

    def grid(self, rows: Rows) -> None:
        """A table with a shaded head row."""
        self.set_font("Helvetica", size=10)
        self.set_draw_color(150)
        with self.table(
            rows,
            col_widths=tuple(widths(rows)),
            text_align="LEFT",
            line_height=5,
            padding=1.2,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            headings_style=FontFace(emphasis="BOLD", fill_color=(225, 234, 241)),
        ):
            pass  # all rows were given above
        self.ln(3)

    def prose(self, text: str, *, bullet: bool, space: float) -> None:
        """A paragraph or list item, followed by `space` millimetres."""
        self.set_font("Helvetica", size=10.5)
        if bullet:
            self.cell(w=5, h=5.2, text="\u2022")
        self.multi_cell(w=0, h=5.2, text=text, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(space)


def pdf(markup: str) -> bytes:
    """The text as a PDF with a real text layer, an outline, and page numbers."""
    parts = list(blocks(markup))
    sheet = Sheet(parts[0].text)
    for block, following in zip(parts, [*parts[1:], Block("paragraph")], strict=True):
        if block.kind in {"title", "heading"}:
            sheet.heading(block, following)
        elif block.kind == "table":
            sheet.grid(block.rows)
        else:
            bullet = block.kind != "paragraph"
            sheet.prose(block.text, bullet=bullet, space=0.8 if bullet and following.kind == block.kind else 2.2)
    return bytes(sheet.output())


def number_list(document: Any) -> str:
    """A fresh numbering that starts at 1, for one numbered list of a DOCX; returns its id."""
    numbering = document.part.numbering_part.element
    style = document.styles["List Number"].element
    abstract = numbering.num_having_numId(style.pPr.numPr.numId.val).abstractNumId.val
    entry = numbering.add_num(abstract)
    entry.add_lvlOverride(ilvl=0).add_startOverride(1)
    return str(entry.numId)


def docx(markup: str) -> bytes:
    """The text as a DOCX with heading, list and table styles."""
    parts = list(blocks(markup))
    document = Document()
    properties = document.core_properties
    properties.title, properties.author, properties.last_modified_by = parts[0].text, AUTHOR, AUTHOR
    properties.created = properties.modified = MADE.replace(tzinfo=None)
    properties.comments, properties.language = "", "en"
    numbering = 0
    for number, block in enumerate(parts):
        if block.kind in {"title", "heading"}:
            document.add_heading(block.text, level=1 if block.kind == "title" else 2)
        elif block.kind == "table":
            table = document.add_table(rows=0, cols=len(block.rows[0]), style="Light Grid Accent 1")
            for row in block.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
            document.add_paragraph()
        elif block.kind == "number":
            if parts[number - 1].kind != "number":
                numbering = int(number_list(document))
            paragraph = document.add_paragraph(block.text, style="List Number")
            paragraph._p.get_or_add_pPr().get_or_add_numPr().get_or_add_numId().val = numbering
        else:
            document.add_paragraph(block.text, style="List Bullet" if block.kind == "bullet" else None)
    raw = io.BytesIO()
    document.save(raw)
    return fixed_times(raw.getvalue())


def fixed_times(archive: bytes) -> bytes:
    """The same ZIP archive with `MADE` as the time of every entry."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            info = zipfile.ZipInfo(entry.filename, MADE.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(entry))
    return out.getvalue()


def files() -> dict[str, bytes]:
    """The generated files by name."""
    return {
        "expenses-and-travel.pdf": pdf((SOURCE / "expenses-and-travel.txt").read_text("utf-8")),
        "benefits.pdf": pdf((SOURCE / "benefits.txt").read_text("utf-8")),
        "support-levels.docx": docx((SOURCE / "support-levels.txt").read_text("utf-8")),
        "onboarding-checklist.docx": docx((SOURCE / "onboarding-checklist.txt").read_text("utf-8")),
    }


def main() -> None:
    """Write the files into the folder named on the command line, else into `files/` beside this script."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "files"
    for name, content in files().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
