"""The JSON shapes of sync sources."""

from typing import Any
from uuid import UUID

from pydantic import Field

from service import timetable
from service.document_stores.secrets import masked
from service.document_stores.types import Component
from service.errors import Unprocessable
from service.http.wire import Body, Date, Wire
from service.jobs.types import JobState
from service.jobs.wire import JobError, url
from service.sync.types import Asked, Cron, Schedule, Shown
from service.viewers import MOST_OF_DOCUMENT, principals

EXAMPLE = {
    "name": "Wiki",
    "connector": "folderFiles",
    "config": {"folderPath": "/srv/wiki", "recursive": True},
    "schedule": {"every": "6h"},
}


class ScheduleBody(Body):
    """When a source is looked at again: `cron` with `timezone`, or `every`."""

    cron: str | None = Field(
        None, max_length=200, description="Minute, hour, day of month, month, weekday", examples=["0 3 * * *"]
    )
    timezone: str | None = Field(None, max_length=100, description="Of `cron`; UTC when left out", examples=["UTC"])
    every: str | None = Field(None, max_length=20, description="A number and m, h, d or w", examples=["6h"])

    def parsed(self) -> Schedule | None:
        """The schedule. Raises `Unprocessable` naming the field."""
        if self.cron and self.every:
            raise Unprocessable("schedule: give either cron or every")
        if self.cron:
            return timetable.cron(self.cron, self.timezone)
        return timetable.every(self.every) if self.every else None


class SplitterBody(Body):
    """A splitter by name, with its options."""

    name: str = Field("", examples=["recursiveCharacterTextSplitter"])
    config: dict[str, Any] = Field(default_factory=dict)


class SourceChanges(Body):
    """What of a sync source is to change; what is left out stays, `config` is laid over the present one."""

    name: str | None = Field(None, min_length=1, max_length=500, examples=["Wiki"])
    config: dict[str, Any] | None = Field(
        None, description="Fields of the connector, by Flowise's names", examples=[EXAMPLE["config"]]
    )
    splitter: SplitterBody | None = Field(None, description="How documents are cut; the default when left out")
    schedule: ScheduleBody | None = Field(
        None, description="`null`: on demand only", examples=[{"cron": "0 3 * * *", "timezone": "Europe/Berlin"}]
    )
    enabled: bool | None = Field(None, description="Whether the schedule is followed", examples=[True])
    delete_missing: bool | None = Field(
        None, description="Whether documents leave that the source no longer lists", examples=[True]
    )

    def asked(self) -> Asked:
        """What the call asks for. Raises `Unprocessable` naming the field."""
        return Asked(
            name=self.name,
            config=self.config,
            splitter=Component(self.splitter.name, self.splitter.config) if self.splitter else None,
            schedule=self.schedule.parsed() if self.schedule else None,
            has_schedule="schedule" in self.model_fields_set,
            enabled=self.enabled,
            delete_missing=self.delete_missing,
        )


class SourceBody(SourceChanges):
    """A new sync source: where its documents come from, and when they are looked at again."""

    connector: str | None = Field(
        None, max_length=100, description="A loader that fetches; needed without `docId`", examples=["folderFiles"]
    )
    doc_id: UUID | None = Field(None, description="A loader to keep in step; a new one is made when left out")
    principals: list[str] | None = Field(
        None,
        description="Who may find what a new loader brings; default: everybody. Of a loader that is there, they are"
        " changed at `/document-store/principals`",
        examples=[["group:engineering"]],
    )

    def asked(self) -> Asked:
        """What the call asks for. Raises `Unprocessable` naming the field."""
        asked = super().asked()
        return Asked(
            name=asked.name,
            doc_id=self.doc_id,
            connector=self.connector,
            config=asked.config,
            splitter=asked.splitter,
            schedule=asked.schedule,
            has_schedule=True,
            enabled=asked.enabled,
            delete_missing=asked.delete_missing,
            principals=principals(self.principals, MOST_OF_DOCUMENT),
        )


class RunBody(Body):
    """How to run."""

    force: bool = Field(False, description="Let documents leave even when the source lists nothing")


class ScheduleShown(Wire):
    """When a source is looked at again."""

    cron: str | None = Field(None, examples=["0 3 * * *"])
    timezone: str | None = Field(None, examples=["Europe/Berlin"])
    every: str | None = Field(None, examples=["6h"])


class RunShown(Wire):
    """The newest run, as its job."""

    id: UUID
    url: str = Field(description="Where the job is read")
    state: JobState = Field(examples=[JobState.DONE])
    result: dict[str, Any] | None = Field(
        description="Items that were listed, unchanged, fetched, claimed, left; chunks as of an upsert",
        examples=[{"listed": 12, "unchanged": 11, "fetched": 1, "claimed": 1, "left": 0, "numAdded": 2}],
    )
    error: JobError | None
    created_date: Date
    finished_date: Date | None


class Source(Wire):
    """A sync source: a loader that is kept in step with its origin."""

    id: UUID
    store_id: UUID
    doc_id: UUID = Field(description="The loader")
    name: str = Field(examples=["Wiki"])
    connector: str = Field(examples=["folderFiles"])
    config: dict[str, Any] = Field(examples=[EXAMPLE["config"]])
    splitter: dict[str, Any] | None
    schedule: ScheduleShown | None
    enabled: bool
    delete_missing: bool
    next_run_date: Date | None = Field(description="When it is due by its schedule")
    documents: int = Field(description="Documents it brought", examples=[12])
    last_run: RunShown | None
    created_date: Date
    updated_date: Date


class Removed(Wire):
    """How many sync sources were removed."""

    deleted: int = Field(examples=[1])


def source(shown: Shown) -> Source:
    """A sync source as callers see it."""
    row, run = shown.source, shown.run
    last = None
    if run is not None:
        last = RunShown(
            id=run.id,
            url=url(run.id),
            state=run.state,
            result=dict(run.result) if run.result is not None else None,
            error=JobError.model_validate(run.error) if run.error is not None else None,
            created_date=run.created_at,
            finished_date=run.finished_at,
        )
    return Source(
        id=row.id,
        store_id=row.store_id,
        doc_id=row.loader_id,
        name=shown.name,
        connector=shown.connector,
        config=masked(shown.config),
        splitter=shown.splitter.as_json() if shown.splitter else None,
        schedule=_schedule(row.schedule),
        enabled=row.enabled,
        delete_missing=row.delete_missing,
        next_run_date=row.next_run_at,
        documents=shown.documents,
        last_run=last,
        created_date=row.created_at,
        updated_date=row.updated_at,
    )


def _schedule(value: Schedule | None) -> ScheduleShown | None:
    if value is None:
        return None
    if isinstance(value, Cron):
        return ScheduleShown(cron=value.expression, timezone=value.timezone)
    return ScheduleShown(every=timetable.spelled(value.seconds))
