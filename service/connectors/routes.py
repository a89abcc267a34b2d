"""Links of web pages over HTTP (contract 6.7)."""

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from service.connectors.service import fetch_links
from service.errors import MissingPart
from service.http.access import SIGNED_IN
from service.http.routing import Routes
from service.resources import CurrentResources

routes = Routes("Document stores")


class FoundLinks(BaseModel):
    """The pages of a site."""

    status: Literal["OK"] = Field("OK", examples=["OK"])
    links: list[str] = Field(examples=[["https://example.com/", "https://example.com/about"]])


@routes.get(
    "/fetch-links",
    SIGNED_IN,
    errors=(412, 422, 502),
    summary="The pages that a page leads to",
    response_model=FoundLinks,
)
async def get_fetch_links(
    resources: CurrentResources,
    url: Annotated[
        str | None, Query(description="Where to begin, or a sitemap", examples=["https://example.com"])
    ] = None,
    relative_links_method: Annotated[
        str, Query(alias="relativeLinksMethod", description="`webCrawl`: by links; `scrapeXMLSitemap`: by sitemaps")
    ] = "webCrawl",
    limit: Annotated[int, Query(ge=0, description="Most pages; 0: as many as the operator allows")] = 10,
) -> FoundLinks:
    """Lists the pages of a site, so that some can be chosen for a loader's `selectedLinks`. Nothing is stored."""
    if not url:
        raise MissingPart("Error: fetchLinks - url not provided!")
    return FoundLinks(links=await fetch_links(resources, url, relative_links_method, limit))
