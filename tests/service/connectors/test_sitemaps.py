"""Sitemaps: what they list, and what hostile ones cost."""

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.connectors import listing, sitemaps
from service.connectors.sitemaps import BadSitemap, read_sitemap
from service.egress.errors import EgressFailed
from tests.service.connectors.conftest import Make, listed, listed_in_part
from tests.stubs.web_site import Answer, WebSite

XML = "application/xml"
NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
IMAGES = 'xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"'


def urlset(*urls: str) -> str:
    entries = "".join(f"<url><loc> {url} </loc><lastmod>2026-01-01</lastmod></url>" for url in urls)
    return f"<?xml version='1.0'?><urlset {NAMESPACE}>{entries}</urlset>"


def index(*urls: str) -> str:
    entries = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in urls)
    return f"<sitemapindex {NAMESPACE}>{entries}</sitemapindex>"


async def pages(make: Make, url: str, **config: object) -> list[str]:
    config = {"limit": 0, **config}
    return [str(item.url) for item in await listed(make(url=url, relativeLinksMethod="scrapeXMLSitemap", **config))]


async def test_pages_of_an_index_with_packed_and_plain_sitemaps(site: WebSite, make: Make) -> None:
    root = site.url
    site["/sitemap.xml"] = Answer(
        index(f"{root}/a.xml.gz", f"{root}/b.txt", f"{root}/sitemap.xml", f"{root}/c"), mime=XML
    )
    site["/a.xml.gz"] = Answer(gzip.compress(urlset(f"{root}/1", f"{root}/2#x").encode()), mime="application/gzip")
    site["/b.txt"] = Answer(f"{root}/2\n{root}/3?utm_source=x\n\n", mime="text/plain")
    site["/c"] = Answer(f"\ufeff{urlset(f'{root}/1', f'{root}/4')}", mime="text/xml")
    assert await pages(make, f"{root}/sitemap.xml") == [f"{root}/{number}" for number in (1, 2, 3, 4)]
    assert await pages(make, f"{root}/sitemap.xml", limit=3) == [f"{root}/{number}" for number in (1, 2, 3)]
    assert site.paths.count("/sitemap.xml") == 2


async def test_a_page_leads_to_the_sitemaps_of_its_site(site: WebSite, make: Make) -> None:
    site["/sitemap.xml"] = Answer(urlset(f"{site.url}/usual"), mime=XML)
    assert await pages(make, f"{site.url}/some/page") == [f"{site.url}/usual"]
    site["/robots.txt"] = Answer(f"Sitemap: {site.url}/other.xml\n", mime="text/plain")
    site["/other.xml"] = Answer(urlset(f"{site.url}/named"), mime=XML)
    assert await pages(make, f"{site.url}/some/page") == [f"{site.url}/named"]
    assert await pages(make, f"{site.url}/some/page", settings={"crawl_robots": False}) == [f"{site.url}/named"]


async def test_other_sites_pictures_and_rubbish_are_left(site: WebSite, make: Make) -> None:
    entry = f"<url><loc>{site.url}/1</loc><image:image><image:loc>{site.url}/p.png</image:loc></image:image></url>"
    more = "<url><loc>http://elsewhere.example/x</loc></url><url><loc>file:///etc/passwd</loc></url><url><loc/></url>"
    site["/sitemap.xml"] = Answer(f"<urlset {NAMESPACE} {IMAGES}>{entry}{more}</urlset>", mime=XML)
    assert await pages(make, f"{site.url}/sitemap.xml") == [f"{site.url}/1"]


