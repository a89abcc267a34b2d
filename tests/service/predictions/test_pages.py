"""Pages of the web for tools: read apart, by the loaders that documents are read by."""

import pytest

from service.errors import ServiceError
from service.predictions.pages import read_pages
from service.resources import Resources
from tests.stubs.web_site import Answer, WebSite

PAGE = "<html><head><title>{0}</title></head><body><main><h1>{0}</h1><p>Text of {0}.</p>{1}</main></body></html>"


async def test_a_page_is_read_as_text(resources: Resources) -> None:
    async with WebSite() as site:
        site["/a"] = Answer(PAGE.format("Alpha", ""))
        (page,) = await read_pages(resources, f"{site.url}/a")
        assert (page.url, page.title) == (f"{site.url}/a", "Alpha")
    assert "Text of Alpha." in page.text
    assert "<p>" not in page.text


async def test_a_crawl_reads_what_a_page_leads_to_and_stops(resources: Resources) -> None:
    async with WebSite() as site:
        site["/"] = Answer(PAGE.format("Home", "<a href=/a>a</a> <a href=/b>b</a> <a href=/gone>c</a>"))
        site["/a"] = Answer(PAGE.format("Alpha", "<a href=/deep>d</a>"))
        site["/b"] = Answer(PAGE.format("Beta", ""))
        found = await read_pages(resources, f"{site.url}/", method="webCrawl", limit=10, depth=1)
        assert {page.title for page in found} == {"Home", "Alpha", "Beta"}
        assert len(await read_pages(resources, f"{site.url}/", method="webCrawl", limit=2, depth=3)) == 2


@pytest.mark.parametrize("path", ["http://169.254.169.254/", "http://10.0.0.1/", "{site}/gone", "{site}/empty"])
async def test_what_cannot_be_read_is_told(resources: Resources, path: str) -> None:
    async with WebSite() as site:
        site["/empty"] = Answer("")
        with pytest.raises(ServiceError):
            await read_pages(resources, path.format(site=site.url))
