"""Markdown, kept as it is written."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.documents import Document

from loaders.base import Format, Loader, Source, document, required
from loaders.html import markdown_of
from loaders.text import read_text
from loaders.unicode import clean

_FRONT_KEY = r"[\"']?\w[^\n]*?:(?:[ \t][^\n]*)?\n"
_FRONT_MATTER = re.compile(
    rf"\A---[ \t]*\n(?=(?:#[^\n]*+\n)*+{_FRONT_KEY})"
    rf"((?>(?:[ \t#}}\]-][^\n]*)?\n|{_FRONT_KEY})+?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)"
)
"""Between two rules nothing but keys, what is indented below them, list items and comments; else they are rules."""
_FRONT_TITLE = re.compile(r"^title[ \t]*:[ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n((?:(?!\+\+\+)[^\n]*\n)*)\+\+\+[ \t]*(?:\n|\Z)")
_TOML_TITLE = re.compile(r"^title[ \t]*=[ \t]*([\"'])(.+)\1[ \t]*$", re.MULTILINE | re.IGNORECASE)
_TABLE_OR_CODE = re.compile(
    r"^ {0,3}(```+|~~~+).*?(?:^ {0,3}\1|\Z)|^[ \t]*(?P<table><table\b(?:(?!<table\b).)*?</table>)",
    re.MULTILINE | re.DOTALL,
)
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(\S.*)$|^(\S[^\n]*)\n(?:=+|-+)[ \t]*$", re.MULTILINE)
_FENCED = re.compile(r"^ {0,3}(```+|~~~+).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
_LONGEST = 500
_MARKS = re.compile(r"[*_`]+|!?\[([^\]]*)\]\([^)]*\)")


def first_heading(text: str) -> str:
    """The text of the first heading outside fenced code, without its marks; empty when there is none."""
    found = _HEADING.search(_FENCED.sub("", text[:100_000]))
    if found is None:
        return ""
    title = (found.group(1) or found.group(2))[:_LONGEST].strip()
    return _MARKS.sub(lambda match: match.group(1) or "", title).rstrip("#").strip()


class MarkdownLoader(Loader):
    """One document of `markdown` format: the text without its front matter (YAML, TOML), its HTML tables as Markdown's.

    The title is the front matter's `title`, else the first heading, else the file's name.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        text = clean(read_text(source))
        title = ""
        front = _FRONT_MATTER.match(text)
        if front:
            named = _FRONT_TITLE.search(front.group(1))
            title = named.group(1).strip("\"'") if named else ""
            text = text[front.end() :]
        elif hugo := _TOML.match(text):
            named = _TOML_TITLE.search(hugo.group(1))
            title = named.group(2) if named else ""
            text = text[hugo.end() :]
        if "<table" in text:
            text = _with_tables(text)
        yield required(document(source, text, title=title or first_heading(text), form=Format.MARKDOWN))


def _with_tables(text: str) -> str:
    """The text with the tables that are written in HTML, outside of code and without code in them, as
    Markdown, so that chunks keep their headers."""

    def table(found: re.Match[str]) -> str:
        if found["table"] is None or "```" in found["table"]:
            return found[0]
        _, made = markdown_of(found["table"], marks=True)
        return f"\n{made}\n" if made else found[0]

    return _TABLE_OR_CODE.sub(table, text)
