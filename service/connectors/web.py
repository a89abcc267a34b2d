"""Web pages: one, a list, those that a page leads to, or those of a sitemap; as they are served, without a browser."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, BinaryIO, ClassVar, Literal

from pydantic import AliasChoices, Field, Json, field_validator, model_validator

from service.connectors.base import (
    Connector,
    ConnectorOptions,
    Gone,
    Got,
    Incomplete,
    Item,
    Known,
    NotModified,
    Outside,
)
from service.connectors.crawl import PAGE_BYTES, Crawl
from service.connectors.listing import SitemapWalk
from service.connectors.urls import normal, origin, signs_in, source_of
from service.connectors.visits import AT_ONCE, Visits, check_shown
from service.egress.client import Fetched
from service.settings import MIB, PREFIX

CRAWL = "webCrawl"
SITEMAP = "scrapeXMLSitemap"
DEEPEST = 50
"""Links between the first page and the last one of a crawl, where the node sets no less."""

HELD_BYTES = 32 * MIB
"""Pages that were read to find others and wait to be fetched."""


def _page(value: str) -> str:
    url = normal(value)
    if url is None:
        raise ValueError("must be an http(s) URL without a user name")
    return url


class PageOptions(ConnectorOptions):
    """Fields of the scrapers (contract b.4). A `limit` of 0 means all pages."""

    url: str = ""
    relative_links_method: Literal["webCrawl", "scrapeXMLSitemap"] | None = None
    limit: int = Field(10, ge=0)
    max_depth: int = Field(DEEPEST, ge=0)
    selected_links: list[str] | Json[list[str]] = Field(default_factory=list)
    selector: str = Field("", validation_alias=AliasChoices("selector", "cssSelector"))

    @field_validator("url")
    @classmethod
    def _is_page(cls, value: str) -> str:
        return _page(value) if value else value

    @field_validator("selected_links")
    @classmethod
    def _are_pages(cls, value: list[str]) -> list[str]:
        return list(dict.fromkeys(_page(url) for url in value))

    @model_validator(mode="after")
    def _has_page(self) -> "PageOptions":
        if not self.url and not self.selected_links:
            raise ValueError("url: is missing")
        return self


class WebPages(Connector):
    """Pages of the web; what they link to besides pages (PDF, Word, ...) is taken too."""

    Options: ClassVar[type[ConnectorOptions]] = PageOptions
    parallel = AT_ONCE

    def __init__(self, options: PageOptions, outside: Outside) -> None:
        """Asks nothing."""
        super().__init__(options, outside)
        self.options = options
        self._most = outside.settings.crawl_pages
        # Links that somebody chose are cut by a limit that is given, and not by the one for pages that are found.
        self._asked = options.limit if "limit" in options.model_fields_set or not options.selected_links else 0
        self._limit = min(self._asked or self._most, self._most)
        self._visits = Visits(outside.egress, robots=outside.settings.crawl_robots)
        self._held: dict[str, Fetched] = {}

    @property
    def loader_options(self) -> Mapping[str, Any]:
        """The CSS selector, for the HTML loader."""
        return {"selector": self.options.selector} if self.options.selector else {}

    async def items(self) -> AsyncIterator[Item]:
        """The selected links if there are any, else the pages by the method, else the page itself."""
        options = self.options
        if options.selected_links:
            for url in options.selected_links[: self._limit]:
                yield _item(url)
            self._tell_cut(len(options.selected_links) > self._limit)
        elif options.relative_links_method == CRAWL:
            crawl = Crawl(self._visits, options.url, limit=self._limit, depth=options.max_depth)
            async for page in crawl.pages():
                item = _item(page.url, page.got)
                if page.got is not None:
                    self._hold(item.source, page.got)
                yield item
            self.refused += map(source_of, crawl.refused)
            self._tell_cut(crawl.is_cut)
        elif options.relative_links_method == SITEMAP:
            async for item in self._of_sitemap(options.url):
                yield item
        else:
            yield _item(options.url)

    async def fetch(self, item: Item, sink: BinaryIO, known: Known | None = None) -> Got | NotModified:
        """The page; asked for anew only if the copy at hand is not the newest."""
        url = item.url or item.source.removeprefix("url:")
        held = self._held.pop(item.source, None)
        if held is not None:
            if known is not None and _is_same(held, known):
                return NotModified()
            sink.write(held.body)
            return _got(url, held)
        got = await self._visits.get(url, known=known, sink=sink)
        if got.status == 304 and known is not None:
            return NotModified()
        if got.status in (404, 410):
            raise Gone(f"{url} is not there (status {got.status})")
        got.good()
        if signs_in(got.url, url) and got.size <= PAGE_BYTES:
            sink.seek(0)
            check_shown(url, got, sink.read())
        return _got(url, got)

    async def close(self) -> None:
        """Forget the pages at hand."""
        self._held.clear()

    async def _of_sitemap(self, url: str, prefix: str = "") -> AsyncIterator[Item]:
        walk = SitemapWalk(self._visits, url, limit=self._limit)
        async for page in walk.pages():
            if page.startswith(prefix):
                yield _item(page)
        self._tell_cut(walk.is_cut)

    def _tell_cut(self, is_cut: bool) -> None:
        """Say so where the operator's limit, not the node's, has ended the list."""
        if is_cut and (self._asked == 0 or self._asked > self._most):
            raise Incomplete(f"There are more than {self._most} pages; {PREFIX}CRAWL_PAGES sets how many are taken")

    def _hold(self, source: str, got: Fetched) -> None:
        self._held[source] = got
        size = sum(len(each.body) for each in self._held.values())
        while size > HELD_BYTES and self._held:
            size -= len(self._held.pop(next(iter(self._held))).body)


class RenderedPages(WebPages):
    """Pages of the web as they are served: Flowise's browser scrapers without the browser, so scripts are not run."""


class GitBookOptions(ConnectorOptions):
    """Fields of the node (contract b.4)."""

    web_path: str
    should_load_all_paths: bool = False

    @field_validator("web_path")
    @classmethod
    def _is_page(cls, value: str) -> str:
        return _page(value)


class GitBook(WebPages):
    """A page of a GitBook, or all that its sitemap names."""

    Options = GitBookOptions

    def __init__(self, options: GitBookOptions, outside: Outside) -> None:
        """Asks nothing."""
        super().__init__(PageOptions(url=options.web_path, limit=0), outside)
        self._all = options.should_load_all_paths

    async def items(self) -> AsyncIterator[Item]:
        """The page, or those of the sitemap that lie below it."""
        url = self.options.url
        if not self._all:
            yield _item(url)
            return
        async for item in self._of_sitemap(f"{origin(url)}/sitemap.xml", prefix=url.rstrip("/")):
            yield item


def _item(url: str, got: Fetched | None = None) -> Item:
    if got is None:
        return Item(source_of(url), url, url)
    headers, mime = got.headers, got.content_type or None
    return Item(source_of(url), url, url, headers.get("etag"), headers.get("last-modified"), got.size, mime)


def _got(url: str, got: Fetched) -> Got:
    return Got(url, got.size, got.content_type or None, got.headers.get("etag"), got.headers.get("last-modified"))


def _is_same(got: Fetched, known: Known) -> bool:
    if known.etag:
        return known.etag == got.headers.get("etag")
    return known.modified is not None and known.modified == got.headers.get("last-modified")
