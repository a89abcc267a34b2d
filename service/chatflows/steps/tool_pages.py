"""Pages of the web for models: what is at an address, as text, and what it leads to."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Page, Run
from service.chatflows.steps.base import Links, StepOptions
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed, ToolStep
from service.chatflows.steps.tool_http import checked_url, object_schema, shortened
from service.errors import ServiceError

MAX_TEXT = 100_000
"""Characters of pages that a model reads."""


class WebScraperOptions(StepOptions):
    """Fields of the node."""

    scrape_mode: Literal["recursive", "sitemap"] = Field("recursive", title="Scraping Mode")
    max_depth: int = Field(1, ge=1, le=5, title="Max Depth", description="1: the page alone.")
    max_pages: int = Field(10, ge=1, le=50, title="Max Pages")
    timeout_s: float = Field(60, gt=0, le=300, alias="timeoutS", title="Timeout (s)", description="For all pages.")
    description: str = Field("", title="Tool Description")


class WebScraper(ToolStep):
    """Reads a web page, or several that it leads to."""

    label = "Web Scraper Tool"
    version = 1.1
    base_classes = ("Web Scraper Tool", "DynamicStructuredTool", "StructuredTool", "Runnable", "Tool")
    Options = WebScraperOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `WebScraperOptions`."""
        super().__init__(node, options, links)
        self._options: WebScraperOptions = options

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The one tool."""
        schema = object_schema({"url": {"type": "string", "description": "The page's address"}}, ["url"])
        about = self._options.description or "Reads the text of a web page, and of pages that it links to."
        return [Tool("web_scraper_tool", about, schema, self._call)]

    async def _call(self, run: Run, given: Mapping[str, Any]) -> Outcome:
        url = str(given.get("url") or given.get("input") or "").strip()
        try:
            checked_url(url)
        except ValueError as error:
            raise ToolFailed(f"url: {error}") from None
        options = self._options
        sitemap, alone = options.scrape_mode == "sitemap", options.max_depth == 1
        method = "scrapeXMLSitemap" if sitemap else None if alone else "webCrawl"
        depth = options.max_depth - 1
        pages = await read(run, url, options.timeout_s, method=method, limit=options.max_pages, depth=depth)
        room = MAX_TEXT // max(1, len(pages))
        told = [{"url": page.url, "title": page.title, "body_text": shortened(page.text, room)} for page in pages]
        return Outcome(json.dumps(told, ensure_ascii=False))


async def read(run: Run, url: str, seconds: float, **asked: Any) -> Sequence[Page]:
    """The pages at an address; `asked` are those of `Backing.pages`. Raises `ToolFailed`."""
    assert run.backing.pages is not None
    try:
        async with asyncio.timeout(seconds):
            return await run.backing.pages(url, **asked)
    except TimeoutError:
        raise ToolFailed(f"The page was not read within {seconds:g} seconds.") from None
    except ServiceError as error:
        raise ToolFailed.by(error) from error
