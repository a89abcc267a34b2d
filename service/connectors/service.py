"""What the pages of a site are, for people who choose among them."""

import asyncio
from contextlib import aclosing

from service.connectors.base import Incomplete
from service.connectors.crawl import Crawl
from service.connectors.listing import SitemapWalk
from service.connectors.urls import host_of, normal
from service.connectors.visits import Visits
from service.connectors.web import CRAWL, DEEPEST, SITEMAP
from service.egress.errors import EgressFailed
from service.errors import Unprocessable
from service.resources import Resources

SECONDS = 60.0
"""How long a caller waits; what was found until then is answered."""


async def fetch_links(resources: Resources, url: str, method: str, limit: int) -> list[str]:
    """The pages that `url` leads to (`webCrawl`) or that a sitemap names (`scrapeXMLSitemap`), at most `limit`.

    A limit of 0 stands for as many as the operator allows. Who has waited too long gets what was found until then.

    Raises `Unprocessable` naming the parameter, `EgressError` when the first page cannot be read.
    """
    start = normal(url)
    if start is None:
        raise Unprocessable("url: must be an http(s) URL without a user name")
    if method not in (CRAWL, SITEMAP):
        raise Unprocessable(f"relativeLinksMethod: must be {CRAWL} or {SITEMAP}")
    most = resources.settings.crawl_pages
    limit = min(limit or most, most)
    visits = Visits(resources.egress, robots=resources.settings.crawl_robots)
    walk = (
        Crawl(visits, start, limit=limit, depth=DEEPEST) if method == CRAWL else SitemapWalk(visits, start, limit=limit)
    )
    links: dict[str, None] = {}
    try:
        async with asyncio.timeout(SECONDS), aclosing(walk.pages()) as pages:
            async for page in pages:
                links[page if isinstance(page, str) else page.url] = None
    except TimeoutError as error:
        if not links:
            raise EgressFailed(
                f"'{host_of(start)}' did not answer within {SECONDS:g} seconds.", transient=True
            ) from error
    except Incomplete:
        if not links:
            raise
    return list(links)
