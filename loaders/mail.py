"""What EML and MSG share: a mail and its attachments become documents."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from langchain_core.documents import Document

from loaders import detect, loader
from loaders.base import Failure, Format, LoaderError, Source, document, short
from loaders.html import markdown_of
from loaders.marks import escaped
from loaders.unicode import clean

MOST_ATTACHMENTS = 100
"""Attachments of one mail that are read."""

DEEPEST = 4
"""Levels of attachments within attachments that are read."""

HEADERS = ("From", "To", "Cc", "Date", "Subject")
"""The lines of a mail's text that come from its headers, in order."""

_WORD = re.compile(r"\w{2,}")
_MORE = 0.25
"""Share of the words of a body that the other one may lack: addresses of links, and what hyphens part."""
_MUCH_MORE = 5
_FEWEST_ROWS, _LONGEST_ROW = 3, 500


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail: the values of `HEADERS`, its body as text and as HTML (either may be empty), what is attached."""

    headers: Mapping[str, str]
    text: str = ""
    html: str = ""
    attachments: Sequence["Attachment"] = field(default=())


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attached file, or a mail that was attached as such."""

    name: str
    mime: str = ""
    data: bytes = b""
    mail: Mail | None = None


def documents(source: Source, mail: Mail) -> Iterator[Document]:
    """The mail's headers and body as a document titled by its subject, then the documents of its attachments.

    An attachment is read by the loader that its content asks for; its documents name it as `attachment`. One that
    cannot be read does not fail the mail: the mail's text names it with the reason.
    """
    found: list[Document] = []
    lines: list[str] = []
    for number, attachment in enumerate(mail.attachments):
        try:
            if number >= MOST_ATTACHMENTS:
                raise LoaderError(Failure.TOO_LARGE, f"Only {MOST_ATTACHMENTS} attachments are read.")
            found += _attached(source, attachment)
        except LoaderError as error:
            lines.append(f"{attachment.name} (not read: {error.failure.value})")
        else:
            lines.append(attachment.name)
    subject = " ".join(clean(mail.headers.get("Subject", "")).split())
    body, form = _body(mail)
    head = [f"{name}: {' '.join(mail.headers[name].split())}" for name in HEADERS if mail.headers.get(name)]
    if lines:
        head.append(f"Attachments: {', '.join(lines)}")
    made = document(source, "\n".join(head) + "\n\n" + body, title=subject, form=form)
    if made is not None:
        yield made
    yield from found


def _attached(source: Source, attachment: Attachment) -> Iterator[Document]:
    if source.depth >= DEEPEST:
        raise LoaderError(Failure.TOO_LARGE, f"Attachments are read to a depth of {DEEPEST}.")
    inner = replace(source, name=attachment.name, mime=attachment.mime, data=attachment.data, depth=source.depth + 1)
    if attachment.mail is not None:
        made = documents(inner, attachment.mail)
    else:
        made = loader(detect.detect(inner)).load(inner, {})
    for each in list(made):
        deeper = each.metadata.get("attachment")
        name = clean(attachment.name)
        each.metadata.update(source=clean(source.name), attachment=short(f"{name} > {deeper}" if deeper else name))
        yield each


def _body(mail: Mail) -> tuple[str, Format]:
    """The plain text, unless the HTML body says more: words that the other lacks, or rows of a table, which plain text
    takes apart. Both where each says something of its own, but no line that only points to a much longer page."""
    plain = mail.text.strip()
    if not mail.html.strip():
        return plain, Format.TEXT
    _, marked = markdown_of(mail.html)
    if not marked.strip():
        return plain, Format.TEXT
    own, other = set(_WORD.findall(plain)), set(_WORD.findall(marked))
    if plain and not _has_table(marked) and len(other - own) <= len(other) * _MORE:
        return plain, Format.TEXT
    if len(own - other) <= len(own) * _MORE or len(marked) >= len(plain) * _MUCH_MORE:
        return marked, Format.MARKDOWN
    return f"{escaped(plain)}\n\n{marked}", Format.MARKDOWN


def _has_table(text: str) -> bool:
    """Whether there is a table of data in a page: the cells of one that only lays it out are long."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return len(rows) > _FEWEST_ROWS and max(map(len, rows)) < _LONGEST_ROW


def shows(html: str, content_id: str) -> bool:
    """Whether an HTML body shows the picture with that content id, with angle brackets or without."""
    name = content_id.strip("<>\0 ")
    return bool(name) and f"cid:{name}" in html


def file_name(name: str, number: int, suffix: str = "") -> str:
    """The name of an attachment without folders; one is made for an attachment without a name."""
    return PurePosixPath(name.replace("\\", "/").strip()).name or f"attachment-{number}{suffix}"
