"""A worker beside the application, a document store whose embedder costs nothing, and folders that may be read."""

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
from tests.service.sync.keeper import Keeper


@pytest.fixture
def wiki(tmp_path: Path) -> Path:
    """A folder that the operator allows."""
    folder = tmp_path / "allowed" / "wiki"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """As those of the application, with a folder that may be read and loopback that may be called."""
    return load(
        {},
        {
            "data": tmp_path / "data",
            "database_url": database_url,
            "database_pool": 12,
            "sync_folders": str(tmp_path / "allowed"),
            "egress_allow": "127.0.0.1",
        },
    )


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


@pytest.fixture
async def keeper(talk: Talk) -> Keeper:
    """A document store, and what clients say to its sync sources."""
    return Keeper(talk, await talk.store())
