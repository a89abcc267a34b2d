"""A canary that must never be reached, a site that may be, and clients for them."""

from collections.abc import AsyncIterator, Callable

import pytest

from service.egress.addresses import parse_allowed
from service.egress.client import Egress
from service.egress.guard import Resolver
from tests.stubs.web_site import Answer, WebSite


@pytest.fixture
async def canary() -> AsyncIterator[WebSite]:
    """A server of the private network; nothing may connect to it."""
    async with WebSite() as site:
        site["/"] = Answer("secret")
        yield site
    assert site.connections == 0


@pytest.fixture
async def site() -> AsyncIterator[WebSite]:
    """A server that the operator allows."""
    async with WebSite() as site:
        yield site


@pytest.fixture
async def egress(site: WebSite) -> AsyncIterator[Egress]:
    """A client that may call `site` beside public addresses, and nothing else of this machine."""
    opened = Egress(parse_allowed(f"127.0.0.1:{site.port}"), timeout=5.0, max_bytes=1024 * 1024)
    yield opened
    await opened.close()


def resolver(answer: Callable[[str, int], list[str]]) -> Resolver:
    """A resolver in the place of the system's."""

    async def resolve(host: str, port: int) -> list[str]:
        return answer(host, port)

    return resolve
