"""What somebody says of an answer."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Rating(StrEnum):
    """Good or not (contract 6.5)."""

    UP = "THUMBS_UP"
    DOWN = "THUMBS_DOWN"


@dataclass(frozen=True, slots=True)
class Feedback:
    """The feedback to a message; there is at most one."""

    id: UUID
    chatflow: UUID
    chat: str
    message: UUID
    rating: Rating
    content: str | None
    created_at: datetime
