"""Which loader reads a file: by its content before its name."""

import json
import re
import zipfile
import zlib
from dataclasses import replace
from typing import Final

from loaders import LOADERS, archives, csv, image, ole, readable
from loaders.base import Failure, LoaderError, Source
from loaders.unicode import clean, decode, encoding_of, is_binary

_HEAD: Final = 64 * 1024
_LONGEST_MIME: Final = 200
# Atomic and possessive: what repeats here would else be taken apart in ever more ways before it fails.
_HTML_START = re.compile(
    r"\s*+(?:<\?xml[^>]*\?>\s*+)?(?:<!--(?>.*?-->)\s*+)*+<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL
)
_HTML_TAG = re.compile(
    r"<(head|body|title|meta|div|p|h[1-6]|table|tr|td|ul|ol|li|span|a|br|img|section|article)\b[^<>]*>", re.IGNORECASE
)
_ZIP_PARTS = (
    ("word/document.xml", "docx", ""),
    ("word/", "docx", ""),
    ("xl/workbook.bin", "", "a binary Excel workbook (XLSB); save it as XLSX"),
    ("xl/", "xlsx", ""),
    ("ppt/", "pptx", ""),
    ("META-INF/container.xml", "epub", ""),
)
TNEF = b"\x78\x9f\x3e\x22"
"""What mails begin with that Outlook packs into `winmail.dat`."""

_ARCHIVES = ("docx", "xlsx", "pptx", "epub", "ods", "odt", "odp")
_OPEN_DOCUMENTS = (("spreadsheet", "ods"), ("text", "odt"), ("presentation", "odp"))
_OLE_PARTS = (
    ("WordDocument", "doc", ""),
    ("Workbook", "xls", ""),
    ("Book", "xls", ""),
    ("__properties_version1.0", "msg", ""),
    ("PowerPoint Document", "", "an old PowerPoint presentation (PPT); save it as PPTX"),
)
_KEPT_BY_NAME = ("markdown", "rst", "org", "yaml", "code")
"""Text whose name says what it is, whatever it looks like otherwise."""

_BY_NAME = ("csv", "tsv", "html", "json", "jsonl", "eml", "vtt", "srt")
"""Text whose name says what it is unless it looks like something else."""

_BEFORE_PDF = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:(?=HTTP/|.*content-type:[ \t]*application/)(?:HTTP/[^\n]*+\n)?"
    rb"(?:[a-z][a-z0-9-]*+:[^\n]*+\n(?:[ \t][^\n]*+\n)*+)*+\s*+)?",
    re.IGNORECASE | re.DOTALL,
)
"""Blanks, and the head of the answer or the mail that a PDF came in."""

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]|\x1b%-12345X")
"""What text does not hold; the second is how jobs for printers begin."""

_VTT_START = re.compile(r"WEBVTT(?:[ \t\n]|\Z)")
_SRT_START = re.compile(r"\s*+\d++[ \t]*+\n\d{1,3}:\d\d:\d\d[,.]\d{1,3}[ \t]+-->[ \t]")
_MAIL_HEAD = re.compile(r"\s*+((?:[A-Za-z][A-Za-z0-9-]*+:[^\n]*+\n(?:[ \t][^\n]*+\n)*+){3,}+)")
_MAIL_HEADER = re.compile(r"^([A-Za-z][A-Za-z0-9-]*):", re.MULTILINE)
_XML_START = re.compile(r"\s*(?:<\?xml\b|<!DOCTYPE\s+article\b)")


