"""The running application with a worker, and the sample handbook in a document store of it."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from service.resources import Resources
from service.worker.runner import Runner
from tests.application import app, client, key, resources, settings, workspace
from tests.quality.handbook import Handbook

__all__ = ["app", "client", "key", "resources", "settings", "workspace"]


@pytest.fixture
async def worker(resources: Resources) -> AsyncIterator[None]:
    """A worker in this process."""
    stop = asyncio.Event()
    task = asyncio.create_task(Runner(resources, alone=True).run(stop))
    yield
    stop.set()
    await task


@pytest.fixture
async def handbook(client: httpx.AsyncClient, worker: None) -> Handbook:
    """The handbook, still without files."""
    return await Handbook.open(client)
