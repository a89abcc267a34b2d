"""Plain text and code among Markdown: what would be read as a mark is not."""

import re
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

Piece = tuple[bool, str]
"""Whether a piece of a text is Markdown's, and the piece."""

_HEADING_OR_FENCE = re.compile(r" {0,3}(?=#{1,6}(?:\s|$)|```|~~~)")
_BACKTICKS = re.compile("`{3,}")
_UNDERLINE = re.compile(r" {0,3}(?=(?:=+|-{2,})[ \t]*$)")


def escaped(text: str) -> str:
    """`text` with a backslash in the lines that splitters would take for headings or the fences of code.

    A line of `=` or `-` is one only below the first line of a paragraph.
    """
    lines = ["", "", *text.split("\n")]
    marks = ("#", "```", "~~~", "=", "-")
    found = [at for at, line in enumerate(lines) if line.lstrip(" ").startswith(marks)]
    for at in found:
        mark = _HEADING_OR_FENCE.match(lines[at])
        if mark is None and lines[at - 1].strip() and not lines[at - 2].strip():
            mark = _UNDERLINE.match(lines[at])
        if mark is not None:
            lines[at] = f"{mark.group()}\\{lines[at][mark.end() :]}"
    return "\n".join(lines[2:])


def fenced(code: str, language: str = "") -> str:
    """Code between fences that are longer than any in it."""
    fence = "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(code)), default=0))
    return f"{fence}{language}\n{code}\n{fence}"


def joined(pieces: Sequence[Piece]) -> tuple[str, str, bool]:
    """The text of these pieces, its first heading, and whether any piece is Markdown: only then others are escaped."""
    heading = next((text.lstrip("# ") for is_mark, text in pieces if is_mark and text.startswith("#")), "")
    is_marked = any(is_mark for is_mark, _ in pieces)
    blocks: list[str] = []
    for is_mark, group in groupby(pieces, key=itemgetter(0)):
        texts = [text for _, text in group]
        block = "\n\n".join(["", *texts, ""]) if is_mark else "\n".join(texts)
        blocks.append(escaped(block) if is_marked and not is_mark else block)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(blocks)), heading, is_marked
