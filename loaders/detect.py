"""Which loader reads a file: by its content before its name."""

import json
import re
import zipfile
from typing import Final

from loaders import LOADERS, csv, readable
from loaders.base import Failure, LoaderError, Source
from loaders.unicode import clean, decode, encoding_of, is_binary

_HEAD: Final = 64 * 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")
_HTML_START = re.compile(
    r"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL
)
_HTML_TAG = re.compile(
    r"<(head|body|title|meta|div|p|h[1-6]|table|tr|td|ul|ol|li|span|a|br|img|section|article)\b[^<>]*>", re.IGNORECASE
)
_ZIP_PARTS = (
    ("word/document.xml", "docx", ""),
    ("word/", "docx", ""),
    ("xl/", "", "an Excel workbook (XLSX)"),
    ("ppt/", "", "a PowerPoint presentation (PPTX)"),
    ("META-INF/container.xml", "", "an EPUB book"),
    ("content.xml", "", "an OpenDocument file"),
)


def detect(source: Source) -> str:
    """The row of `LOADERS` for `source`.

    The bytes decide: a PDF named `.txt` is a PDF, an archive goes by its parts, HTML by its tags, JSON and JSON Lines
    by whether the beginning parses, tables by regular columns. Where text could be several things the suffix, then
    the declared MIME type decides (Markdown is told by them only). All other text is `text`.

    Raises `LoaderError`: EMPTY for nothing but white space, ENCRYPTED for a protected Office file, UNKNOWN, which names
    what the file seems to be and what can be read.
    """
    with source.path.open("rb") as file:
        head = file.read(_HEAD)
        whole = len(head) < _HEAD
    if not head:
        raise LoaderError(Failure.EMPTY, "The file is empty.")
    if head.startswith(_OLE):  # before PDF: a mail can carry one near its beginning
        if _ENCRYPTED_OFFICE in source.path.read_bytes():
            raise LoaderError(Failure.ENCRYPTED, "The Office document is protected by a password.")
        raise _unknown(source, _guess(source))
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _archive(source, head)
    if is_binary(head) or head.startswith(b"{\\rtf"):
        raise _unknown(source, _guess(source))
    return _text(source, head, whole)


def named(source: Source) -> str:
    """The loader that the file's suffix, else its MIME type, points to; empty when neither is known."""
    for name, row in LOADERS.items():
        if source.suffix in row.suffixes:
            return name
    mime = source.mime.partition(";")[0].strip().lower()
    for name, row in LOADERS.items():
        if mime in row.mimes:
            return name
    return ""


def _archive(source: Source, head: bytes) -> str:
    try:
        with zipfile.ZipFile(source.path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        # The directory stands at the end, so a broken-off archive only shows the names of its first parts.
        if named(source) == "docx" or b"word/" in head:
            return "docx"
        raise LoaderError(Failure.CORRUPT, "The file is an archive that is damaged or breaks off.") from error
    for part, loader, label in _ZIP_PARTS:
        if any(name == part or (part.endswith("/") and name.startswith(part)) for name in names):
            if loader:
                return loader
            raise _unknown(source, label)
    raise _unknown(source, "a ZIP archive")


def _text(source: Source, head: bytes, whole: bool) -> str:
    encoding = encoding_of(head)
    width = 4 if "32" in encoding else 2 if "16" in encoding else 1
    text = clean(decode(head if whole else head[: len(head) // width * width], "" if whole else encoding))
    if not text.strip():
        if whole or not source.path.read_bytes().strip():
            raise LoaderError(Failure.EMPTY, "The file holds nothing but white space.")
        return "text"
    by_name = named(source)
    if _HTML_START.match(text):
        return "html"
    if by_name == "markdown":
        return "markdown"
    found = _json(text, whole, by_name)
    if found:
        return found
    if text.lstrip().startswith("<") and not text.lstrip().startswith("<?xml") and len(_HTML_TAG.findall(text)) >= 3:
        return "html"
    if by_name in ("csv", "tsv", "html", "json", "jsonl"):
        return by_name
    rows = text if whole else text[: text.rfind("\n") + 1]
    delimiter = csv.sniff(rows, strict=True) if by_name in ("", "text") else ""
    if delimiter:
        return "tsv" if delimiter == "\t" else "csv"
    return "text"


def _json(text: str, whole: bool, by_name: str) -> str:
    """`json`, `jsonl` or nothing, by parsing the beginning."""
    start = text.lstrip()
    if not start.startswith(("{", "[")):
        return ""
    line, _, rest = start.partition("\n")
    try:
        json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        pass
    else:
        if by_name == "jsonl" or rest.lstrip().startswith(("{", "[")):
            return "jsonl"
        return "" if rest.strip() else "json"
    if by_name == "jsonl":
        return "jsonl"
    try:
        _, end = json.JSONDecoder(strict=False).raw_decode(start)
    except RecursionError:
        return "json"
    except json.JSONDecodeError as error:
        # A good beginning fails where the part that was read ends: in its last, unfinished value.
        unfinished = not whole and (error.pos > len(start) * 0.9 or error.msg.startswith("Unterminated"))
        return "json" if unfinished or by_name == "json" else ""
    return "json" if not start[end:].strip() else ""


def _guess(source: Source) -> str:
    import puremagic

    try:
        found = puremagic.magic_file(str(source.path))
    except (puremagic.PureError, ValueError):
        found = []
    if not found:
        return "binary data of an unknown kind"
    return found[0].name or f"a {found[0].extension.lstrip('.').upper()} file"


def _unknown(source: Source, guess: str) -> LoaderError:
    return LoaderError(
        Failure.UNKNOWN, f"This kind of file cannot be read; it seems to be: {guess}. Readable are {readable()}."
    )
