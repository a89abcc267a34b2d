"""What is kept of a request with an Idempotency-Key."""

from dataclasses import dataclass
from uuid import UUID

MAX_KEY = 255
"""Characters of a key."""

MAX_BODY = 4 * 1024 * 1024
"""Bytes of an answer that are kept, streamed ones included."""

NOBODY = UUID(int=0)
"""In the place of a workspace for answers of public routes."""

LEASE_SECONDS = 30.0
"""How long a key stays taken after its process gave the last sign of life."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: whose, under which key, and what it asks for."""

    owner: str
    key: str
    workspace: UUID | None
    fingerprint: bytes
    request: str
    """Method and path, for people."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A first answer. `body` is None when it was larger than `MAX_BODY`."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands under a key that is taken. `answer` is None while it runs."""

    fingerprint: bytes
    request: str
    answer: Answer | None
