"""Finding pages by links: what is taken, what is left, and where it ends."""

import asyncio
from pathlib import Path

import pytest

from service.connectors import crawl, visits
from service.connectors.base import Connector, Item
from service.connectors.visits import Disallowed
from service.egress.errors import EgressFailed, EgressRefused
from tests.service.connectors.conftest import Make, links, listed, listed_in_part, read
from tests.stubs.web_site import Answer, Request, WebSite, moved


@pytest.fixture
def crawler(make: Make, site: WebSite) -> Make:
    def begin(path: str = "/", **config: object) -> Connector:
        return make(url=site.url + path, relativeLinksMethod="webCrawl", **{"limit": 0, **config})

    return begin


def paths(site: WebSite, found: list[Item]) -> list[str]:
    return [str(item.url).removeprefix(site.url) for item in found]


async def crawled(site: WebSite, connector: Connector) -> list[str]:
    return paths(site, await listed(connector))


async def test_breadth_first_each_page_once_and_circles_end(site: WebSite, crawler: Make) -> None:
    site["/"] = Answer(links("/a", "/b", "/", "#top", "/a#part", "/a?utm_source=mail", "/./x/../b"))
    site["/a"] = Answer(links("/c", "/"))
    site["/b"] = Answer(links("c", "a"))
    site["/c"] = Answer(links("/a", "/d"))
    site["/d"] = Answer(links("/"))
    assert await crawled(site, crawler()) == ["/", "/a", "/b", "/c", "/d"]
    assert sorted(site.paths) == ["/", "/a", "/b", "/c", "/d"]
    assert await crawled(site, crawler("/b")) == ["/b", "/c", "/a", "/d", "/"]


async def test_limits_of_pages_and_depth(site: WebSite, crawler: Make) -> None:
    for number in range(30):
        site[f"/{number}"] = Answer(links(f"/{number + 1}", f"/{number}"))
    site["/30"] = Answer("end")
    assert len(await crawled(site, crawler("/0", limit="7"))) == 7
    assert await crawled(site, crawler("/0", maxDepth=2)) == ["/0", "/1", "/2"]
    assert len(await crawled(site, crawler("/0"))) == 31


async def test_no_page_is_asked_for_beyond_the_limit(site: WebSite, crawler: Make) -> None:
    site["/"] = Answer(links(*(f"/{number}" for number in range(50))))
    for number in range(50):
        site[f"/{number}"] = Answer("x")
    assert len(await crawled(site, crawler(limit=3))) == 3
    assert len(site.paths) == 3


async def test_the_operators_limit_ends_a_crawl_and_says_so(site: WebSite, make: Make) -> None:
    site["/"] = Answer(links("/a", "/b", "/c"))
    for path in ("/a", "/b", "/c"):
        site[path] = Answer("x")
    connector = make(url=f"{site.url}/", relativeLinksMethod="webCrawl", limit=0, settings={"crawl_pages": 2})
    found, said = await listed_in_part(connector)
    assert len(found) == 2
    assert "RAGSTONE_CRAWL_PAGES" in said
    chosen = make(url=f"{site.url}/", relativeLinksMethod="webCrawl", limit=2, settings={"crawl_pages": 2})
    assert len(await listed(chosen)) == 2


async def test_other_sites_schemes_and_what_no_loader_reads_are_left(site: WebSite, crawler: Make) -> None:
    async with WebSite() as other:
        site["/"] = Answer(
            links(
                f"{other.url}/",
                "mailto:a@b.c",
                "javascript:x()",
                "tel:1",
                "/photo.JPG",
                "/app.zip",
                "data:text/plain,x",
            )
            + links("/style", "/wiki/Node.js", "/away", "/report.pdf", "/feed", "http://u:p@127.0.0.1/")
        )
        site["/style"] = Answer("a {}", mime="text/css")
        site["/feed"] = Answer("<rss/>", mime="application/rss+xml")
        site["/wiki/Node.js"] = Answer("about Node")
        site["/away"] = moved(f"{other.url}/")
        site["/report.pdf"] = Answer(b"%PDF-1.7", mime="application/pdf")
        assert await crawled(site, crawler()) == ["/", "/wiki/Node.js", "/report.pdf"]
        assert "/report.pdf" not in site.paths  # it has no links: whoever wants it asks for it
        assert other.paths == ["/"]


