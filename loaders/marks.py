"""Plain text and code among Markdown: what would be read as a mark is not."""

import re

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
