"""What an API key is, once its secret has been shown."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret. `hint` is the end of the secret, to tell keys apart. `principals`: whom it asks
    for, always; None: whom each call names."""

    id: UUID
    workspace: UUID
    name: str
    hint: str
    scopes: frozenset[str]
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None
    principals: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class BoundFlow:
    """A flow that answers those alone who send a key."""

    key: UUID
    name: str
    category: str | None
    updated_at: datetime
