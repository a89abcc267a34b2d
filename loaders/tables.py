"""Rows of cells to Markdown tables, the one way for all loaders."""

from collections.abc import Iterable, Sequence


def cell(value: str) -> str:
    """A cell's text on one line, with `|` escaped."""
    return " ".join(value.split()).replace("|", "\\|")


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """The rows as a Markdown table whose header is the first of them; empty rows and columns are left out.

    Ragged rows are filled up. No rows give an empty string.
    """
    cells = [[cell(value) for value in row] for row in rows]
    cells = [row for row in cells if any(row)]
    if not cells:
        return ""
    width = max(len(row) for row in cells)
    used = [index for index in range(width) if any(index < len(row) and row[index] for row in cells)]
    if len(used) < width or any(len(row) < width for row in cells):
        cells = [[row[i] if i < len(row) else "" for i in used] for row in cells]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    lines.insert(1, "|" + " --- |" * len(used))
    return "\n".join(lines)
