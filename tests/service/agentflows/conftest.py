"""A model server for the tests of agentflows."""

from collections.abc import Iterator

import pytest

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
