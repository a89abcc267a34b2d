"""Lists the pages of a site: by its sitemaps. (By its links: `crawl`.)"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from service.connectors.base import Incomplete
from service.connectors.sitemaps import MOST_BYTES, BadSitemap, Sitemap, read_sitemap
from service.connectors.urls import host_of, origin, related, suffix
from service.connectors.visits import Visits
from service.egress.errors import EgressError

MOST_SITEMAPS = 500
DEEPEST = 3
"""Indexes within indexes."""

_SITEMAP_SUFFIXES = frozenset({".xml", ".gz", ".txt"})


class SitemapWalk:
    """The pages that the sitemaps of a site name, each once, in their order."""

    def __init__(self, visits: Visits, url: str, *, limit: int) -> None:
        """`url`: a sitemap, or any page of the site whose sitemaps are looked for. `limit`: most pages."""
        self._visits = visits
        self._url = url
        self._limit = limit
        self._failed: list[str] = []
        self.is_cut = False

    async def pages(self) -> AsyncGenerator[str, None]:
        """Their URLs. Raises the error of the only sitemap, and `Incomplete` after the last page when some of several
        could not be read."""
        waiting = deque((url, 0) for url in await self._first())
        noted = {url for url, _ in waiting}
        listed: set[str] = set()
        while waiting:
            url, level = waiting.popleft()
            try:
                found = await self._read(url)
            except (EgressError, BadSitemap):
                if not listed and not waiting:
                    raise
                self._failed.append(url)
                continue
            for inner in found.sitemaps:
                if inner not in noted and level < DEEPEST and related(inner, self._url) and len(noted) < MOST_SITEMAPS:
                    noted.add(inner)
                    waiting.append((inner, level + 1))
            for page in found.pages:
                if page in listed or not related(page, self._url):
                    continue
                if len(listed) == self._limit:
                    self.is_cut = True
                    return
                listed.add(page)
                yield page
        if self._failed:
            raise Incomplete(f"{len(self._failed)} sitemaps could not be read, first {self._failed[0]}")

    async def _first(self) -> list[str]:
        """The sitemaps to begin with."""
        if suffix(self._url) in _SITEMAP_SUFFIXES:
            return [self._url]
        named = [url for url in await self._visits.sitemaps(self._url) if related(url, self._url)]
        return named or [f"{origin(self._url)}/sitemap.xml"]

    async def _read(self, url: str) -> Sitemap:
        got = (await self._visits.get(url, max_bytes=MOST_BYTES)).good()
        if not got.body:
            raise BadSitemap(f"The sitemap of '{host_of(url)}' is empty: {url}")
        return await asyncio.to_thread(read_sitemap, got.body, url)
