"""Answers to calls that a job works for: what it did, its failure, or the job itself."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from fastapi import Response
from fastapi.responses import JSONResponse

from service.errors import error_body
from service.jobs.types import FINAL, Job, JobState
from service.jobs.wire import JobStatus, status
from service.resources import Resources

Done = TypeVar("Done")

ASYNC = "respond-async"

PREFER: Mapping[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": f"`{ASYNC}`: answer 202 with the job instead of waiting for it",
}
"""The header in the OpenAPI document."""

ACCEPTED: Mapping[int | str, dict[str, Any]] = {
    202: {"model": JobStatus, "description": "The job goes on; its URL is in `Location`"}
}
"""The answer without waiting in the OpenAPI document."""


async def answered(
    resources: Resources, job: Job, prefer: str | None, done: Callable[[Job], Awaitable[Done]], *, public: bool = False
) -> Response | Done:
    """Wait for a job, unless the caller prefers not to, and answer with what `done` makes of it, with its failure
    (`public`: in the text for everybody), or with the job itself."""
    (job,) = await ended(resources, [job], prefer)
    if job.state is JobState.DONE:
        return await done(job)
    return failure(job, public=public) if job.state in FINAL else accepted([job])


async def ended(resources: Resources, jobs: Sequence[Job], prefer: str | None) -> list[Job]:
    """The jobs when they have ended, or as they stand after `upsert_wait` seconds; at once for a caller that prefers
    not to wait."""
    if ASYNC in (prefer or ""):
        return list(jobs)
    seconds = resources.settings.upsert_wait
    return await asyncio.gather(*(resources.watch.wait(job.workspace, job.id, seconds) for job in jobs))


def failure(job: Job, *, public: bool = False) -> Response:
    """Why a job failed, as the call would have been answered."""
    error = job.error or {}
    code = int(error.get("status", 500))
    message = (public and error.get("public")) or error.get("message", "")
    return JSONResponse(error_body(code, message, error.get("code", "internal")), code)


def accepted(jobs: Sequence[Job], *, several: bool = False) -> Response:
    """The job that goes on, or a list of them; `Location` is the first one's."""
    bodies = [status(job).model_dump(mode="json", by_alias=True) for job in jobs]
    headers = {"Location": bodies[0]["url"], "Preference-Applied": ASYNC}
    return JSONResponse(bodies if several else bodies[0], 202, headers)
