"""An application whose process can die between any two side effects."""

from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from loaders.base import Source
from loaders.sandbox import Loaded
from service.document_stores.elsewhere import Elsewhere
from service.document_stores.pool import VectorPool
from service.document_stores.types import Backend
from service.resources import Resources
from service.settings import Settings, load
from stores.vector.memory import MemoryVectorStore
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


def remember_files(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Read every file once: parsers have no side effects, and the same few files are read a thousand times."""
    known: dict[Any, Loaded] = {}
    load_file = resources.sandbox.load

    async def loaded(source: Source, loader: str | None = None, options: Any = None, **more: Any) -> Loaded:
        asked = (source.path.read_bytes(), source.name, loader, repr(options))
        if asked not in known:
            known[asked] = await load_file(source, loader, options, **more)
        return deepcopy(known[asked])

    monkeypatch.setattr(resources.sandbox, "load", loaded)


def keep_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let memory stand for every vector store that a document store names, for as long as the test."""
    servers: dict[str, MemoryVectorStore] = {}

    def made(_pool: VectorPool, backend: Backend, _secret: str) -> Elsewhere:
        return Elsewhere(servers.setdefault(backend.url, MemoryVectorStore()), backend.title)

    monkeypatch.setattr(VectorPool, "_made", made)


@pytest.fixture
def bench(talk: Talk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """A process that can die, and its successor. No worker runs beside it."""
    remember_files(talk.resources, monkeypatch)
    keep_servers(monkeypatch)
    folder = tmp_path / "folder"
    folder.mkdir()
    return Bench(talk, Faults(talk.resources, monkeypatch), folder)
