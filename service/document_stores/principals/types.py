"""What callers ask of principals."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Change:
    """Who may find a document, or all of a loader, from now on; None: everybody. Exactly one of the first three is
    given, and `place` names the change to its caller."""

    principals: Sequence[str] | None
    document_id: UUID | None = None
    source: str | None = None
    """Stable id of where a document came from."""
    loader_id: UUID | None = None
    """Its documents, and those that will come in through it."""
    place: str = ""
