"""Mails that Outlook packs into one attachment (`winmail.dat`), by [MS-OXTNEF]."""

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.documents import Document

from loaders import detect, mail, msg
from loaders.base import Failure, Loader, LoaderError, Source
from loaders.unicode import decode

MAGIC = detect.TNEF
_HEAD = 6
_ATTRIBUTE = struct.Struct("<BHHI")
_TITLE, _DATA, _RENDERING, _SUBJECT, _BODY, _CODEPAGE = 0x8010, 0x800F, 0x9002, 0x8004, 0x800C, 0x9007
_MESSAGE, _ATTACHMENT = 0x9003, 0x9005
"""The attributes that hold properties as MSG has them."""
_NUMBERS = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_OBJECT, _TEXT, _WIDE, _BINARY, _SEVERAL, _NAMED = 0x0D, 0x1E, 0x1F, 0x102, 0x1000, 0x8000
_MOST = 10_000
"""Properties of a mail, and values of one."""


class TnefLoader(Loader):
    """The mail as a document, then those of its attachments, embedded mails among them; `mail.documents` says how.

    The body is the plain one, else the HTML one, else the text of the RTF one.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The mail, then its attachments in order."""
        data = source.read()
        if not data.strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        found = list(mail.documents(source, mail_of(data)))
        if not found:
            raise LoaderError(Failure.EMPTY, "The mail has neither text nor attachments.")
        yield from found


def mail_of(data: bytes, depth: int = 0) -> mail.Mail:
    """The mail in `data`. Raises `LoaderError(CORRUPT)` when it is none or breaks off."""
    if not data.startswith(MAGIC):
        raise LoaderError(Failure.CORRUPT, "The file is not a mail packed by Outlook (winmail.dat).")
    try:
        return _read(data, depth)
    except struct.error as error:
        raise LoaderError(Failure.CORRUPT, "The mail packed by Outlook (winmail.dat) breaks off.") from error


def _read(data: bytes, depth: int) -> mail.Mail:
    whole: dict[int, bytes] = {}
    parts: list[dict[int, bytes]] = []
    for level, name, value in _attributes(data):
        if level == 2 and (name == _RENDERING or not parts):
            parts.append({})
        (parts[-1] if level == 2 else whole)[name] = value
    codepage = f"cp{int.from_bytes(whole.get(_CODEPAGE, b'')[:4], 'little')}"
    found = _Properties(whole.get(_MESSAGE, b""), codepage)
    sender, address = found.text(0x0C1A), found.text(0x5D01) or found.text(0x0C1F)
    headers = {
        "From": f"{sender} <{address}>".strip() if "@" in address and address != sender else sender,
        "To": found.text(0x0E04),
        "Cc": found.text(0x0E03),
        "Date": msg.date(found.raw(0x0039)),
        "Subject": found.text(0x0037) or decode(whole.get(_SUBJECT, b""), codepage).strip("\0"),
    }
    text = found.text(0x1000) or decode(whole.get(_BODY, b""), codepage).strip("\0")
    page = found.text(0x1013)
    if not text.strip() and not page.strip():
        text = msg.rtf_text(found.raw(0x1009))
    attachments = [_attachment(part, number, codepage, depth) for number, part in enumerate(parts, start=1)]
    return mail.Mail(headers, text, page, attachments)


def _attributes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Level (2 is an attachment's), name and value of each attribute."""
    at = _HEAD
    while at < len(data):
        level, name, _, size = _ATTRIBUTE.unpack_from(data, at)
        at += _ATTRIBUTE.size
        if level not in (1, 2) or at + size > len(data):
            raise struct.error
        yield level, name, data[at : at + size]
        at += size + 2  # a checksum


def _attachment(part: Mapping[int, bytes], number: int, codepage: str, depth: int) -> mail.Attachment:
    found = _Properties(part.get(_ATTACHMENT, b""), codepage)
    title = decode(part.get(_TITLE, b""), codepage).strip("\0")
    name = mail.file_name(found.text(0x3707) or title or found.text(0x3704) or found.text(0x3001), number)
    data = found.raw(0x3701)
    if data[16:20] == MAGIC and depth <= mail.DEEPEST:  # behind the number of the interface to a mail
        return mail.Attachment(name, "message/rfc822", mail=mail_of(data[16:], depth + 1))
    return mail.Attachment(name, found.text(0x370E), part.get(_DATA, b"") or data)


class _Properties:
    """The properties of a mail or an attachment by their numbers, of several values the first."""

    def __init__(self, data: bytes, codepage: str) -> None:
        self._data = data
        self._codepage = codepage
        self._at = 0
        self._found: dict[int, tuple[int, bytes]] = {}
        for _ in range(min(self._number(), _MOST) if data else 0):
            kind, name = struct.unpack("<HH", self._take(4))
            if name >= _NAMED:
                self._take(16)
                if self._number():
                    self._take(self._number())
                else:
                    self._take(4)
            values = self._values(kind)
            if values:
                self._found.setdefault(name, (kind & ~_SEVERAL, values[0]))

    def raw(self, name: int) -> bytes:
        """The bytes of a property; none where it is missing."""
        return self._found.get(name, (0, b""))[1]

    def text(self, name: int) -> str:
        """A property as text."""
        kind, data = self._found.get(name, (0, b""))
        return (data.decode("utf-16-le", "replace") if kind == _WIDE else decode(data, self._codepage)).strip("\0")

    def _values(self, kind: int) -> list[bytes]:
        size = _NUMBERS.get(kind & ~_SEVERAL)
        if size is None and kind & ~_SEVERAL not in (_OBJECT, _TEXT, _WIDE, _BINARY):
            raise struct.error
        count = self._number() if kind & _SEVERAL or size is None else 1
        return [self._take(self._number() if size is None else size) for _ in range(min(count, _MOST))]

    def _number(self) -> int:
        return int.from_bytes(self._take(4), "little")

    def _take(self, size: int) -> bytes:
        """The next bytes; what follows begins at a multiple of four."""
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise struct.error
        self._at += -(-size // 4) * 4
        return taken
