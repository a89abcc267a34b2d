"""PDF by its text layer, a document a page."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pypdfium2 as pdfium
from langchain_core.documents import Document

from loaders.base import Failure, Loader, LoaderError, Source, document, required

_PASSWORD_ERRORS = (4, 5)  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY (an unknown kind of protection)
_SOFT_HYPHEN = re.compile("[\x02\ufffe]\\s*\n?")
_END = b"%%EOF"
_NO_TITLE = re.compile(
    r"\(?(anonymous|unspecified|untitled)\)?|.*\.(docx?|pptx?|xlsx?|indd|qxd|pdf|tex|dvi|rtf)", re.IGNORECASE
)
_PER_PAGE, _PER_FILE = "perPage", "perFile"


class PdfLoader(Loader):
    """A document for each page that has text (`usage` perPage), or one for the file (perFile), of `text` format.

    Files that only carry an owner's password (restrictions) are read; a file that needs a password is ENCRYPTED. A file
    that ends before its end mark, or one with a page that cannot be read, is CORRUPT rather than read in part. A file
    of images without a text layer is EMPTY. Words that were hyphenated at a line's end are joined.
    """

    options: ClassVar[Mapping[str, Any]] = {"usage": _PER_PAGE}

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The pages in order."""
        usage = options.get("usage") or _PER_PAGE
        if usage not in (_PER_PAGE, _PER_FILE):
            raise LoaderError(Failure.BAD_OPTION, f"usage must be {_PER_PAGE} or {_PER_FILE}, not {usage!r}.")
        pdf = _open(source)
        try:
            count = len(pdf)
            named = str(pdf.get_metadata_value("Title") or "").strip()
            title = "" if _NO_TITLE.fullmatch(named) else named
            found = False
            whole: list[str] = []
            for index in range(count):
                text = _page_text(pdf, index)
                if usage == _PER_FILE:
                    whole.append(text)
                    continue
                page = document(source, text, title=title, page=index + 1, pages=count)
                if page is not None:
                    found = True
                    yield page
            if usage == _PER_FILE:
                joined = "\n\n".join(text for text in whole if text.strip())
                yield required(document(source, joined, title=title, pages=count), _no_text(count))
            elif not found:
                raise LoaderError(Failure.EMPTY, _no_text(count))
        finally:
            pdf.close()


def _no_text(count: int) -> str:
    return f"None of the {count} pages has a text layer; they are empty or scanned images."


def _open(source: Source) -> Any:
    data = source.path.read_bytes()
    if not data.strip():
        raise LoaderError(Failure.EMPTY, "The file is empty.")
    if b"%PDF-" not in data[:1024]:
        raise LoaderError(Failure.CORRUPT, "The file is not a PDF.")
    try:
        pdf = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if error.err_code in _PASSWORD_ERRORS:
            raise LoaderError(Failure.ENCRYPTED, "The PDF is protected by a password.") from error
        raise LoaderError(Failure.CORRUPT, "The PDF is damaged and cannot be opened.") from error
    if _END not in data:
        pdf.close()
        raise LoaderError(Failure.CORRUPT, "The PDF breaks off before its end.")
    return pdf


def _page_text(pdf: Any, index: int) -> str:
    try:
        page = pdf[index]
        try:
            layer = page.get_textpage()
            try:
                text = str(layer.get_text_bounded())
            finally:
                layer.close()
        finally:
            page.close()
    except pdfium.PdfiumError as error:
        raise LoaderError(Failure.CORRUPT, f"Page {index + 1} of the PDF is damaged.") from error
    return _SOFT_HYPHEN.sub("", text.replace("\r\n", "\n"))
