"""YAML, kept as it is written: its indentation is what makes it readable."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.documents import Document

from loaders.base import Loader, Source, document, required
from loaders.text import read_text
from loaders.unicode import clean

_TITLE = re.compile(r"^(?:title|name)[ \t]*:[ \t]*(['\"]?)([^\s'\"|>&*!{\[#][^\n]{0,200}?)\1[ \t]*$", re.MULTILINE)


class YamlLoader(Loader):
    """One document of `text` format; the title is the `title` or `name` at its top level, else the file's name."""

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        text = clean(read_text(source))
        named = _TITLE.search(text[:65536])
        yield required(document(source, text, title=named.group(2) if named else ""))