def detect(source: Source) -> str:
    """The row of `LOADERS` for `source`.

    The bytes decide: a PDF named `.txt` is a PDF, an archive goes by its parts, HTML by its tags, JSON and JSON Lines
    by whether the beginning parses, mails by their headers, tables by regular columns. Where text could be several
    things the suffix, then the declared MIME type decides (Markdown, reStructuredText, Org, YAML and source code are
    told by them only); at an address the MIME type comes first. All other text is `text`.

    Raises `LoaderError`: EMPTY for nothing but white space, ENCRYPTED for a protected Office file, UNKNOWN, which names
    what the file seems to be and what can be read.
    """
    with source.open() as file:
        head = file.read(_HEAD)
        whole = len(head) < _HEAD
    if not head:
        raise LoaderError(Failure.EMPTY, "The file is empty.")
    if head.startswith(ole.MAGIC):
        return _ole(source)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _archive(source, head)
    if head.startswith(b"{\\rtf"):
        return "rtf"
    if head.startswith(TNEF):
        return "tnef"
    if image.is_image(head):
        return "image"
    if is_pdf(head):  # last, since others can carry one near their beginning
        return "pdf"
    if is_binary(head):
        raise _unknown(source, _guess(source))
    return _text(source, head, whole)


def is_pdf(head: bytes) -> bool:
    """Whether a PDF begins within the first 1024 bytes: text that only writes about its mark is none."""
    at = head.find(b"%PDF-", 0, 1024)
    if at < 0:
        return False
    return _BEFORE_PDF.fullmatch(head, 0, at) is not None or _CONTROL.search(head, 0, at) is not None or is_binary(head)


def misfit(source: Source, chosen: str, error: LoaderError) -> LoaderError:
    """What to tell of `error`, with which the loader `chosen` refused `source`: where the file is of another kind,
    which one it is and what reads it; else `error` itself.
    """
    if error.failure not in (Failure.CORRUPT, Failure.UNKNOWN):
        return error
    try:
        found = detect(replace(source, name=source.stem + LOADERS[chosen].suffixes[0]))
    except LoaderError as other:
        told = (Failure.UNKNOWN, Failure.ENCRYPTED)
        return other if error.failure is Failure.CORRUPT and other.failure in told else error
    if found == chosen:
        return error
    return LoaderError(
        Failure.UNKNOWN,
        f"The file is not what this loader reads ({LOADERS[chosen].label}); it seems to be: {LOADERS[found].label}."
        " The loader fileLoader reads it, as it goes by the content.",
    )


def named(source: Source) -> str:
    """The loader that the file's suffix, else its MIME type, points to; empty when neither is known.

    The MIME type of what an address answers goes before the suffix, which may be a program's (`page.php`), unless it
    only says that it is text.
    """
    mime = source.mime.partition(";")[0].strip().lower()
    by_suffix = next((name for name, row in LOADERS.items() if source.suffix in row.suffixes), "")
    by_mime = next((name for name, row in LOADERS.items() if mime in row.mimes), "")
    if source.is_address and by_mime in (*_KEPT_BY_NAME, *_BY_NAME, "xml"):
        return by_mime
    return by_suffix or by_mime


def declared(source: Source) -> str:
    """The loader that the MIME type points to where the name alone would not; else empty."""
    found = named(source)
    return found if found != named(replace(source, mime="")) else ""


def _archive(source: Source, head: bytes) -> str:
    try:
        with source.open() as file:
            archives.check_directory(file)
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
                declared = _mimetype(archive) if "mimetype" in names else ""
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        # The directory stands at the end, so a broken-off archive only shows the names of its first parts.
        if named(source) in _ARCHIVES:
            return named(source)
        if b"word/" in head:
            return "docx"
        raise LoaderError(Failure.CORRUPT, "The file is an archive that is damaged or breaks off.") from error
    for part, loader, label in _ZIP_PARTS:
        if any(name == part or (part.endswith("/") and name.startswith(part)) for name in names):
            if loader:
                return loader
            raise _unknown(source, label)
    if archives.ENCRYPTED_PACKAGE in names:
        raise LoaderError(Failure.ENCRYPTED, "The document is protected by a password.")
    if "content.xml" in names:
        kind = declared.strip().rpartition("opendocument.")[2]
        for start, loader in _OPEN_DOCUMENTS:
            if kind.startswith(start) or (not kind and named(source) == loader):
                return loader
        raise _unknown(source, f"an OpenDocument file ({kind or 'of no declared kind'})")
    raise _unknown(source, "a ZIP archive")


