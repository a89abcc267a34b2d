"""Libraries that are built on `httpx` go through the same guard."""

from collections.abc import AsyncIterator

import httpx
import pytest

from service.egress.addresses import parse_allowed
from service.egress.client import Egress
from service.egress.errors import EgressFailed, EgressRefused
from tests.stubs.web_site import Answer, WebSite


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    """A way to this machine."""
    opened = Egress(parse_allowed("127.0.0.1"))
    yield opened
    await opened.close()


async def test_requests_arrive_whole_and_so_do_answers(egress: Egress) -> None:
    async with WebSite() as site:
        site["/a"], site["/gone"] = Answer('{"x": 1}', mime="application/json"), Answer("no", status=404)
        async with httpx.AsyncClient(transport=egress.httpx_transport()) as client:
            found = await client.get(f"{site.url}/a", headers={"X-Mine": "1"})
            assert (found.status_code, found.json()) == (200, {"x": 1})
            assert (await client.get(f"{site.url}/gone")).status_code == 404
    assert site.requests[0].headers["accept-encoding"] == "identity"


async def test_what_may_not_be_called_is_refused_and_what_is_away_is_told_in_the_librarys_words(egress: Egress) -> None:
    async with httpx.AsyncClient(transport=egress.httpx_transport()) as client:
        with pytest.raises(EgressRefused):
            await client.get("http://10.0.0.7:6333/collections")
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:6/")


async def test_packed_answers_are_not_read(egress: Egress) -> None:
    async with WebSite() as site:
        site["/a"] = Answer(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
        async with httpx.AsyncClient(transport=egress.httpx_transport()) as client:
            with pytest.raises(EgressFailed):
                await client.get(f"{site.url}/a")
