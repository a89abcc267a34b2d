"""Pages of the web for tools: fetched by the egress client, read by a loader apart from the service."""

import tempfile
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from uuid import UUID

from loaders.base import LoaderError, Source
from service.chatflows.run import Page
from service.connectors import open_connector
from service.connectors.base import Connector, Got, Item
from service.errors import ServiceError, Unprocessable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from service.resources import Resources

SCRAPER = "cheerioWebScraper"
MOST_PAGES = 50


async def read_pages(
    resources: "Resources", url: str, *, method: str | None = None, limit: int = 1, depth: int = 1
) -> Sequence[Page]:
    """See `service.chatflows.run.ReadPages`. Pages of a crawl are read as they are found."""
    limit = max(1, min(limit, MOST_PAGES))
    config = {"url": url, "relativeLinksMethod": method, "limit": limit, "maxDepth": max(0, depth)}
    found: list[Page] = []
    failure: ServiceError | None = None
    async with open_connector(resources, UUID(int=0), SCRAPER, config) as connector:
        items = cast("AsyncGenerator[Item, None]", connector.items())
        async with aclosing(items):
            async for item in items:
                try:
                    found.append(await _read(resources, connector, item))
                except ServiceError as error:
                    failure = failure or error
                if len(found) == limit:
                    break
    if not found:
        raise failure or Unprocessable(f"There is nothing to read at {url[:200]}")
    return found


async def _read(resources: "Resources", connector: Connector, item: Item) -> Page:
    with tempfile.NamedTemporaryFile(prefix="ragstone-page-") as file:
        got = await connector.fetch(item, cast("BinaryIO", file))
        file.flush()
        mime = got.mime if isinstance(got, Got) else item.mime
        address = item.url or item.source
        try:
            loaded = await resources.sandbox.load(Source(Path(file.name), address, mime or ""))
        except LoaderError as error:
            raise Unprocessable(f"{address[:200]}: {error.message}") from None
    title = next((str(row.metadata["title"]) for row in loaded.documents if row.metadata.get("title")), "")
    return Page(address, title, "\n\n".join(row.page_content for row in loaded.documents))
