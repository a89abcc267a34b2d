"""Reading limits, and the two that are about the machine: room on the disk and in the queue."""

import asyncio
import shutil
from pathlib import Path
from pkgutil import resolve_name
from uuid import UUID

from service.errors import StorageFull
from service.jobs import service as jobs
from service.limits.types import Limit
from service.resources import Resources
from service.settings import Settings


def value(limit: Limit, settings: Settings) -> float:
    """What a limit is under these settings."""
    found: float = resolve_name(limit.source) if limit.fixed else getattr(settings, limit.source)
    return found


async def check_disk(settings: Settings, incoming: int = 0) -> None:
    """Raises `StorageFull` when `incoming` bytes would leave less than `min_free_disk` on the data folder's disk."""
    free = (await asyncio.to_thread(shutil.disk_usage, _existing(settings.data))).free
    if free - incoming < settings.min_free_disk:
        raise StorageFull(
            f"min_free_disk: the disk of the data folder has {free} bytes free; uploads leave at least"
            f" {settings.min_free_disk}. Nothing was kept; make room and send this again."
        )


async def check_room(resources: Resources, workspace: UUID, incoming: int = 0) -> None:
    """Raises `QueueFull` or `StorageFull` when an upload is not to be taken in now: before anything is kept of it."""
    await check_disk(resources.settings, incoming)
    async with resources.database.read(workspace) as scope:
        await jobs.check_room(scope, resources.settings.max_queued_jobs)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that there is."""
    while not folder.exists():
        folder = folder.parent
    return folder
