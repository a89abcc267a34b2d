"""An application whose process can die between any two side effects."""

from pathlib import Path
from uuid import UUID

import httpx
import pytest

from service.resources import Resources
from service.settings import Settings, load
from tests.application import (  # noqa: F401  # fixtures
    anonymous,
    app,
    client,
    foreign,
    foreign_workspace,
    key,
    resources,
    workspace,
)
from tests.reliability.bench import Bench
from tests.reliability.faults import Faults
from tests.service.document_stores.conftest import embedder, worker  # noqa: F401  # fixtures
from tests.service.document_stores.talk import Talk


@pytest.fixture
def vector_store() -> str:
    """Where vectors are kept; tests over several backends give it other values."""
    return "pgvector://"


@pytest.fixture
def settings(tmp_path: Path, database_url: str, vector_store: str) -> Settings:
    """As those of the application, with connections for a worker in the same process, and a folder to follow."""
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12}
    folders = {"sync_folders": str(tmp_path), "vector_store": vector_store}
    return load({}, {**place, **folders, "egress_allow": "127.0.0.1"})


@pytest.fixture
def talk(client: httpx.AsyncClient, resources: Resources, workspace: UUID) -> Talk:  # noqa: F811
    """What clients do with document stores, and what must hold after it."""
    return Talk(client, resources, workspace)


@pytest.fixture
def bench(talk: Talk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """A process that can die, and its successor. No worker runs beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return Bench(talk, Faults(talk.resources, monkeypatch), folder)
