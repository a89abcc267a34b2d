"""A file that a conversation brought along."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import BinaryIO
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way in. `stream` is read from where it stands; `mime` is what the caller says it is."""

    name: str
    stream: BinaryIO
    mime: str | None = None


class Part(StrEnum):
    """What a file is to the message that it came with, for later questions of its conversation."""

    DOCUMENT = "document"
    """A file whose text is kept beside it."""
    TEXT = "text"
    """A document that came as text: there is no file."""
    PICTURE = "picture"
    """A picture that is kept as a file."""
    FETCHED = "fetched"
    """A picture that came as an address and was fetched from there; nobody is shown the file."""
    ADDRESS = "address"
    """A picture at an address: there is no file."""


HIDDEN = (Part.TEXT, Part.FETCHED, Part.ADDRESS)
"""Not shown as files of the conversation."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that is kept for a conversation; `name` is only shown, `mime` is by content."""

    id: UUID
    chatflow: UUID
    chat: str
    caller: str
    name: str
    mime: str
    size: int
    blob: str
    expires_at: datetime
    visitor: str = ""
    """Tells visitors without a key apart; empty for callers with one."""
    message: UUID | None = None
    """The user's message that it came with."""
    place: int = 0
    """Among what came with the message."""
    part: Part | None = None
    """None: it is nothing to later questions."""
    content: str | None = None
    """The text of a document, or an address; None where rows are read, as it may be long (`records.contents`)."""
    letters: int = 0
    """Characters of `content`."""

    @property
    def taken(self) -> int:
        """What counts against the limits of files, in bytes and characters."""
        return self.size + self.letters


@dataclass(frozen=True, slots=True)
class ReadAttachment:
    """An attachment with what was asked for: its text, or its bytes in base64."""

    attachment: Attachment
    content: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What the chatflow's owner allows (contract 4.2 `fullFileUpload`); `types` are MIME types."""

    on: bool
    types: Sequence[str]
