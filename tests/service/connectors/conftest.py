"""A site on loopback, and connectors that may call it."""

from collections.abc import AsyncIterator, Callable, Mapping
from io import BytesIO
from typing import Any

import pytest

from service.connectors import CONNECTORS
from service.connectors.base import Connector, Got, Incomplete, Item, Known, NotModified, Outside
from service.egress.addresses import parse_allowed
from service.egress.client import Egress
from service.plugins import resolve
from service.settings import Settings
from tests.stubs.web_site import WebSite

Make = Callable[..., Connector]


@pytest.fixture
async def site() -> AsyncIterator[WebSite]:
    """The site."""
    async with WebSite() as opened:
        yield opened


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    """A client that may call this machine."""
    opened = Egress(parse_allowed("127.0.0.1"), timeout=10.0)
    yield opened
    await opened.close()


@pytest.fixture
def make(egress: Egress) -> Make:
    """Makes a connector from the fields of its node."""

    def build(
        name: str = "cheerioWebScraper", *, settings: Mapping[str, Any] | None = None, **config: Any
    ) -> Connector:
        async def reveal(_host: str) -> Mapping[str, str]:
            return {}

        made: type[Connector] = resolve(CONNECTORS, name, "connector")
        return made.build(config, Outside(egress, Settings.model_validate(settings or {}), reveal))

    return build


async def listed(connector: Connector) -> list[Item]:
    """Everything it lists."""
    return [item async for item in connector.items()]


async def listed_in_part(connector: Connector) -> tuple[list[Item], str]:
    """What it lists before it says that there may be more, and what it says."""
    found: list[Item] = []
    try:
        async for item in connector.items():
            found += [item]
    except Incomplete as error:
        return found, error.message
    raise AssertionError("it lists everything")


async def read(connector: Connector, item: Item, known: Known | None = None) -> tuple[bytes, Got | NotModified]:
    """The bytes of an item, and what is known of it."""
    sink = BytesIO()
    got = await connector.fetch(item, sink, known)
    return sink.getvalue(), got


def links(*targets: str, text: str = "") -> str:
    """A page with these links."""
    return f"<html><body><p>{text}</p>{''.join(f'<a href={target!r}>x</a>' for target in targets)}</body></html>"
