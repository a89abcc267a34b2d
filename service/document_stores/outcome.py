"""What an ingestion job did so far, and how far it has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.document_stores.ledger.types import Counts


@dataclass(slots=True)
class Outcome:
    """What a job did so far; kept in the job's row with each commit, so that a later attempt goes on counting."""

    counts: Counts = field(default_factory=Counts)
    failed: list[dict[str, Any]] = field(default_factory=list)
    documents: int = 0
    embedded: int = 0
    """Texts that the embedder was given; fewer than chunks where the same text was indexed already."""
    replaced: int = 0
    """Chunks whose callers brought vectors of another space than the document store has by now: they were embedded."""

    def as_json(self) -> dict[str, Any]:
        """The contract's names for the counts, and the documents that failed."""
        return {
            "numAdded": self.counts.added,
            "numUpdated": self.counts.updated,
            "numSkipped": self.counts.skipped,
            "numDeleted": self.counts.deleted,
            "numEmbedded": self.embedded,
            **({"numVectorsReplaced": self.replaced} if self.replaced else {}),
            "documents": self.documents,
            "failed": self.failed,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> "Outcome":
        """The outcome that an earlier attempt kept."""
        if not value:
            return cls()
        counts = Counts(value["numAdded"], value["numUpdated"], value["numSkipped"], value["numDeleted"])
        embedded, replaced = value.get("numEmbedded", 0), value.get("numVectorsReplaced", 0)
        return cls(counts, list(value["failed"]), value["documents"], embedded, replaced)


@dataclass(slots=True)
class Progress:
    """How far the loading of a job's documents has come. `before`: chunks that it was done with when it began; `size`:
    bytes of all documents."""

    before: int
    size: int
    read: int = 0
    planned: int = 0

    def add(self, size: int, chunks: int) -> int:
        """A document of so many bytes became so many chunks; how many all will become, by what is known."""
        self.read, self.planned = self.read + size, self.planned + chunks
        left = self.size - self.read
        return self.before + self.planned + (left * self.planned // self.read if self.read else 0)
