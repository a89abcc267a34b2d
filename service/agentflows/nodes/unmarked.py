"""Texts without the marks of Markdown: models write `**yes**` where a condition asks for `yes`."""

import re

MOST = 100_000
"""Characters of a text that is looked through for marks; a longer one is no answer that somebody compares."""

NESTED = 3
"""Marks within each other that are taken off."""

_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[^`\n]*$", re.MULTILINE)
_BEGINS = re.compile(r"^[ \t]*(?:(?:>|(?:#{1,6}|[-*+]|[0-9]{1,9}[.)])(?=[ \t]))[ \t]*)+", re.MULTILINE)
"""Marks of headings, quotes and lists. Names and sums keep theirs: behind these a space stands."""
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\s]*(?:[ \t]+\"[^\"\n]*\")?\)")
_CODE = re.compile(r"(?<!`)(`{1,3})(?!`)([^`]+)(?<!`)\1(?!`)")
_STARS = re.compile(r"(\*{1,3}|~~)(?=\S)([^*~\n]+)(?<=\S)\1")
_LINES = re.compile(r"(?<!\w)(_{1,3})(?=\S)([^_\n]+)(?<=\S)\1(?!\w)")


def unmarked(text: str) -> str:
    """The words of a text, without what makes them bold, code, a heading, a quote, a list or a link. A text that is
    nothing but marks stays: it is asked for itself."""
    if len(text) > MOST:
        return text
    found = _BEGINS.sub("", _FENCE.sub("", text))
    found = _CODE.sub(r"\2", _LINK.sub(r"\1", found))
    for _ in range(NESTED):
        found, before = _LINES.sub(r"\2", _STARS.sub(r"\2", found)), found
        if found == before:
            break
    return found.strip() or text
