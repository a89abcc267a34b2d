"""E-books (EPUB): each chapter by the way of HTML."""

import zipfile
from collections.abc import Iterator, Mapping
from posixpath import dirname, join, normpath
from typing import Any, ClassVar
from urllib.parse import unquote

from langchain_core.documents import Document

from loaders import archives, xml
from loaders.base import Failure, Format, Loader, LoaderError, Source, document, required
from loaders.html import markdown_of
from loaders.unicode import decode

_PER_CHAPTER = "perChapter"
_PER_FILE = "perFile"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/xml", "text/xml")


class EpubLoader(Loader):
    """A document of `markdown` format a chapter (a file of the reading order that has text), `chapter` from 1; with
    `usage` set to `perFile` the book is one.

    The title is the book's; its table of contents is left out. A book whose chapters are encrypted is ENCRYPTED.
    """

    options: ClassVar[Mapping[str, Any]] = {"usage": _PER_CHAPTER}

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The chapters in reading order, or all of them as one."""
        if options.get("usage") == _PER_FILE:
            chapters = list(self._chapters(source))
            joined = "\n\n".join(chapter.page_content for chapter in chapters)
            title = str(chapters[0].metadata["title"])
            yield required(document(source, joined, title=title, form=Format.MARKDOWN))
        else:
            yield from self._chapters(source)

    def _chapters(self, source: Source) -> Iterator[Document]:
        if not source.read().strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        with source.open() as file:
            names = archives.check(file, doctypes=True)
        if _CONTAINER not in names:
            raise LoaderError(Failure.CORRUPT, "The archive is not an EPUB book.")
        number = 0
        with source.open() as file, zipfile.ZipFile(file) as archive:
            title, chapters = _reading_order(archive)
            if _ENCRYPTION in names:
                _refuse_encrypted(archive, chapters)
            for chapter in chapters:
                if chapter not in names:
                    raise LoaderError(Failure.CORRUPT, f"The book lacks its chapter {chapter}.")
                _, text = markdown_of(decode(archive.read(chapter)))
                made = document(source, text, title=title, form=Format.MARKDOWN, chapter=number + 1)
                if made is not None:
                    number += 1
                    yield made
        if not number:
            raise LoaderError(Failure.EMPTY, "No chapter of the book has text.")


def _reading_order(archive: zipfile.ZipFile) -> tuple[str, list[str]]:
    """The book's title and the names of the files to read, in order."""
    container = xml.parse(archive.read(_CONTAINER), "book")
    root = next((part.get("full-path") for part in container.iter() if xml.local(part) == "rootfile"), None)
    try:
        package = xml.parse(archive.read(root or ""), "book")
    except KeyError as error:
        raise LoaderError(Failure.CORRUPT, "The book has no list of its parts.") from error
    items: dict[str, str] = {}
    title = ""
    for part in package.iter():
        name = xml.local(part)
        if name == "title" and not title:
            title = xml.words(part)
        elif name == "item" and part.get("media-type") in _PAGES and "nav" not in part.get("properties", "").split():
            items[part.get("id", "")] = normpath(join(dirname(root or ""), unquote(part.get("href", ""))))
    order = [
        items[key] for part in package.iter() if xml.local(part) == "itemref" and (key := part.get("idref")) in items
    ]
    return title, list(dict.fromkeys(order or items.values()))


def _refuse_encrypted(archive: zipfile.ZipFile, chapters: list[str]) -> None:
    """Fonts are often obscured, which does not matter; chapters are not."""
    listed = xml.parse(archive.read(_ENCRYPTION), "book")
    hidden = {unquote(part.get("URI", "")) for part in listed.iter() if xml.local(part) == "CipherReference"}
    if hidden.intersection(chapters):
        raise LoaderError(Failure.ENCRYPTED, "The book is protected (DRM).")
