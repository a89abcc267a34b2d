"""Each format in the sandbox beside the fastest library for it called bare, and the memory that its parser takes."""

import asyncio
import csv
import io
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from loaders.base import Source
from loaders.sandbox import Limits, Sandbox
from tests.benchmarks.measure import Measure

REPEATS = 5
PAGES, PARAGRAPHS, ROWS = 100, 3000, 20_000
TARGETS = {".txt": 0.01, ".csv": 0.05, ".json": 0.05, ".xml": 0.1, ".pptx": 0.1, ".html": 0.15}
USUAL = 0.2
"""Of the bare library's speed, which gives text only: no structure, no provenance, no process of its own, and for
formats that are text already next to nothing to do."""

WORDS = ("the", "ferry", "leaves", "harbour", "with", "grain", "wool", "and", "letters", "for", "island", "farms")
Bare = Callable[[Path], int]


def run() -> Iterator[Measure]:
    """A row for each format: the share of the bare library's speed, with both speeds and the parser's peak memory."""
    with tempfile.TemporaryDirectory(prefix="ragstone-parse-") as folder:
        for suffix, make in MAKERS.items():
            path = Path(folder) / f"sample{suffix}"
            path.write_bytes(make())
            seconds, peak, libraries = asyncio.run(_measured(suffix, path))
            if not libraries:
                continue
            fastest = min(libraries, key=lambda name: libraries[name])
            megabytes = path.stat().st_size / 1e6
            yield Measure(
                f"{suffix[1:]} in the sandbox over {fastest} bare",
                libraries[fastest] / seconds,
                TARGETS.get(suffix, USUAL),
                details={
                    "file MB": megabytes,
                    "MB/s": megabytes / seconds,
                    f"{fastest} MB/s": megabytes / libraries[fastest],
                    **({"pages/s": PAGES / seconds} if suffix == ".pdf" else {}),
                    "peak MB": peak / 1e6,
                },
            )


async def _measured(suffix: str, path: Path) -> tuple[float, int, dict[str, float]]:
    """Best seconds in the sandbox, the most memory of a parser there, best seconds of every library that is installed.

    They take turns, so that what else the machine does meets all of them.
    """
    best, peak = float("inf"), 0
    libraries: dict[str, float] = {}
    lacking: set[str] = set()
    async with Sandbox(Limits(memory_bytes=2 << 30)) as sandbox:
        await sandbox.load(Source(path, path.name))  # starts the helper
        for _ in range(REPEATS):
            begun = time.perf_counter()
            loaded = await sandbox.load(Source(path, path.name))
            best, peak = min(best, time.perf_counter() - begun), max(peak, loaded.peak_bytes)
            for name, read in LIBRARIES[suffix].items():
                if name not in lacking and (seconds := _seconds(read, path)) is not None:
                    libraries[name] = min(seconds, libraries.get(name, seconds))
                else:
                    lacking.add(name)
    return best, peak, libraries


def _seconds(read: Bare, path: Path) -> float | None:
    """What a library takes; None when it is not installed."""
    begun = time.perf_counter()
    try:
        read(path)
    except ImportError:
        return None
    return time.perf_counter() - begun


# Files


def prose(paragraphs: int, seed: int = 7) -> str:
    """Paragraphs of sixty words drawn by lot."""
    chance = random.Random(seed)
    return "\n\n".join(" ".join(chance.choices(WORDS, k=60)).capitalize() + "." for _ in range(paragraphs))


def _rows() -> list[list[str]]:
    chance = random.Random(7)
    head = ["Number", "Station", "Goods", "Weight"]
    return [head, *([str(n), *chance.choices(WORDS, k=2), str(chance.randrange(10**6))] for n in range(ROWS))]


def _pdf() -> bytes:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("helvetica", size=10)
    for number in range(PAGES):
        pdf.add_page()
        pdf.multi_cell(0, 5, prose(7, number))
    return bytes(pdf.output())


