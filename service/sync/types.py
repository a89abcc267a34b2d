"""What a sync source is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.document_stores.types import Component
from service.jobs.types import Job
from service.timetable import Cron as Cron
from service.timetable import Every as Every
from service.timetable import Schedule as Schedule


@dataclass(frozen=True, slots=True)
class SyncSource:
    """A loader of a document store that is kept in step with its origin. `run` is the newest run's job."""

    id: UUID
    store_id: UUID
    loader_id: UUID
    schedule: Schedule | None
    enabled: bool
    delete_missing: bool
    next_run_at: datetime | None
    queued_at: datetime | None
    run: UUID | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A sync source whose time has come, its workspace, and what the clock showed."""

    clock: datetime
    workspace: UUID
    source: SyncSource


@dataclass(frozen=True, slots=True)
class Asked:
    """A sync source as a caller describes it. None: as it is, or the default."""

    name: str | None = None
    doc_id: UUID | None = None
    connector: str | None = None
    config: Mapping[str, Any] | None = None
    splitter: Component | None = None
    schedule: Schedule | None = None
    has_schedule: bool = False
    """Whether the call says something about the schedule; None then means none."""
    enabled: bool | None = None
    delete_missing: bool | None = None
    principals: Sequence[str] | None = None
    """Who may find what a new source brings."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A sync source with what people want to see beside it."""

    source: SyncSource
    name: str
    connector: str
    config: Mapping[str, Any]
    splitter: Component | None
    documents: int
    run: Job | None
