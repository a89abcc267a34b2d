"""Forms with files: read within the limits, and not at all when there is no room for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from service.errors import TooLarge
from service.limits.service import check_disk, check_room
from service.resources import Resources

MAX_FIELD = 16 * 1024 * 1024
"""Bytes of a field that is no file."""

MAX_FIELDS = 1000


@asynccontextmanager
async def upload_form(request: Request, resources: Resources, workspace: UUID | None = None) -> AsyncIterator[FormData]:
    """The form of an upload; its files close at the end of the block. With a `workspace`, a job will follow.

    Raises `StorageFull`, `QueueFull`: before the body is read. Raises `TooLarge` naming the limit for too many files.
    """
    settings = resources.settings
    length = request.headers.get("content-length", "")
    incoming = int(length) if length.isascii() and length.isdigit() else 0
    if workspace is None:
        await check_disk(settings, incoming)
    else:
        await check_room(resources, workspace, incoming)
    try:
        form = await request.form(max_files=settings.max_files, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD)
    except HTTPException as error:
        if error.detail.startswith("Too many files"):
            raise TooLarge(f"max_files: one request brings at most {settings.max_files} files") from None
        if error.detail.startswith(("Part exceeded", "Field exceeded")):
            raise TooLarge(f"max_field: a field that is no file has at most {MAX_FIELD} bytes") from None
        raise
    try:
        yield form
    finally:
        await form.close()