def _docx() -> bytes:
    import docx

    document = docx.Document()
    for number, paragraph in enumerate(prose(PARAGRAPHS // 2).split("\n\n")):
        if number % 20 == 0:
            document.add_heading(f"Part {number}", 2)
        document.add_paragraph(paragraph)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _pptx() -> bytes:
    from pptx import Presentation

    deck = Presentation()
    for number, paragraph in enumerate(prose(200).split("\n\n")):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = f"Slide {number}"
        slide.placeholders[1].text = paragraph
    file = io.BytesIO()
    deck.save(file)
    return file.getvalue()


def _xlsx() -> bytes:
    import xlsxwriter  # type: ignore[import-untyped]  # ships no types

    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet("Goods")
        for number, row in enumerate(_rows()):
            sheet.write_row(number, 0, row)
    return file.getvalue()


def _html() -> bytes:
    parts = [f"<h2>Part {n}</h2><p>{text}</p>" for n, text in enumerate(prose(PARAGRAPHS).split("\n\n"))]
    return f"<html><head><title>Ferry</title></head><body>{''.join(parts)}</body></html>".encode()


def _csv() -> bytes:
    return "\n".join(",".join(row) for row in _rows()).encode()


def _json() -> bytes:
    head, *rows = _rows()
    return json.dumps([dict(zip(head, row, strict=True)) for row in rows]).encode()


def _xml() -> bytes:
    head, *rows = _rows()
    lines = ("".join(f"<{n}>{v}</{n}>" for n, v in zip(head, row, strict=True)) for row in rows)
    return f"<goods>{''.join(f'<item>{line}</item>' for line in lines)}</goods>".encode()


MAKERS: Mapping[str, Callable[[], bytes]] = {
    ".txt": lambda: prose(10_000).encode(),
    ".html": _html,
    ".pdf": _pdf,
    ".docx": _docx,
    ".pptx": _pptx,
    ".xlsx": _xlsx,
    ".csv": _csv,
    ".json": _json,
    ".xml": _xml,
}


# Libraries: each reads all text


def _decode(path: Path) -> int:
    return len(path.read_text(encoding="utf-8"))


def _soup(path: Path) -> int:
    from bs4 import BeautifulSoup

    return len(BeautifulSoup(path.read_bytes(), "lxml").get_text())


def _trafilatura(path: Path) -> int:
    import trafilatura  # type: ignore[import-not-found]  # only where somebody installed it

    return len(trafilatura.extract(path.read_text(encoding="utf-8")) or "")


def _pdfium(path: Path) -> int:
    import pypdfium2

    with pypdfium2.PdfDocument(path) as opened:
        return sum(len(page.get_textpage().get_text_range()) for page in opened)


def _pypdf(path: Path) -> int:
    import pypdf  # type: ignore[import-not-found]  # only where somebody installed it

    return sum(len(page.extract_text()) for page in pypdf.PdfReader(path).pages)


def _python_docx(path: Path) -> int:
    import docx

    return sum(len(paragraph.text) for paragraph in docx.Document(str(path)).paragraphs)


def _python_pptx(path: Path) -> int:
    from pptx import Presentation

    shapes = (shape for slide in Presentation(str(path)).slides for shape in slide.shapes)
    return sum(len(shape.text_frame.text) for shape in shapes if shape.has_text_frame)


def _calamine(path: Path) -> int:
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_path(str(path))
    return sum(len(book.get_sheet_by_name(name).to_python()) for name in book.sheet_names)


def _csv_module(path: Path) -> int:
    with path.open(newline="", encoding="utf-8") as file:
        return sum(len(row) for row in csv.reader(file))


def _json_module(path: Path) -> int:
    return len(json.loads(path.read_bytes()))


def _lxml(path: Path) -> int:
    from lxml import etree  # type: ignore[import-untyped]  # ships no types

    return len("".join(etree.parse(str(path)).getroot().itertext()))


def _kreuzberg(path: Path) -> int:
    import kreuzberg  # type: ignore[import-not-found]  # only where somebody installed it

    result: Any = kreuzberg.extract_file_sync(str(path))
    return len(result.content)


LIBRARIES: Mapping[str, Mapping[str, Bare]] = {
    ".txt": {"bytes.decode": _decode},
    ".html": {"bs4 with lxml": _soup, "trafilatura": _trafilatura},
    ".pdf": {"pypdfium2": _pdfium, "pypdf": _pypdf, "kreuzberg": _kreuzberg},
    ".docx": {"python-docx": _python_docx, "kreuzberg": _kreuzberg},
    ".pptx": {"python-pptx": _python_pptx},
    ".xlsx": {"calamine": _calamine},
    ".csv": {"csv": _csv_module},
    ".json": {"json": _json_module},
    ".xml": {"lxml": _lxml},
}
