"""Clients on a socket, each with a key of its own: of this workspace with some permissions, or of another workspace."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import httpx

from service.api_keys import service as api_keys
from tests.service.predictions.live import DEFAULT_WORKSPACE, Live


@contextmanager
def client_of(live: Live, *permissions: str, workspace: UUID = DEFAULT_WORKSPACE) -> Iterator[httpx.Client]:
    """A client whose key has these permissions; without any it may do everything."""
    made = api_keys.create(live.resources.database, workspace, "client", permissions or ("*",))
    _, secret = live.run(made)
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=f"{live.url}/api/v1", headers=headers, timeout=60) as client:
        yield client


@contextmanager
def stranger_of(live: Live) -> Iterator[httpx.Client]:
    """A client that may do everything, but in a new workspace of its own."""
    workspace = uuid4()

    async def settle() -> None:
        async with live.resources.database.connection() as connection:
            await connection.execute("INSERT INTO workspaces (id, name) VALUES (%s, 'theirs')", (workspace,))

    live.run(settle())
    with client_of(live, workspace=workspace) as client:
        yield client


def opened_by(client: httpx.Client, method: str, path: str, body: object = None) -> bool:
    """Whether the client's key opens a route: anything but 403."""
    return client.request(method, path, json=body).status_code != 403
