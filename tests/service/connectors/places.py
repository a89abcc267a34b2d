"""Connectors with settings and credentials of a test's choice."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

from service.connectors import CONNECTORS
from service.connectors.base import Connector, Got, Item, Known, NotModified, Outside
from service.egress.addresses import parse_allowed
from service.egress.client import Egress
from service.plugins import resolve
from service.settings import Settings


@asynccontextmanager
async def place(
    name: str,
    config: Mapping[str, Any],
    *,
    values: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    hosts: list[str] | None = None,
) -> AsyncIterator[Connector]:
    """An opened connector that may call this machine; `hosts` learns which hosts it asked the credential for."""

    async def reveal(host: str) -> Mapping[str, str]:
        if hosts is not None:
            hosts.append(host)
        return values or {}

    egress = Egress(parse_allowed("127.0.0.1"), timeout=10.0)
    made: type[Connector] = resolve(CONNECTORS, name, "connector")
    try:
        async with made.build(config, Outside(egress, Settings.model_validate(settings or {}), reveal)) as connector:
            yield connector
    finally:
        await egress.close()


async def listed(connector: Connector) -> list[Item]:
    """Everything it lists."""
    return [item async for item in connector.items()]


async def read(connector: Connector, item: Item, known: Known | None = None) -> tuple[bytes, Got | NotModified]:
    """The bytes of an item, and what is known of it."""
    sink = BytesIO()
    got = await connector.fetch(item, sink, known)
    return sink.getvalue(), got
