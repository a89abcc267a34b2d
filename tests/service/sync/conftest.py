"""A worker beside the application, a document store whose embedder costs nothing, and folders that may be read."""

from pathlib import Path

import pytest

from service.settings import Settings, load
from tests.service.document_stores.conftest import embedder, talk, worker  # noqa: F401  # fixtures
from tests.service.document_stores.talk import Talk
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
async def keeper(talk: Talk) -> Keeper:  # noqa: F811  # the fixture
    """A document store, and what clients say to its sync sources."""
    return Keeper(talk, await talk.store())
