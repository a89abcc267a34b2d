"""reStructuredText and Org to Markdown: headings, tables and code; all other text stays as it is written."""

import csv
import re
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from langchain_core.documents import Document

from loaders.base import Format, Loader, Source, document, required
from loaders.markdown import first_heading
from loaders.marks import escaped, fenced
from loaders.tables import markdown_table
from loaders.text import read_text
from loaders.unicode import clean

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*[ \t]*\Z")
_CODE = re.compile(r"\.\.[ \t]+(?:code-block|code|sourcecode)::[ \t]*(\S*)[ \t]*\Z")
_GRID = re.compile(r"\+(?:[-=]+\+)+[ \t]*\Z")
_SIMPLE = re.compile(r"={2,}(?:[ \t]+={2,})+[ \t]*\Z")
_COMMENT = re.compile(r"\.\.(?:[ \t]+(?!\S+::)(?![_\[|])\S.*)?\Z")
_TABLE = re.compile(r"[ ]*\.\.[ ]+(list-table|csv-table|table)::(?:[ ]+(.*))?\Z")
_OPTION = re.compile(r"([ ]*):([\w-]+):[ ]*(.*)\Z")
_LIST_ROW = re.compile(r"([*+-][ ]+)[*+-](?:[ ]+(.*))?\Z")
_LIST_CELL = re.compile(r"([ ]+)[*+-](?:[ ]+(.*))?\Z")
_SHORTEST, _BORDERS = 3, 3
# What follows is cut by hand: an expression that looks for the blanks at an end takes the square of those before it.
_ORG_HEADING = re.compile(r"(\*{1,20})[ \t]+(?:(?:TO(?:DO)|DONE)[ \t]+)?(?:\[#\w\][ \t]+)?(.*)\Z")
_ORG_TAGS = re.compile(r"(?<=[ \t]):[\w@#%:]+:\Z")
_ORG_KEYWORD = re.compile(r"#\+(\w+):(.*)\Z", re.IGNORECASE)
_ORG_BLOCK = re.compile(r"#\+(begin|end)_(\w+)(?:[ \t]+(\S+).*)?\Z", re.IGNORECASE)
_ORG_DRAWER = re.compile(r"[ \t]*:(PROPERTIES|LOGBOOK):[ \t]*\Z")
_ORG_LINK = re.compile(r"\[\[([^\[\]\n]+)\](?:\[([^\[\]\n]+)\])?\]")


class RstLoader(Loader):
    """One document of `markdown` format, titled by its first heading, else by the file's name.

    Heading levels go by the order in which their adornments appear. Comments are left out. Tables of directives
    (`list-table`, `csv-table`, `table`) become Markdown's too, below their titles.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        lines = clean(read_text(source)).expandtabs(8).split("\n")
        text = "\n".join(_rst(lines))
        yield required(document(source, text, title=first_heading(text), form=Format.MARKDOWN))


class OrgLoader(Loader):
    """One document of `markdown` format, titled by `#+TITLE`, else its first heading, else the file's name.

    Drawers of properties, comments and settings are left out; a link stands as its description.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        lines = clean(read_text(source)).split("\n")
        named = (
            match.group(2).strip(" \t")
            for line in lines
            if (match := _ORG_KEYWORD.match(line)) and match.group(1).lower() == "title"
        )
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(_org(lines)))
        title = next(named, "")
        text = f"# {title}\n\n{text}" if title else text
        yield required(document(source, text, title=title or first_heading(text), form=Format.MARKDOWN))


def _is_adornment(line: str) -> bool:
    return bool(_ADORNMENT.match(line)) and len(line.rstrip()) >= _SHORTEST


