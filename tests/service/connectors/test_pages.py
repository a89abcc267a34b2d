"""Single pages, chosen ones, and answers of an API: fetched once, asked again only when they changed."""

import json

import pytest

from service.connectors.base import BadConnectorOption, Gone, Got, Item, Known, NotModified
from service.egress.errors import EgressFailed
from tests.service.connectors.conftest import Make, links, listed, listed_in_part, read
from tests.stubs.web_site import Answer, Request, WebSite, moved


def versioned(request: Request) -> Answer:
    """A page that has not changed since its ETag."""
    headers = {"ETag": '"v1"', "Last-Modified": "Sat, 21 Nov 2026 08:00:00 GMT"}
    known = (request.headers.get("if-none-match"), request.headers.get("if-modified-since"))
    same = '"v1"' in known or headers["Last-Modified"] in known
    return Answer(status=304, headers=headers) if same else Answer("page", headers=headers)


async def test_one_page_is_one_item_under_its_own_address(site: WebSite, make: Make) -> None:
    site["/a?x=1"] = Answer("page", headers={"ETag": '"1"', "Last-Modified": "yesterday"})
    connector = make(url=f"{site.url.upper()}/./a?x=1&utm_medium=mail#part")
    url = f"{site.url}/a?x=1"
    (item,) = await listed(connector)
    assert item == Item(f"url:{url}", url, url)
    assert await read(connector, item) == (b"page", Got(url, 4, "text/html", '"1"', "yesterday"))
    assert connector.loader == "detect"


@pytest.mark.parametrize(
    "known", [Known('"v1"'), Known(None, "Sat, 21 Nov 2026 08:00:00 GMT"), Known('"v1"', "long ago")]
)
@pytest.mark.parametrize("method", [None, "webCrawl"])
async def test_a_page_that_is_known_is_not_sent_again(
    site: WebSite, make: Make, known: Known, method: str | None
) -> None:
    site["/"] = versioned
    connector = make(url=site.url, relativeLinksMethod=method)
    for expected, copy in ((NotModified(), known), (Got, Known('"v0"', "long ago")), (Got, None), (Got, Known())):
        (item,) = await listed(connector)
        body, got = await read(connector, item, copy)
        if expected is Got:
            assert isinstance(got, Got)
            assert (body, got.etag) == (b"page", '"v1"')
        else:
            assert (body, got) == (b"", expected)


async def test_chosen_links_come_in_place_of_what_the_page_leads_to(site: WebSite, make: Make) -> None:
    site["/a"], site["/b"] = Answer("a"), Answer("b")
    chosen = [f"{site.url}/b", f"{site.url}/a", f"{site.url}/a#again"]
    for value in (chosen, json.dumps(chosen)):
        connector = make(url=site.url, relativeLinksMethod="webCrawl", selectedLinks=value, limit="0")
        assert [item.url for item in await listed(connector)] == chosen[:2]
    many = [f"{site.url}/{number}" for number in range(25)]
    assert [item.url for item in await listed(make(selectedLinks=many))] == many
    found, said = await listed_in_part(make(selectedLinks=many, settings={"crawl_pages": 20}))
    assert (len(found), "RAGSTONE_CRAWL_PAGES" in said) == (20, True)
    only_first = make(selectedLinks=chosen, limit=1)
    assert [item.url for item in await listed(only_first)] == chosen[:1]
    assert site.requests == []


async def test_a_page_that_is_gone_or_fails_says_so(site: WebSite, make: Make) -> None:
    connector = make(url=f"{site.url}/x")
    (item,) = await listed(connector)
    for status, error in ((404, Gone), (410, Gone), (403, EgressFailed), (500, EgressFailed)):
        site["/x"] = Answer("sorry", status=status)
        with pytest.raises(error, match=str(status)):
            await read(connector, item)


async def test_documents_come_with_their_type(site: WebSite, make: Make) -> None:
    site["/"] = Answer(links("/report.pdf"))
    site["/report.pdf"] = Answer(b"%PDF-1.7", mime="application/pdf")
    connector = make(url=site.url, relativeLinksMethod="webCrawl")
    _, item = await listed(connector)
    body, got = await read(connector, item)
    assert isinstance(got, Got)
    assert (body, got.mime) == (b"%PDF-1.7", "application/pdf")


