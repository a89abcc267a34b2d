"""Outlook mails (MSG), by the property streams that [MS-OXMSG] and [MS-OXPROPS] describe."""

import datetime
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.documents import Document

from loaders import image, mail, ole, rtf
from loaders.base import Failure, Loader, LoaderError, Source
from loaders.unicode import decode

_PROPERTIES = "__properties_version1.0"
_STREAM = "__substg1.0_"
_ATTACHMENT = "__attach_version1.0_#"
_ENTRY = struct.Struct("<HHI8s")
_SUBJECT, _BODY, _HTML, _RTF = "0037", "1000", "1013", "1009"
_SENDER, _SENDER_SMTP, _SENDER_ADDRESS, _TO, _CC = "0C1A", "5D01", "0C1F", "0E04", "0E03"
_SUBMITTED, _DELIVERED, _CODEPAGE = 0x0039, 0x0E06, 0x3FDE
_DATA, _LONG_NAME, _SHORT_NAME, _SHOWN_NAME, _MIME, _CONTENT_ID = "3701", "3707", "3704", "3001", "370E", "3712"
_HIDDEN, _FLAGS, _WITHIN_BODY = 0x7FFE, 0x3714, 4
_TICKS_TO_1970 = 116_444_736_000_000_000
_LZFU = b"LZFu"
_LZFU_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans "
    rb"SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n" rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)  # fmt: skip


class MsgLoader(Loader):
    """The mail as a document, then those of its attachments, embedded mails among them; `mail.documents` says how.

    The body is the plain one, else the HTML one, else the text of the RTF one. Pictures within it are left out.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The mail, then its attachments in order."""
        with ole.opened(source, "Outlook mail") as container:
            if not container.exists(_PROPERTIES):
                raise LoaderError(Failure.CORRUPT, "The file is not an Outlook mail.")
            found = _Folder(container, ()).read(32, 0)
        yield from mail.documents(source, found)


class _Folder:
    """A storage of the container: a mail or an attachment."""

    def __init__(self, container: Any, path: tuple[str, ...]) -> None:
        self._container = container
        self._path = path
        self._codepage = ""

    def read(self, header: int, depth: int) -> mail.Mail:
        """The mail of this storage, whose property stream has a header of that many bytes."""
        numbers = self._numbers(header)
        self._codepage = f"cp{int.from_bytes(numbers.get(_CODEPAGE, b'')[:4], 'little')}"
        sender, address = self._text(_SENDER), self._text(_SENDER_SMTP) or self._text(_SENDER_ADDRESS)
        if "@" in address and address != sender:
            sender = f"{sender} <{address}>".strip()
        headers = {
            "From": sender,
            "To": self._text(_TO),
            "Cc": self._text(_CC),
            "Date": date(numbers.get(_SUBMITTED) or numbers.get(_DELIVERED)),
            "Subject": self._text(_SUBJECT),
        }
        text, page = self._text(_BODY), self._html()
        if not text.strip() and not page.strip():
            text = rtf_text(self._bytes(_RTF + "0102"))
        headers = {name: value.strip("\0 ") for name, value in headers.items()}
        return mail.Mail(headers, text, page, list(self._attachments(page, depth)))

    def _html(self) -> str:
        data = self._bytes(_HTML + "0102")
        return decode(data, self._codepage) if data else self._text(_HTML)

    def _attachments(self, page: str, depth: int) -> Iterator[mail.Attachment]:
        level = len(self._path)
        inside = (path for path in self._container.listdir(storages=True) if tuple(path[:level]) == self._path)
        names = sorted({path[level] for path in inside if len(path) > level and path[level].startswith(_ATTACHMENT)})
        for number, name in enumerate(names, start=1):
            folder = _Folder(self._container, (*self._path, name))
            folder._codepage = self._codepage
            attachment = folder._attachment(number, depth)
            if not (image.is_image(attachment.data) and folder._is_shown(page)):
                yield attachment

    def _attachment(self, number: int, depth: int) -> mail.Attachment:
        named = self._text(_LONG_NAME) or self._text(_SHORT_NAME) or self._text(_SHOWN_NAME)
        name = mail.file_name(named.strip("\0"), number)
        embedded = (*self._path, f"{_STREAM}{_DATA}000D")
        if self._container.exists([*embedded, _PROPERTIES]) and depth <= mail.DEEPEST:
            inner = _Folder(self._container, embedded).read(24, depth + 1)
            return mail.Attachment(name, "message/rfc822", mail=inner)
        return mail.Attachment(name, self._text(_MIME).strip("\0"), self._bytes(_DATA + "0102"))

    def _is_shown(self, page: str) -> bool:
        """Whether the body, of which `page` is the HTML, shows this attachment in itself."""
        numbers = self._numbers(8)
        hidden = any(numbers.get(_HIDDEN, b"")[:2])
        within = int.from_bytes(numbers.get(_FLAGS, b"")[:4], "little") & _WITHIN_BODY
        return hidden or bool(within) or mail.shows(page, self._text(_CONTENT_ID))

    def _bytes(self, name: str) -> bytes:
        path = [*self._path, _STREAM + name]
        if not self._container.exists(path):
            return b""
        with self._container.openstream(path) as stream:
            return bytes(stream.read())

    def _text(self, name: str) -> str:
        wide = self._bytes(name + "001F")
        return wide.decode("utf-16-le", "replace") if wide else decode(self._bytes(name + "001E"), self._codepage)

    def _numbers(self, header: int) -> dict[int, bytes]:
        """The eight bytes of each property of fixed length, by its number."""
        with self._container.openstream([*self._path, _PROPERTIES]) as stream:
            data = stream.read()[header:]
        whole = data[: len(data) // _ENTRY.size * _ENTRY.size]
        return {number: value for _, number, _, value in _ENTRY.iter_unpack(whole)}


def date(ticks: bytes | None) -> str:
    """A time in units of 100 ns since 1601, as ISO 8601 in UTC."""
    if not ticks or not any(ticks):
        return ""
    seconds = (int.from_bytes(ticks, "little") - _TICKS_TO_1970) // 10_000_000
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(" ")
    except (ValueError, OverflowError, OSError):
        return ""


def rtf_text(data: bytes) -> str:
    """The text of a body in compressed RTF."""
    return rtf.text_of(_unpacked(data)) if data else ""


def _unpacked(data: bytes) -> bytes:
    """Compressed RTF ([MS-OXRTFCP]): references of 12 bits of place and 4 of length into a ring of 4,096 bytes."""
    if data[8:12] != _LZFU:
        return data[16:]
    size = int.from_bytes(data[4:8], "little")
    ring = bytearray(_LZFU_START.ljust(4096, b"\0"))
    write = len(_LZFU_START)
    made = bytearray()
    at = 16
    while at < len(data) and len(made) < size:
        flags, at = data[at], at + 1
        for bit in range(8):
            if at >= len(data):
                break
            if flags >> bit & 1:
                pair = int.from_bytes(data[at : at + 2], "big")
                at += 2
                start = pair >> 4
                if start == write:
                    return bytes(made)
                count = (pair & 15) + 2
            else:
                start, count = -1, 1
            for step in range(count):
                byte = data[at] if start < 0 else ring[(start + step) % 4096]
                made.append(byte)
                ring[write] = byte
                write = (write + 1) % 4096
            at += start < 0
    return bytes(made[:size])
