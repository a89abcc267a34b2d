"""A running application whose agentflows are started from outside, its worker, and a server that is called back."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from service.settings import Settings
from service.worker.runner import Runner
from tests.service.executions.conftest import Desk, desk, runs  # noqa: F401  # fixtures
from tests.service.predictions.live import Live
from tests.stubs.receiver import Receiver


@pytest.fixture
def live(settings: Settings, runs: object) -> Iterator[Live]:  # noqa: F811
    """The application on a socket, with connections for a worker beside it."""
    with Live(settings.model_copy(update={"database_pool": 12})) as live:
        yield live


@pytest.fixture
def worker(live: Live) -> Iterator[None]:
    """A worker in the application's process."""
    yield from working(live)


def working(live: Live) -> Iterator[None]:
    """A worker, until the generator is closed."""
    assert live.loop is not None
    stop = asyncio.Event()
    running: Future[None] = asyncio.run_coroutine_threadsafe(Runner(live.resources, alone=True).run(stop), live.loop)
    yield
    live.loop.call_soon_threadsafe(stop.set)
    running.result(30)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Who is called back."""
    with Receiver() as receiver:
        yield receiver
