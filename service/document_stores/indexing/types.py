"""What is to be indexed."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Which:
    """The live chunks of a document store, or of one of its loaders, or of the documents that a job wrote, or those
    that a job added itself."""

    loader_id: UUID | None = None
    job_id: UUID | None = None
    added_by: UUID | None = None