def test_selectors_reach_the_loader(make: Make) -> None:
    assert make(url="http://h/", selector="main .text").loader_options == {"selector": "main .text"}
    assert make("puppeteerWebScraper", url="http://h/", cssSelector="#x").loader_options == {"selector": "#x"}
    assert make("playwrightWebScraper", url="http://h/", waitUntilGoToOption="load").loader_options == {}


@pytest.mark.parametrize(
    ("name", "config", "field"),
    [
        ("cheerioWebScraper", {}, "url"),
        ("cheerioWebScraper", {"url": "ftp://x/"}, "url"),
        ("cheerioWebScraper", {"url": "http://u:p@h/"}, "url"),
        ("cheerioWebScraper", {"url": "http://h/", "limit": -1}, "limit"),
        ("cheerioWebScraper", {"url": "http://h/", "limit": "many"}, "limit"),
        ("cheerioWebScraper", {"url": "http://h/", "relativeLinksMethod": "all"}, "relativeLinksMethod"),
        ("cheerioWebScraper", {"selectedLinks": ["http://h/", "x"]}, "selectedLinks"),
        ("gitbook", {}, "webPath"),
        ("apiLoader", {"method": "GET"}, "url"),
        ("apiLoader", {"url": "http://h/", "method": "DELETE"}, "method"),
        ("apiLoader", {"url": "http://h/", "headers": "[1]"}, "headers"),
        ("apiLoader", {"url": "http://h/", "caFile": "data:..."}, "RAGSTONE_CA_BUNDLE"),
    ],
)
def test_a_bad_field_is_named(make: Make, name: str, config: dict[str, object], field: str) -> None:
    with pytest.raises(BadConnectorOption, match=field):
        make(name, **config)


async def test_the_answer_of_an_api(site: WebSite, make: Make) -> None:
    site["/v1?q=x"] = Answer('{"a": 1}', mime="application/json; charset=utf-8")
    connector = make("apiLoader", method="GET", url=f"{site.url}/v1?q=x", headers='{"Authorization": "Bearer t"}')
    (item,) = await listed(connector)
    assert item.source == f"api:{site.url}/v1?q=x"
    body, got = await read(connector, item)
    assert isinstance(got, Got)
    assert (body, got.mime) == (b'{"a": 1}', "application/json")
    assert site.requests[0].headers["authorization"] == "Bearer t"
    assert "application/json" in site.requests[0].headers["accept"]


async def test_what_is_sent_to_an_api_tells_its_answers_apart(site: WebSite, make: Make) -> None:
    site["/v1"] = Answer("[]", mime="application/json")
    sources = set()
    for body in ({"q": 1}, {"q": 2}, '{"q": 1}', None):
        connector = make("apiLoader", method="POST", url=f"{site.url}/v1", body=body)
        (item,) = await listed(connector)
        assert (await read(connector, item))[0] == b"[]"
        sources.add(item.source)
    assert [request.body for request in site.requests] == [b'{"q": 1}', b'{"q": 2}', b'{"q": 1}', b""]
    assert [request.method for request in site.requests] == ["POST"] * 4
    assert site.requests[0].headers["content-type"] == "application/json"
    assert len(sources) == 3


async def test_an_api_answer_that_is_known_is_not_sent_again(site: WebSite, make: Make) -> None:
    site["/"] = versioned
    connector = make("apiLoader", url=site.url)
    (item,) = await listed(connector)
    assert (await read(connector, item, Known('"v1"')))[1] == NotModified()


async def test_the_headers_of_an_api_do_not_follow_to_another_host(site: WebSite, make: Make) -> None:
    async with WebSite() as other:
        other["/"] = Answer("{}")
        site["/"] = moved(f"{other.url}/")
        connector = make("apiLoader", url=site.url, headers={"X-Api-Key": "secret", "Authorization": "Bearer secret"})
        (item,) = await listed(connector)
        await read(connector, item)
        assert "secret" not in str(other.requests[0].headers)
