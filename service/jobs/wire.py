"""The JSON shape of jobs."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from pydantic import Field

from service.http.wire import Date, Wire
from service.jobs.types import FINAL, Job, JobState

PATH = "/api/v1/jobs/{id}"

STREAM_HEADERS = {"Cache-Control": "no-cache", "Connection": "keep-alive", "X-Accel-Buffering": "no"}
"""Let events through at once: proxies neither keep nor collect them."""

HEARTBEAT = b": still here\n\n"


class JobError(Wire):
    """Why a job failed."""

    status: int = Field(description="The HTTP status that a waiting call gets", examples=[422])
    code: str = Field(description="Stable, for programs", examples=["unreadable_file"])
    message: str = Field(examples=["report.pdf: the file is encrypted"])


class JobStatus(Wire):
    """A background job and how far it got."""

    id: UUID
    kind: str = Field(examples=["ingest"])
    store_id: UUID | None = Field(description="The document store it works on")
    state: JobState = Field(examples=[JobState.RUNNING])
    stage: str = Field(description="What it does now, or its state when it has ended", examples=["embed"])
    done: int = Field(description="Units of the stage that are done", examples=[640])
    total: int | None = Field(description="Units of the stage, once known", examples=[1280])
    rate: float | None = Field(description="Units a second", examples=[212.5])
    eta_seconds: float | None = Field(description="Seconds left at this rate", examples=[3.0])
    attempts: int = Field(description="How often it was started", examples=[1])
    result: dict[str, Any] | None = Field(
        description="What it brought, when done", examples=[{"numAdded": 1280, "numSkipped": 0}]
    )
    error: JobError | None = Field(description="Why it failed, or that it was cancelled")
    created_date: Date
    started_date: Date | None
    updated_date: Date
    finished_date: Date | None
    url: str = Field(
        description="Where this job is read", examples=["/api/v1/jobs/5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"]
    )


class JobPage(Wire):
    """One page of jobs and how many there are in all."""

    data: list[JobStatus]
    total: int = Field(examples=[1])


def url(job_id: UUID) -> str:
    """The path of a job."""
    return PATH.replace("{id}", str(job_id))


def status(job: Job) -> JobStatus:
    """A job as callers see it; its payload stays inside."""
    rate, eta = job.rate, job.eta_seconds
    return JobStatus(
        id=job.id,
        kind=job.kind,
        store_id=job.store_id,
        state=job.state,
        stage=job.stage,
        done=job.done,
        total=job.total,
        rate=None if rate is None else round(rate, 2),
        eta_seconds=None if eta is None else round(eta, 1),
        attempts=job.attempts,
        result=dict(job.result) if job.result is not None else None,
        error=JobError.model_validate(job.error) if job.error is not None else None,
        created_date=job.created_at,
        started_date=job.started_at,
        updated_date=job.updated_at,
        finished_date=job.finished_at,
        url=url(job.id),
    )


async def frames(states: AsyncIterator[Job | None]) -> AsyncIterator[bytes]:
    """A job's states as events, the last one named by how it ended; comments where nothing changed."""
    number = 0
    async for job in states:
        if job is None:
            yield HEARTBEAT
            continue
        number += 1
        event = job.state.value if job.state in FINAL else "progress"
        data = status(job).model_dump_json(by_alias=True)
        yield f"id: {number}\nevent: {event}\ndata: {data}\n\n".encode()
