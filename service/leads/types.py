"""Who somebody says that they are."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Lead:
    """A person who talked to a chatflow."""

    id: UUID
    chatflow: UUID
    chat: str
    name: str | None
    email: str | None
    phone: str | None
    created_at: datetime
