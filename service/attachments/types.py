"""A file that a conversation brought along."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way in. `stream` is read from where it stands; `mime` is what the caller says it is."""

    name: str
    stream: BinaryIO
    mime: str | None = None


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