async def test_a_sitemap_that_cannot_be_read_is_the_failure_and_one_of_many_makes_the_list_incomplete(
    site: WebSite, make: Make
) -> None:
    with pytest.raises(EgressFailed, match="404"):
        await pages(make, f"{site.url}/sitemap.xml")
    site["/sitemap.xml"] = Answer("<html><body>Not found</body></html>")
    with pytest.raises(BadSitemap):
        await pages(make, f"{site.url}/sitemap.xml")
    site["/sitemap.xml"] = Answer("")
    with pytest.raises(BadSitemap, match="empty"):
        await pages(make, f"{site.url}/sitemap.xml")
    site["/sitemap.xml"] = Answer(index(f"{site.url}/a.xml", f"{site.url}/b.xml", f"{site.url}/c.xml"), mime=XML)
    site["/a.xml"] = Answer(urlset(f"{site.url}/1"), mime=XML)
    site["/c.xml"] = Answer(urlset(f"{site.url}/3"), mime=XML)
    connector = make(url=f"{site.url}/sitemap.xml", relativeLinksMethod="scrapeXMLSitemap")
    found, said = await listed_in_part(connector)
    assert [item.url for item in found] == [f"{site.url}/1", f"{site.url}/3"]
    assert "b.xml" in said


async def test_indexes_without_end_end(site: WebSite, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_SITEMAPS", 20)
    for number in range(50):
        site[f"/{number}.xml"] = Answer(
            index(*(f"{site.url}/{number * 3 + more}.xml" for more in range(1, 4))), mime=XML
        )
    assert await pages(make, f"{site.url}/0.xml") == []
    assert len(site.paths) <= 20


async def test_a_gitbook_lists_the_pages_below_it(site: WebSite, make: Make) -> None:
    site["/sitemap.xml"] = Answer(urlset(f"{site.url}/docs", f"{site.url}/docs/a", f"{site.url}/blog"), mime=XML)
    some = make("gitbook", webPath=f"{site.url}/docs/", shouldLoadAllPaths="true")
    assert [item.url for item in await listed(some)] == [f"{site.url}/docs", f"{site.url}/docs/a"]
    assert [item.url for item in await listed(make("gitbook", webPath=f"{site.url}/docs"))] == [f"{site.url}/docs"]


def test_entities_are_not_unfolded_and_files_not_read() -> None:
    bomb = "<!DOCTYPE x [<!ENTITY a0 'aaaaaaaaaa'>" + "".join(
        f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10)
    )
    for text in (
        f"{bomb}]><urlset><url><loc>http://h/&a9;</loc></url></urlset>",
        "<!DOCTYPE x [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><urlset><url><loc>http://h/&f;</loc></url></urlset>",
    ):
        tracemalloc.start()
        try:
            found = list(read_sitemap(text.encode(), "http://h/s.xml").pages)
        except BadSitemap:
            found = []
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000
        assert all(url == "http://h/" for url in found)


def test_a_packed_sitemap_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitemaps, "MOST_BYTES", 2 * 1024 * 1024)
    with pytest.raises(BadSitemap, match="larger than"):
        read_sitemap(gzip.compress(bytes(50 * 1024 * 1024)), "http://h/s.xml.gz")
    with pytest.raises(BadSitemap, match="unpacked"):
        read_sitemap(b"\x1f\x8bnot gzip", "http://h/s.xml.gz")


def test_one_sitemap_lists_no_more_than_the_protocol_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitemaps, "MOST_URLS", 10)
    urls = [f"http://h/{number}" for number in range(50)]
    assert len(read_sitemap(urlset(*urls).encode(), "http://h/s.xml").pages) == 10
    assert len(read_sitemap("\n".join(urls).encode(), "http://h/s.txt").pages) == 10


def test_a_sitemap_that_is_cut_off_gives_what_it_has() -> None:
    text = urlset("http://h/1", "http://h/2", "http://h/3")[:-60]
    assert list(read_sitemap(text.encode(), "http://h/s.xml").pages) == ["http://h/1", "http://h/2"]


@given(st.binary(max_size=300))
def test_rubbish_is_no_sitemap(data: bytes) -> None:
    try:
        found = read_sitemap(data, "http://h/s.xml")
    except BadSitemap:
        return
    assert all(url.startswith("http") for url in (*found.pages, *found.sitemaps))
