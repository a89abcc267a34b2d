"""GET /fetch-links, and connectors as the service opens them."""

from uuid import UUID, uuid4

import httpx
import pytest

from service.connectors import open_connector
from service.connectors.base import BadConnectorOption
from service.credentials.service import HostNotAllowed
from service.errors import NotFound
from service.resources import Resources
from tests.service.connectors.conftest import links, listed, read
from tests.stubs.web_site import Answer, WebSite

PATH = "/api/v1/fetch-links"


async def test_links_of_a_page_and_of_a_sitemap(client: httpx.AsyncClient, site: WebSite) -> None:
    site["/"] = Answer(links("/a", "/b"))
    site["/a"] = Answer(links("/c"))
    for path in ("/b", "/c"):
        site[path] = Answer("x")
    site["/sitemap.xml"] = Answer(f"<urlset><url><loc>{site.url}/mapped</loc></url></urlset>", mime="text/xml")
    root = site.url
    for parameters, paths in (
        ({"relativeLinksMethod": "webCrawl", "limit": "0"}, ["/", "/a", "/b", "/c"]),
        ({"relativeLinksMethod": "webCrawl", "limit": "2"}, ["/", "/a"]),
        ({}, ["/", "/a", "/b", "/c"]),
        ({"relativeLinksMethod": "scrapeXMLSitemap", "limit": "10"}, ["/mapped"]),
    ):
        response = await client.get(PATH, params={"url": root, **parameters})
        assert response.status_code == 200, response.text
        assert response.json() == {"status": "OK", "links": [root + path for path in paths]}


@pytest.mark.parametrize(
    ("parameters", "status", "word"),
    [
        ({}, 412, "url"),
        ({"url": ""}, 412, "url"),
        ({"url": "ftp://x/"}, 422, "url"),
        ({"url": "http://10.0.0.1/"}, 422, "RAGSTONE_EGRESS_ALLOW=10.0.0.1:80"),
        ({"url": "http://169.254.169.254/latest/"}, 422, "no public address"),
        ({"url": "http://x/", "relativeLinksMethod": "all"}, 422, "relativeLinksMethod"),
        ({"url": "http://x/", "limit": "-1"}, 422, "limit"),
        ({"url": "http://x/", "limit": "many"}, 422, "limit"),
    ],
)
async def test_what_cannot_be_listed_is_named(
    client: httpx.AsyncClient, parameters: dict[str, str], status: int, word: str
) -> None:
    response = await client.get(PATH, params=parameters)
    assert response.status_code == status
    assert word in response.json()["message"]


async def test_a_page_that_fails_is_a_failure_of_the_other_side(client: httpx.AsyncClient, site: WebSite) -> None:
    response = await client.get(PATH, params={"url": f"{site.url}/none"})
    assert (response.status_code, response.json()["code"]) == (502, "egress_failed")
    assert "404" in response.json()["message"]


async def test_a_key_is_needed(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get(PATH, params={"url": "http://x/"})).status_code == 401


async def test_connectors_open_by_every_name(resources: Resources, workspace: UUID, site: WebSite) -> None:
    site["/"] = Answer("page")
    for name in ("cheerioWebScraper", "web", "playwrightWebScraper"):
        async with open_connector(resources, workspace, name, {"url": site.url}) as connector:
            (item,) = await listed(connector)
            assert (await read(connector, item))[0] == b"page"
    with pytest.raises(BadConnectorOption, match=r"figma.*cheerioWebScraper"):
        open_connector(resources, workspace, "figma", {})
    with pytest.raises(BadConnectorOption, match=r"^url: is missing"):
        open_connector(resources, workspace, "web", {})
    with pytest.raises(BadConnectorOption, match="credential"):
        open_connector(resources, workspace, "web", {"url": site.url, "credential": "mine"})


async def test_the_credential_of_a_connector_goes_to_its_hosts_only(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID, foreign_workspace: UUID
) -> None:
    body = {"name": "Git", "credentialName": "githubApi", "plainDataObj": {"accessToken": "t-1"}}
    saved = (await client.post("/api/v1/credentials", json=body)).json()["id"]
    config = {"repoLink": "https://github.com/a/b", "credential": saved}
    mine = open_connector(resources, workspace, "github", config)
    assert await mine.outside.reveal("api.github.com") == {"accessToken": "t-1"}
    with pytest.raises(HostNotAllowed, match="allowedHosts"):
        await mine.outside.reveal("evil.example")
    theirs = open_connector(resources, foreign_workspace, "github", config)
    with pytest.raises(NotFound):
        await theirs.outside.reveal("api.github.com")
    unknown = open_connector(resources, workspace, "github", {**config, "credential": str(uuid4())})
    with pytest.raises(NotFound):
        await unknown.outside.reveal("api.github.com")
    without = open_connector(resources, workspace, "github", {"repoLink": "https://github.com/a/b"})
    assert await without.outside.reveal("api.github.com") == {}
