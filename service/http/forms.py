"""Forms with files: read within the limits, and not at all when there is no room for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeGuard
from uuid import UUID

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from service.errors import BadRequest, TooLarge
from service.limits.service import check_disk, check_room
from service.resources import Resources

MAX_FIELD = 16 * 1024 * 1024
"""Bytes of a field that is no file."""

MAX_FIELDS = 1000

MULTIPART = "multipart/form-data"
URL_ENCODED = "application/x-www-form-urlencoded"
FILE_PARTS = ("files", "files[]")


def media_type(request: Request) -> str:
    """What kind of body a request has: its content type in lower case without parameters, or an empty text."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_file(part: UploadFile | str | None) -> TypeGuard[UploadFile]:
    """Whether a part of a form is a file. Where none was chosen browsers send one without name and content: no file."""
    return isinstance(part, UploadFile) and bool(part.filename or part.size)


def files_of(form: FormData) -> list[UploadFile]:
    """The files of a form. Raises `BadRequest` for one in a part of another name."""
    files = []
    for name, part in form.multi_items():
        if is_file(part):
            if name not in FILE_PARTS:
                raise BadRequest(f"{name[:100]}: files must come in parts named 'files'")
            files.append(part)
    return files


def fields_of(form: FormData) -> dict[str, str]:
    """The text parts of a form, by name."""
    return {name: part for name, part in form.multi_items() if isinstance(part, str)}


def announced(request: Request) -> int:
    """The bytes that a request says its body has; 0 when it says nothing of them."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


@asynccontextmanager
async def upload_form(request: Request, resources: Resources, workspace: UUID | None = None) -> AsyncIterator[FormData]:
    """The form of an upload; its files close at the end of the block. With a `workspace`, a job will follow.

    Raises `StorageFull`, `QueueFull`: before the body is read. Raises `TooLarge` naming the limit for too many files.
    """
    settings = resources.settings
    incoming = announced(request)
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
