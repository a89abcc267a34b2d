"""Fixtures of the running application for every test folder that speaks HTTP to it; its conftest.py imports them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from service.api_keys import service as api_keys
from service.app import create_app
from service.resources import Resources
from service.settings import Settings, load
from service.workspaces import DEFAULT_WORKSPACE

__all__ = [
    "anonymous",
    "app",
    "client",
    "foreign",
    "foreign_workspace",
    "key",
    "limited",
    "resources",
    "settings",
    "speak",
    "workspace",
]


@asynccontextmanager
async def speak(app: FastAPI, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application in this process. Unexpected failures are answered with 500, as in production."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Settings on a migrated database and a data folder of the test's own."""
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 4}
    return load({}, {**place, "egress_allow": "127.0.0.1"})  # stubs of other hosts answer there


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The application, started."""
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
def resources(app: FastAPI) -> Resources:
    """What the application has opened."""
    opened: Resources = app.state.resources
    return opened


@pytest.fixture
def workspace() -> UUID:
    """The workspace that every installation has."""
    return DEFAULT_WORKSPACE


@pytest.fixture
async def key(resources: Resources, workspace: UUID) -> str:
    """The secret of a key that may do everything."""
    _, secret = await api_keys.create(resources.database, workspace, "tests")
    return secret


@pytest.fixture
async def client(app: FastAPI, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may do everything in `workspace`."""
    async with speak(app, key) as opened:
        yield opened


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with speak(app) as opened:
        yield opened


@pytest.fixture
async def foreign_workspace(resources: Resources) -> UUID:
    """Another workspace of the same installation."""
    other = uuid4()
    async with resources.database.connection() as connection:
        await connection.execute("INSERT INTO workspaces (id, name) VALUES (%s, 'other')", (other,))
    return other


@pytest.fixture
async def foreign(app: FastAPI, resources: Resources, foreign_workspace: UUID) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may do everything, but in another workspace."""
    _, secret = await api_keys.create(resources.database, foreign_workspace, "foreign")
    async with speak(app, secret) as opened:
        yield opened


@pytest.fixture
async def limited(app: FastAPI, resources: Resources, workspace: UUID) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose key has one permission that no route asks for."""
    _, secret = await api_keys.create(resources.database, workspace, "limited", ["auditLogs:view"])
    async with speak(app, secret) as opened:
        yield opened
