"""A running application with a worker, a model server that does what it is told, and what evaluations are made of."""

from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from service.resources import Resources
from tests.service.document_stores.conftest import settings, talk, worker  # noqa: F401  # fixtures
from tests.service.document_stores.talk import Talk
from tests.service.evaluations.lab import Lab
from tests.stubs.openai_server import OpenAIStub


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIStub]:
    """One for a module: it takes a while to start."""
    with OpenAIStub() as stub:
        yield stub


@pytest.fixture
def stub(server: OpenAIStub) -> OpenAIStub:
    """Without the scripts and requests of other tests."""
    server.reset()
    return server


@pytest.fixture
def lab(client: httpx.AsyncClient, resources: Resources, workspace: UUID, talk: Talk) -> Lab:  # noqa: F811
    """What evaluations are made of, and the service that makes them."""
    return Lab(client, resources, workspace, talk)
