"""What a copy is, and what is taken over into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Copy:
    """A document store that is a copy of another one; `expires_at`: when it is deleted, None if it stays."""

    id: UUID
    name: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Original:
    """A document of the original, as a copy takes it over: everything but its chunks."""

    loader_id: UUID
    source: str
    name: str
    mime: str | None
    size: int
    sha256: bytes
    blob: str
    recipe: Mapping[str, Any]
    namespace: str
    principals: Sequence[str] | None
    created_at: datetime