def _mimetype(archive: zipfile.ZipFile) -> str:
    """What an OpenDocument file says that it is; no more than that is unpacked of the part, which may be a bomb."""
    with archive.open("mimetype") as part:
        return part.read(_LONGEST_MIME).decode("ascii", "replace")


def _ole(source: Source) -> str:
    ole.refuse_encrypted(source)
    names = ole.entries(source)
    for part, loader, label in _OLE_PARTS:
        if part in names:
            if loader:
                return loader
            raise _unknown(source, label)
    if not names and named(source) in ("doc", "xls", "msg"):
        return named(source)
    raise _unknown(source, _guess(source))


def _text(source: Source, head: bytes, whole: bool) -> str:
    encoding = encoding_of(head)
    width = 4 if "32" in encoding else 2 if "16" in encoding else 1
    text = clean(decode(head if whole else head[: len(head) // width * width], "" if whole else encoding))
    if not text.strip():
        if whole or not source.read().strip():
            raise LoaderError(Failure.EMPTY, "The file holds nothing but white space.")
        return "text"
    by_name = named(source)
    if _HTML_START.match(text):
        return "html"
    if by_name in _KEPT_BY_NAME:
        return by_name
    marked = _marked(text, by_name)
    if marked:
        return marked
    found = _json(text, whole, by_name)
    if found:
        return found
    if text.lstrip().startswith("<") and not text.lstrip().startswith("<?xml") and len(_HTML_TAG.findall(text)) >= 3:
        return "html"
    if by_name in _BY_NAME:
        return by_name
    rows = text if whole else text[: text.rfind("\n") + 1]
    delimiter = csv.sniff(rows, strict=True)  # under the name of any format that the content is not
    if delimiter:
        return "tsv" if delimiter == "\t" else "csv"
    return "text"


def _marked(text: str, by_name: str) -> str:
    """The format of text that has marks of its own at its start, or nothing."""
    if _XML_START.match(text) or (by_name == "xml" and text.lstrip().startswith("<")):
        return "xml"
    if _VTT_START.match(text):
        return "vtt"
    if _SRT_START.match(text):
        return "srt"
    head = _MAIL_HEAD.match(text)
    names = {name.lower() for name in _MAIL_HEADER.findall(head.group(1))} if head else set()
    sent = names & {"date", "message-id", "mime-version", "received"}
    return "eml" if sent and "from" in names and names & {"to", "subject", "cc", "bcc", "return-path"} else ""


def _json(text: str, whole: bool, by_name: str) -> str:
    """`json`, `jsonl` or nothing, by parsing the beginning."""
    start = text.lstrip()
    if not start.startswith(("{", "[")):
        return ""
    line, _, rest = start.partition("\n")
    try:
        json.loads(line, parse_int=str)  # Python's own numbers have a limit on digits
    except (json.JSONDecodeError, RecursionError):
        pass
    else:
        if by_name == "jsonl" or rest.lstrip().startswith(("{", "[")):
            return "jsonl"
        return "" if rest.strip() else "json"
    if by_name == "jsonl":
        return "jsonl"
    try:
        _, end = json.JSONDecoder(strict=False, parse_int=str).raw_decode(start)
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
        found = puremagic.magic_string(source.read())
    except (puremagic.PureError, ValueError):
        found = []
    if not found:
        return "binary data of an unknown kind"
    return found[0].name or f"a {found[0].extension.lstrip('.').upper()} file"


def _unknown(source: Source, guess: str) -> LoaderError:
    return LoaderError(
        Failure.UNKNOWN, f"This kind of file cannot be read; it seems to be: {guess}. Readable are {readable()}."
    )