def _rst(lines: list[str]) -> Iterator[str]:
    styles: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        under = lines[at + 1] if at + 1 < len(lines) else ""
        after = lines[at + 2] if at + 2 < len(lines) else ""
        code = _CODE.match(line)
        if table_of := _TABLE.match(line):
            table, at = _directive_table(table_of.group(1), (table_of.group(2) or "").strip(), lines, at)
            yield table
        elif _GRID.match(line) or _SIMPLE.match(line):
            end, table = _grid_table(lines, at) if _GRID.match(line) else _simple_table(lines, at)
            yield table
            at = end
        elif line[:1].isspace() and (_GRID.match(line.lstrip()) or _SIMPLE.match(line.lstrip())):
            table, at = _indented_table(lines, at)
            yield table
        elif _is_adornment(line) and under.strip() and line.strip() == after.strip():
            yield _heading(styles, line[0] * 2, under)
            at += 3
        elif line.strip() and not line[0].isspace() and _is_underline(under, line):
            yield _heading(styles, under[0], line)
            at += 2
        elif code:
            _, body, at = _indented(lines, at + 1)
            yield fenced(body, code.group(1)) + "\n"
        elif _COMMENT.match(line):
            _, _, at = _indented(lines, at + 1)
        else:
            yield escaped(line)
            at += 1
            if _is_before_code(line) and not under.strip():
                _, body, at = _indented(lines, at, len(line) - len(line.lstrip()))
                yield f"\n{fenced(body)}\n" if body else ""


def _is_before_code(line: str) -> bool:
    """Whether what is indented below a line is shown as it is written."""
    return line.rstrip().endswith("::") and not line.lstrip().startswith("..")


def _is_underline(under: str, line: str) -> bool:
    return (
        _is_adornment(under) and len(under.rstrip()) >= min(len(line.rstrip()), _SHORTEST) and not _is_adornment(line)
    )


def _heading(styles: list[str], style: str, text: str) -> str:
    if style not in styles:
        styles.append(style)
    return f"{'#' * min(styles.index(style) + 1, 6)} {text.strip()}"


def _indented(lines: list[str], at: int, margin: int = 0) -> tuple[dict[str, str], str, int]:
    """The block from `at` on that is indented by more than `margin`: its options, then the rest without its
    indentation, and where it ends."""
    end = at
    while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > margin):
        end += 1
    first = at
    options: dict[str, str] = {}
    name, deep = "", 0
    while first < end and lines[first].strip():
        line = lines[first]
        if option := _OPTION.match(line):
            name, deep = option.group(2), len(option.group(1))
            options[name] = option.group(3)
        elif name and len(line) - len(line.lstrip()) > deep:
            options[name] += f"\n{line.strip()}"
        else:
            break
        first += 1
    block = lines[first:end]
    while block and not block[0].strip():
        block.pop(0)
    while block and not block[-1].strip():
        block.pop()
    margin = min((len(line) - len(line.lstrip()) for line in block if line.strip()), default=0)
    return options, "\n".join(line[margin:] for line in block), end


def _directive_table(kind: str, title: str, lines: list[str], at: int) -> tuple[str, int]:
    """The table of the directive at `at`, below its title, and where it ends; its first line where it holds none."""
    line = lines[at]
    options, body, end = _indented(lines, at + 1, len(line) - len(line.lstrip()))
    inner = body.split("\n")
    if kind == "list-table":
        table = markdown_table(_list_rows(inner))
    elif kind == "csv-table":
        table = markdown_table(_csv_rows(options, body))
    elif _GRID.match(inner[0]):
        table = _grid_table(inner, 0)[1]
    else:
        table = _simple_table(inner, 0)[1] if _SIMPLE.match(inner[0]) else ""
    if not table:
        return line, at + 1
    return f"{title}\n\n{table}\n".lstrip("\n"), end


def _csv_rows(options: Mapping[str, str], body: str) -> list[list[str]]:
    """The rows of a `csv-table`, those of its option `header` first; none when they cannot be read."""
    given = options.get("delim") or ","
    delimiter = {"tab": "\t", "space": " "}.get(given, given)
    quote, escape = options.get("quote") or '"', options.get("escape") or None
    csv.field_size_limit(max(len(body), 131072))
    try:
        header = csv.reader(StringIO(options.get("header", ""), newline=""), skipinitialspace=True)
        rows = csv.reader(
            StringIO(body, newline=""), delimiter=delimiter, quotechar=quote, escapechar=escape, skipinitialspace=True
        )
        return [*header, *rows]
    except (csv.Error, TypeError, ValueError):  # the last two for options that are no characters
        return []


def _list_rows(lines: list[str]) -> list[list[str]]:
    """The rows of a `list-table`, a list of lists; none when it is something else."""
    rows: list[list[str]] = []
    column = 0
    for line in filter(str.strip, lines):
        row, cell = _LIST_ROW.match(line), _LIST_CELL.match(line)
        if row:
            column = len(row.group(1))
            rows.append([row.group(2) or ""])
        elif not rows or not line[0].isspace():
            return []
        elif cell and len(cell.group(1)) == column:
            rows[-1].append(cell.group(2) or "")
        else:
            rows[-1][-1] += f" {line.strip()}"
    return rows


