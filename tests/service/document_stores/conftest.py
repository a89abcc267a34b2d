"""A worker beside the application, and document stores whose embedder costs nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from service.providers.embedding.fake import FakeEmbedder
from service.resources import Resources
from service.settings import Settings, load
from service.worker.runner import Runner
from tests.service.document_stores.talk import FAKE, Talk


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """As those of the application, with connections for a worker in the same process."""
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12}
    return load({}, {**place, "egress_allow": "127.0.0.1"})  # stubs of other hosts answer there


@pytest.fixture
async def worker(resources: Resources) -> AsyncIterator[Runner]:
    """A worker in this process."""
    stop = asyncio.Event()
    runner = Runner(resources, alone=True)
    task = asyncio.create_task(runner.run(stop))
    yield runner
    stop.set()
    await task


@pytest.fixture
def talk(client: httpx.AsyncClient, resources: Resources, workspace: UUID) -> Talk:
    """What clients do with document stores, and what must hold after it."""
    return Talk(client, resources, workspace)


@pytest.fixture
async def embedder(resources: Resources) -> FakeEmbedder:
    """The embedder of the document stores that `talk.store` makes; `calls` records what it was given."""
    made = await resources.embedders.get(FAKE["name"], FAKE["config"])
    assert isinstance(made, FakeEmbedder)
    return made