async def test_a_page_under_two_addresses_is_one(site: WebSite, crawler: Make) -> None:
    site["/"] = Answer(links("/old", "/new", "/list?sort=up", "/list?sort=down", "/list", "/mine"))
    site["/old"] = moved("/new", 301)
    site["/new"] = Answer("new")
    for query in ("", "?sort=up", "?sort=down"):
        site[f"/list{query}"] = Answer("<link rel=canonical href=/list>" + links("/deep"))
    site["/mine"] = Answer("<link rel=canonical href=/>not the front page at all")
    site["/deep"] = Answer("deep")
    assert await crawled(site, crawler()) == ["/", "/new", "/list", "/mine", "/deep"]


async def test_a_page_only_reached_by_a_variant_is_found(site: WebSite, crawler: Make) -> None:
    site["/"] = Answer(links("/list?page=2"))
    site["/list?page=2"] = Answer("<link rel='shortlink canonical' href='/list'>")
    site["/list"] = Answer("all")
    assert await crawled(site, crawler()) == ["/", "/list"]


async def test_relative_links_obey_the_base_of_the_page(site: WebSite, crawler: Make) -> None:
    site["/"] = Answer("<base href='/deep/er/'><a href=one>1</a><map><area href='../two'></map>")
    site["/deep/er/one"] = Answer("1")
    site["/deep/two"] = Answer("2")
    assert await crawled(site, crawler()) == ["/", "/deep/er/one", "/deep/two"]


async def test_pages_that_were_read_are_not_asked_for_again(site: WebSite, crawler: Make) -> None:
    site["/"] = Answer(links("/a"), headers={"ETag": '"front"'})
    site["/a"] = Answer("the text of a")
    connector, texts = crawler(), []
    async with connector:
        async for item in connector.items():
            texts.append((await read(connector, item))[0])
            assert item.name == item.url
            assert item.source == f"url:{item.url}"
    assert texts[1] == b"the text of a"
    assert sorted(site.paths) == ["/", "/a"]


async def test_dead_links_are_left_and_failing_pages_make_the_list_incomplete(
    site: WebSite, crawler: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "LONGEST_PAUSE", 0.0)
    monkeypatch.setattr(visits, "_pause", lambda _value: 0.0)
    site["/"] = Answer(links("/dead", "/gone", "/secret", "/broken", "/fine"))
    site["/gone"] = Answer(status=410)
    site["/secret"] = Answer(status=403)
    site["/broken"] = Answer(status=503)
    site["/fine"] = Answer("fine")
    connector = crawler()
    found, said = await listed_in_part(connector)
    assert said.startswith("1 pages")
    assert paths(site, found) == ["/", "/broken", "/fine"]
    with pytest.raises(EgressFailed):
        await read(connector, found[1])


@pytest.mark.parametrize("status", [404, 403, 500])
async def test_a_first_page_that_cannot_be_read_is_the_failure(site: WebSite, crawler: Make, status: int) -> None:
    site["/"] = Answer(status=status)
    with pytest.raises(EgressFailed, match=str(status)):
        await listed(crawler())


async def test_a_first_page_of_a_private_network_is_refused(make: Make) -> None:
    for method in ("webCrawl", "scrapeXMLSitemap"):
        with pytest.raises(EgressRefused):
            await listed(make(url="http://10.0.0.1/", relativeLinksMethod=method))
    connector = make(url="http://169.254.169.254/latest/meta-data")
    (item,) = await listed(connector)
    with pytest.raises(EgressRefused):
        await read(connector, item)


async def test_links_inside_are_left(site: WebSite, crawler: Make) -> None:
    site["/"] = Answer(links("/trap", "/fine"))
    site["/trap"] = moved("http://169.254.169.254/")
    site["/fine"] = Answer("fine")
    assert await crawled(site, crawler()) == ["/", "/fine"]


async def test_a_site_that_moved_is_crawled_where_it_is_now(site: WebSite, make: Make) -> None:
    async with WebSite() as old:
        old["/"] = moved(f"{site.url}/home")
        site["/home"] = Answer(links("/a"))
        site["/a"] = Answer("a")
        found = await listed(make(url=f"{old.url}/", relativeLinksMethod="webCrawl"))
        assert paths(site, found) == ["/home", "/a"]


