"""Finds the pages of a site by their links, breadth first, within one origin."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from service.connectors.base import GONE, Incomplete
from service.connectors.links import Links, links_of
from service.connectors.urls import (
    HTML,
    is_document,
    is_readable_type,
    is_unreadable,
    is_variant,
    normal,
    origin,
    same_site,
)
from service.connectors.visits import AT_ONCE, Disallowed, SignIn, Visits, check_shown
from service.egress.client import Fetched
from service.egress.errors import EgressError, EgressRefused, EgressTooLarge

PAGE_BYTES = 4 * 1024 * 1024
"""What is read of a page to find its links; larger ones are listed, but not searched."""

MOST_WAITING = 50_000
"""URLs that wait for their turn; further ones are not noted."""

_AT_ONCE_BYTES = 256 * 1024
"""Pages that are larger are searched for links in a thread."""


@dataclass(frozen=True, slots=True)
class Page:
    """A document of the site. `got` is what was read of it, None when it has not been read."""

    url: str
    got: Fetched | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """One visit: the page, if it is a document, and where it leads."""

    page: Page | None
    links: tuple[str, ...] = ()
    failed: bool = False


class Crawl:
    """The documents that a page leads to by links, itself first; each once, however it is spelled or reached."""

    def __init__(self, visits: Visits, start: str, *, limit: int, depth: int) -> None:
        """`start` is a normal URL. `limit`: most documents; `depth`: most links between one of them and `start`."""
        self._visits = visits
        self._limit = limit
        self._depth = depth
        self._start = start
        self._scope = origin(start)
        self._waiting: deque[tuple[str, int]] = deque([(start, 0)])
        self._noted = {start}
        self._listed: set[str] = set()
        self._failures = 0
        self.refused: list[str] = []
        """URLs that the site would not show (401, 403 and their like, forms to sign in)."""

    @property
    def is_cut(self) -> bool:
        """Whether the limit has ended it: there is more."""
        return bool(self._waiting)

    async def pages(self) -> AsyncGenerator[Page, None]:
        """The documents, in the same order as long as the site stays as it is.

        Raises what `Visits.get` raises for the first page, and `Incomplete` after the last one when pages could not be
        read, and with them what they link to.
        """
        while self._waiting and len(self._listed) < self._limit:
            turn = await self._next_turn()
            reads = await asyncio.gather(*(self._read(url, first=url == self._start) for url, _ in turn))
            for (_, level), read in zip(turn, reads, strict=True):
                self._note(read.links, level + 1)
                self._failures += read.failed
                if read.page is not None and read.page.url not in self._listed and len(self._listed) < self._limit:
                    self._listed.add(read.page.url)
                    yield read.page
        if self._failures:
            raise Incomplete(f"{self._failures} pages could not be read; what they link to may be missing")

    async def _next_turn(self) -> list[tuple[str, int]]:
        """The next URLs to read together; the first page goes alone, and so does each page of a site with a pause."""
        most = 1 if not self._listed or await self._visits.delay(self._start) else AT_ONCE
        most = min(most, self._limit - len(self._listed))
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def _note(self, links: tuple[str, ...], level: int) -> None:
        if level > self._depth:
            return
        for link in links:
            url = same_site(link, self._scope)
            if url is None or url in self._noted or is_unreadable(url) or len(self._waiting) >= MOST_WAITING:
                continue
            self._noted.add(url)
            self._waiting.append((url, level))

    async def _read(self, url: str, *, first: bool) -> _Read:
        if is_document(url) and not first:
            return _Read(Page(url))
        try:
            got = await self._visits.get(url, max_bytes=PAGE_BYTES)
            if first:
                got.good()
        except EgressTooLarge:
            return _Read(Page(url))  # too large to be searched for links; whoever wants it has a limit of his own
        except (Disallowed, EgressRefused):
            if first:
                raise
            return _Read(None)
        except EgressError:
            if first:
                raise
            return _Read(Page(url), failed=True)
        return await self._judge(url, got, first=first)

    async def _judge(self, url: str, got: Fetched, *, first: bool) -> _Read:
        if got.status >= 500 or got.status == 429:
            return _Read(Page(url), failed=True)
        if not 200 <= got.status < 300:
            if got.status not in GONE:
                self.refused.append(url)
            return _Read(None)
        try:
            check_shown(url, got, got.body)
        except SignIn:
            if first:
                raise
            self.refused.append(url)
            return _Read(None)
        found = normal(got.url) or url
        if first:
            self._scope = origin(found)  # a site that sends its visitors to another of its names
        here = same_site(found, self._scope)
        if here is None or (not first and not is_readable_type(got.mime)):
            return _Read(None)
        self._noted.add(here)
        if got.mime not in HTML:
            return _Read(Page(here, got))
        links = await self._links(got, here)
        own = same_site(links.canonical, self._scope) if links.canonical else None
        if own is not None and own != here and is_variant(own, here):
            return _Read(None, (own, *links.urls))
        return _Read(Page(here, got), links.urls)

    async def _links(self, got: Fetched, url: str) -> Links:
        if len(got.body) <= _AT_ONCE_BYTES:
            return links_of(got.body, url, got.charset)
        return await asyncio.to_thread(links_of, got.body, url, got.charset)
