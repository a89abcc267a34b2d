"""A request that waits for what somebody else has locked is told to come again; others do not wait with it."""

import asyncio

import psycopg

from service.api_keys import service as api_keys
from service.app import create_app
from service.resources import open_resources
from service.settings import Settings
from service.workspaces import DEFAULT_WORKSPACE
from tests.application import speak

API = "/api/v1/document-store"


async def test_who_waits_too_long_for_a_locked_document_store_is_told_to_come_again(
    settings: Settings, database_url: str
) -> None:
    app = create_app(settings, open_resources(settings, patience=0.2))
    async with app.router.lifespan_context(app):
        resources = app.state.resources
        _, key = await api_keys.create(resources.database, DEFAULT_WORKSPACE, "tests")
        async with speak(app, key) as client:
            store = (await client.post(f"{API}/store", json={"name": "A"})).json()["id"]
            path, body = f"{API}/store/{store}", {"name": "B"}
            async with await psycopg.AsyncConnection.connect(database_url) as other:
                await other.execute("SELECT 1 FROM document_stores FOR UPDATE")
                answers = await asyncio.gather(*(client.put(path, json=body) for _ in range(12)), client.get(path))
            assert {answer.status_code for answer in answers[:-1]} == {503}
            assert all("Retry-After" in answer.headers for answer in answers[:-1])
            assert answers[-1].status_code == 200
            assert (await client.put(path, json=body)).json()["name"] == "B"