async def test_robots_txt_is_heeded(site: WebSite, crawler: Make, make: Make) -> None:
    site["/robots.txt"] = Answer("User-agent: *\nDisallow: /private\nAllow: /private/open$\n", mime="text/plain")
    site["/"] = Answer(links("/private/x", "/private/open", "/public"))
    for path in ("/private/x", "/private/open", "/public"):
        site[path] = Answer("x")
    assert await crawled(site, crawler()) == ["/", "/private/open", "/public"]
    assert "/private/x" not in site.paths
    with pytest.raises(Disallowed, match="RAGSTONE_CRAWL_ROBOTS"):
        await listed(crawler("/private/x"))
    bold = make(url=f"{site.url}/", relativeLinksMethod="webCrawl", settings={"crawl_robots": False})
    assert len(await listed(bold)) == 4


async def test_a_robots_txt_for_us_counts_before_the_general_one(site: WebSite, crawler: Make) -> None:
    site["/robots.txt"] = Answer(
        "User-agent: *\nDisallow: /\n\nUser-agent: ragstone\nDisallow: /b\n", mime="text/plain"
    )
    site["/"] = Answer(links("/a", "/b"))
    for path in ("/a", "/b"):
        site[path] = Answer("x")
    assert await crawled(site, crawler()) == ["/", "/a"]


@pytest.mark.parametrize(("status", "allowed"), [(404, True), (403, True), (500, False), (503, False)])
async def test_a_robots_txt_that_cannot_be_read(site: WebSite, crawler: Make, status: int, allowed: bool) -> None:
    site["/robots.txt"] = Answer(status=status)
    site["/"] = Answer("x")
    if allowed:
        assert await crawled(site, crawler()) == ["/"]
    else:
        with pytest.raises(EgressFailed, match=r"robots\.txt"):
            await listed(crawler())
    assert site.paths == (["/"] if allowed else [])


async def test_a_huge_robots_txt_counts_as_far_as_it_is_read(site: WebSite, crawler: Make) -> None:
    rules = "User-agent: *\nDisallow: /private\n" + "# padding\n" * 100_000
    site["/robots.txt"] = Answer(rules, mime="text/plain")
    site["/"] = Answer(links("/private"))
    assert await crawled(site, crawler()) == ["/"]


async def test_the_pause_that_a_site_asks_for_is_kept(
    site: WebSite, crawler: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    site["/robots.txt"] = Answer("User-agent: *\nCrawl-delay: 3600\n", mime="text/plain")
    site["/"] = Answer(links("/a", "/b"))
    for path in ("/a", "/b"):
        site[path] = Answer("x")
    monkeypatch.setattr(asyncio, "sleep", noted)
    await listed(crawler())
    long = [seconds for seconds in waits if seconds > 1]
    assert len(long) == 2
    assert all(9 < seconds <= visits.LONGEST_PAUSE for seconds in long)
    assert site.most_open == 1


async def test_few_requests_at_once(site: WebSite, crawler: Make) -> None:
    site["/"] = Answer(links(*(f"/{number}" for number in range(20))))
    for number in range(20):
        site[f"/{number}"] = Answer(pieces=[b"x", b"y"], pause=0.01)
    assert len(await crawled(site, crawler())) == 21
    assert 1 < site.most_open <= visits.AT_ONCE


async def test_a_busy_site_is_asked_again(site: WebSite, crawler: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def soon(value: str) -> float:
        asked.append(value)
        return 0.0

    monkeypatch.setattr(visits, "_pause", soon)

    def busy_once(_request: Request) -> Answer:
        return Answer("x") if asked else Answer(status=429, headers={"Retry-After": "7"})

    site["/"] = busy_once
    assert await crawled(site, crawler()) == ["/"]
    assert asked == ["7"]


async def test_a_page_too_large_to_be_searched_is_listed_and_fetched(
    site: WebSite, crawler: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(crawl, "PAGE_BYTES", 1000)
    site["/"] = Answer(links("/large"))
    site["/large"] = Answer("y" * 5000)
    connector = crawler()
    _, large = await listed(connector)
    assert (await read(connector, large))[0] == b"y" * 5000
