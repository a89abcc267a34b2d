"""What lies upon a sheet of XLSX, in parts of its own: comments on cells, shapes with text, charts, diagrams."""

import re
import zipfile
from collections.abc import Iterable, Iterator
from posixpath import basename, dirname, join, normpath
from typing import Any

from loaders import charts, xml
from loaders.base import LoaderError
from loaders.marks import escaped
from loaders.sheets import Place

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_XDR = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_DRAWING, _COMMENTS, _THREADS = "/drawing", "/comments", "/threadedComment"
"""What the types of relations to such parts end in."""
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")


def upon(sheet: str, archive: zipfile.ZipFile) -> tuple[dict[Place, str], list[str]]:
    """The comments on the cells of a sheet, by the name of its part, and the texts of what is drawn upon it in
    Markdown, from the top; of charts, whose numbers stand in cells, their titles. Damaged parts are left out."""
    notes: dict[Place, str] = {}
    threads: dict[Place, str] = {}
    drawn: list[str] = []
    for kind, _, name in _relations(sheet, archive):
        if kind.endswith(_COMMENTS):
            notes = dict(_comments(_root(name, archive), "{*}commentList/{*}comment", "{*}t"))
        elif kind.endswith(_THREADS):
            threads = dict(_comments(_root(name, archive), "{*}threadedComment", "{*}text"))
        elif kind.endswith(_DRAWING):
            drawn += _drawn(name, archive)
    return notes | threads, drawn  # programs without threads are given a comment that says so


def _relations(part: str, archive: zipfile.ZipFile) -> Iterator[tuple[str, str, str]]:
    """The kind, the id and the name of each part that a part refers to."""
    for each in _root(join(dirname(part), "_rels", f"{basename(part)}.rels"), archive):
        target = each.get("Target", "")
        if each.get("TargetMode") != "External":
            name = target.lstrip("/") if target.startswith("/") else normpath(join(dirname(part), target))
            yield each.get("Type", ""), each.get("Id", ""), name


def _root(name: str, archive: zipfile.ZipFile) -> Any:
    """The root of a part; an empty element where there is none, or it is damaged."""
    try:
        return xml.parse(archive.read(name))
    except (KeyError, LoaderError):
        return xml.parse(b"<none/>")


def _comments(root: Any, path: str, text: str) -> Iterator[tuple[Place, str]]:
    """The comments by their cells; answers stand behind what they answer."""
    found: dict[Place, list[str]] = {}
    for each in root.iterfind(path):
        cell = _REFERENCE.fullmatch(each.get("ref", ""))
        if cell is not None:
            words = "".join(part.text or "" for part in each.iter(text))
            found.setdefault((int(cell[2]) - 1, _column(cell[1])), []).append(words)
    for place, texts in found.items():
        yield place, "\n".join(texts)


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _drawn(name: str, archive: zipfile.ZipFile) -> Iterator[str]:
    relations = {key: (kind, part) for kind, key, part in _relations(name, archive)}
    for anchor in sorted(_root(name, archive), key=_top):
        for shape in anchor.iter(_XDR + "txBody", _XDR + "graphicFrame"):
            if next(shape.iterancestors(_FALLBACK), None) is not None:
                continue
            if shape.tag == _XDR + "txBody":
                lines = ("".join(part.text or "" for part in line.iter(_A + "t")) for line in shape.iter(_A + "p"))
                yield from _block(lines)
                continue
            ids = {value for part in shape.iter() for value in part.attrib.values()}
            for kind, part in (found for key, found in relations.items() if key in ids):
                if kind.endswith(charts.CHART):
                    yield from _block(charts.title(_root(part, archive)))
                elif kind.endswith(charts.DIAGRAM):
                    yield from _block(charts.diagram(_root(part, archive)))


def _top(anchor: Any) -> tuple[int, int]:
    """The row and the column that something drawn begins in."""
    row, column = (anchor.findtext(f"{_XDR}from/{_XDR}{name}", "0") for name in ("row", "col"))
    return (int(row), int(column)) if row.isdecimal() and column.isdecimal() else (0, 0)


def _block(lines: Iterable[str]) -> Iterator[str]:
    text = "\n".join(filter(None, (" ".join(line.split()) for line in lines)))
    yield from [escaped(text)] if text else []