def _grid_table(lines: list[str], at: int) -> tuple[int, str]:
    rows: list[list[str]] = []
    row: list[str] = []
    end = at
    while end < len(lines) and lines[end].startswith(("+", "|")):
        line = lines[end]
        if line.startswith("+"):
            rows.append(row)
            row = []
        else:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            row = [f"{old} {new}".strip() for old, new in zip(row, cells, strict=False)] if row else cells
        end += 1
    return end, markdown_table([*rows, row])


def _simple_table(lines: list[str], at: int) -> tuple[int, str]:
    """A table of columns under borders of `=`; a line without its first cell goes on with the row above."""
    starts = [match.start() for match in re.finditer("=+", lines[at])]
    bounds = list(zip(starts, [*starts[1:], None], strict=True))
    rows: list[list[str]] = []
    borders = 1
    end = at + 1
    while end < len(lines) and borders < 3:
        line = lines[end]
        end += 1
        if _SIMPLE.match(line):
            borders += 1
            following = lines[end] if end < len(lines) else ""
            if borders == 2 and not following.strip():
                break
            continue
        cells = [line[start:stop].strip() for start, stop in bounds]
        if rows and not cells[0]:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    return end, markdown_table(rows)


def _indented_table(lines: list[str], at: int) -> tuple[str, int]:
    """A table in a note, an item of a list and the like, and where it ends."""
    margin = len(lines[at]) - len(lines[at].lstrip())
    is_grid = _GRID.match(lines[at][margin:]) is not None
    block: list[str] = []
    borders = 0
    for line in map(lines.__getitem__, range(at, len(lines))):
        inner = line[margin:]
        if line[:margin].strip() or borders == _BORDERS or (is_grid and not inner.startswith(("+", "|"))):
            break
        borders += not is_grid and _SIMPLE.match(inner) is not None
        block.append(inner)
    taken, table = _grid_table(block, 0) if is_grid else _simple_table(block, 0)
    after = lines[at + taken] if at + taken < len(lines) else ""
    return f"{table}\n" if after.strip() else table, at + taken


def _org(lines: list[str]) -> Iterator[str]:
    table: list[list[str]] = []
    hidden = -1
    fenced = False
    for at, line in enumerate([*lines, ""]):
        if at <= hidden:
            continue
        block = _ORG_BLOCK.match(line.strip())
        if line.lstrip().startswith("|") and not fenced:
            if not line.lstrip().startswith("|-"):
                table.append([_ORG_LINK.sub(_shown, cell) for cell in line.strip().strip("|").split("|")])
            continue
        if table:
            yield markdown_table(table)
            table = []
        if not fenced and (end := _drawer_end(lines, at)):
            hidden = end
        elif block and block.group(2).lower() in ("src", "example"):
            fenced = block.group(1).lower() == "begin"
            yield f"```{block.group(3) or ''}" if fenced else "```"
        elif fenced:
            yield line
        elif heading := _ORG_HEADING.match(line):
            yield f"{'#' * min(len(heading.group(1)), 6)} {_ORG_LINK.sub(_shown, _untagged(heading.group(2)))}"
        elif (keyword := _ORG_KEYWORD.match(line.strip())) and keyword.group(1).lower() == "caption":
            yield escaped(_ORG_LINK.sub(_shown, keyword.group(2).strip()) + "\n")
        elif not (block or keyword or line.startswith("# ") or line == "#"):
            yield escaped(_ORG_LINK.sub(_shown, line))


def _drawer_end(lines: list[str], at: int) -> int:
    """Where the drawer that begins at `at` ends; 0 when none begins there, or none ends before the next heading."""
    if at >= len(lines) or not _ORG_DRAWER.match(lines[at]):
        return 0
    for end in range(at + 1, len(lines)):
        if lines[end].strip().upper() == ":END:":
            return end
        if _ORG_HEADING.match(lines[end]) or _ORG_DRAWER.match(lines[end]):
            return 0
    return 0


def _untagged(heading: str) -> str:
    heading = heading.strip(" \t")
    tags = _ORG_TAGS.search(heading)
    return heading[: tags.start()].rstrip(" \t") if tags else heading


def _shown(match: re.Match[str]) -> str:
    return match.group(2) or match.group(1)
