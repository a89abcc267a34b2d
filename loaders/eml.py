"""Mails as they travel (EML, RFC 5322 and MIME)."""

import re
from collections.abc import Iterator, Mapping
from email.policy import Compat32
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document

from loaders import mail, tnef
from loaders.base import Failure, Loader, LoaderError, Source
from loaders.unicode import decode, encoding_of, is_binary

if TYPE_CHECKING:
    from email.message import Message

_HEAD = 64 * 1024
_MOST_PARTS = 2000
_LONGEST_HEADER = 20_000
_CHARSET = re.compile(rb"charset=\"?([A-Za-z0-9_:.-]+)", re.IGNORECASE)
_ENCODED_WORD = r"=\?[^?\s]+\?[bq]\?[^?]*\?="
_ENCODED = re.compile(rf"{_ENCODED_WORD}(?:\s*{_ENCODED_WORD})*", re.IGNORECASE)
_NOT_READ = frozenset(
    {"text/x-amp-html", "text/watch-html", "application/pgp-signature", "application/pkcs7-signature",
     "application/x-pkcs7-signature"}
)  # fmt: skip
"""Parts that say nothing of their own where they have no name: copies of the HTML body, signatures."""


class EmlLoader(Loader):
    """The mail as a document (`markdown` format when only its HTML body says something), then those of its attachments.

    `mail.documents` says how. Bodies after the first of a kind are appended; pictures within an HTML body are left out.
    A part that is neither is an attachment, with a name or without; of a mail that Outlook packed (`winmail.dat`) the
    attachments are taken, and the body where there is no other. Headers in raw bytes instead of encoded words are
    read in UTF-8, else in the charset that the mail declares, else in the one that it seems to be in.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The mail, then its attachments in order."""
        from email import message_from_bytes

        data = source.read()
        if not data.strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        if is_binary(data[:_HEAD]):
            raise LoaderError(Failure.UNKNOWN, "The file holds binary data, not a mail.")
        if encoding_of(data[:_HEAD]).startswith(("utf-16", "utf-32")):  # saved from an editor
            data = decode(data).encode()
        policy = _Raw(encoding=_encoding(data[:_HEAD]))  # type: ignore[call-arg]  # fields of policies are arguments
        read = _mail(message_from_bytes(data.lstrip(), policy=policy), 0)
        if not read.headers:
            raise LoaderError(Failure.CORRUPT, "The file has none of a mail's headers.")
        yield from mail.documents(source, read)


class _Raw(Compat32):
    """Gives headers with raw bytes, which `email` holds as surrogates, as text: UTF-8, else of `encoding`."""

    encoding: str = ""

    def header_fetch_parse(self, name: str, value: str) -> str:
        """The value of a header as text."""
        if value.isascii():
            return value
        raw = value.encode("utf-8", "surrogateescape")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return decode(raw, self.encoding)


def _encoding(head: bytes) -> str:
    declared = (found.group(1).decode("ascii").lower() for found in _CHARSET.finditer(head))
    return next((name for name in declared if name not in ("utf-8", "us-ascii")), "") or encoding_of(head)


def _mail(message: "Message", depth: int) -> mail.Mail:
    texts: list[str] = []
    pages: list[str] = []
    attachments: list[mail.Attachment] = []
    for part in _parts(message):
        kind = part.get_content_type()
        name = _decoded(part.get_filename())
        attached = part.get_content_disposition() == "attachment" or bool(name)
        if kind == "message/rfc822":
            inner = _mail(_inner(part), depth + 1) if depth <= mail.DEEPEST else None
            title = name or (inner.headers.get("Subject", "") if inner else "") or "message"
            attachments.append(mail.Attachment(title.replace("/", "-"), kind, mail=inner))
        elif not attached and (kind == "text/plain" or kind.startswith("multipart/")):  # one without its boundary
            texts.append(_text(part))
        elif kind == "text/html" and not attached:
            pages.append(_text(part))
        elif (packed := _unpacked(part, depth)) is not None:
            attachments += packed.attachments
            if not texts and not pages:
                texts, pages = [packed.text], [packed.html]
        elif (attached or kind not in _NOT_READ) and not (kind.startswith("image/") and _is_shown(part, pages)):
            data = part.get_payload(decode=True)
            charset = part.get_content_charset()
            kind = f"{kind}; charset={charset}" if charset else kind
            named = mail.file_name(name, len(attachments) + 1)
            if attached or data:
                attachments.append(mail.Attachment(named, kind, data if isinstance(data, bytes) else b""))
    found = ((name, _decoded(message.get(name))) for name in mail.HEADERS)
    headers = {name: value for name, value in found if value}
    return mail.Mail(headers, "\n\n".join(texts), "\n".join(pages), attachments)


def _unpacked(part: "Message", depth: int) -> mail.Mail | None:
    """The mail that Outlook packed into a part as a whole; None where it did not."""
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes) or not data.startswith(tnef.MAGIC):
        return None
    try:
        return tnef.mail_of(data, depth + 1)
    except LoaderError:  # told where attachments are read
        return None


def _inner(part: "Message") -> "Message":
    payload = part.get_payload()
    return payload[0] if isinstance(payload, list) and payload and not isinstance(payload[0], str) else part


def _is_shown(part: "Message", pages: list[str]) -> bool:
    """Whether an HTML body of the mail shows this picture."""
    name = str(part.get("Content-ID") or "")
    return any(mail.shows(page, name) for page in pages)


def _parts(message: "Message") -> Iterator["Message"]:
    """The leaves of the tree of parts; a mail within the mail is a leaf."""
    stack = [message]
    count = 0
    while stack:
        part = stack.pop()
        count += 1
        if count > _MOST_PARTS:
            raise LoaderError(Failure.TOO_LARGE, f"The mail has more than {_MOST_PARTS} parts.")
        payload = part.get_payload()
        if part.is_multipart() and isinstance(payload, list) and (part.get_content_type() != "message/rfc822"):
            stack += [inner for inner in reversed(payload) if not isinstance(inner, str)]
        else:
            yield part


def _text(part: "Message") -> str:
    data = part.get_payload(decode=True)
    charset = part.get_content_charset() or ""
    return decode(data, charset) if isinstance(data, bytes) else ""


def _decoded(value: str | None) -> str:
    """A header's value with its encoded words read."""
    return _ENCODED.sub(_words, (value or "")[:_LONGEST_HEADER])


def _words(found: re.Match[str]) -> str:
    from email.errors import HeaderParseError
    from email.header import decode_header, make_header

    try:
        return str(make_header(decode_header(found.group())))
    except (HeaderParseError, ValueError, LookupError):
        return found.group()
