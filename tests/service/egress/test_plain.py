"""Credentials go over plain http only to places that the operator has allowed."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from service.egress.addresses import parse_allowed
from service.egress.client import Egress
from service.egress.errors import EgressRefused
from tests.service.egress.conftest import resolver
from tests.stubs.web_site import Answer, WebSite

PUBLIC = "93.184.216.34"


@pytest.fixture
async def mixed(site: WebSite) -> AsyncIterator[Egress]:
    """`far.example` is public, `near.example` is `site`, which the operator allows by its address."""
    site["/"] = Answer("hello")
    near = resolver(lambda host, port: ["127.0.0.1"] if host == "near.example" else [PUBLIC])
    opened = Egress(parse_allowed(f"127.0.0.1:{site.port}"), timeout=5.0, max_bytes=1024 * 1024, resolver=near)
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    "header", ["Authorization", "x-api-key", "Api-Key", "Cookie", "X-Auth-Token", "X-Goog-Api-Key"]
)
@pytest.mark.parametrize("host", ["far.example", PUBLIC, "far.example:8080"])
async def test_a_credential_is_not_sent_over_plain_http(mixed: Egress, host: str, header: str) -> None:
    with pytest.raises(EgressRefused) as caught:
        await mixed.fetch(f"http://{host}/", headers={header: "hush"})
    place = host if ":" in host else f"{host}:80"
    assert caught.value.message.endswith(
        f"Use https; or, if that way is your own, start with RAGSTONE_EGRESS_ALLOW={place}"
    )
    assert "hush" not in caught.value.message


async def test_vendors_libraries_are_held_to_the_same(mixed: Egress) -> None:
    async with mixed.http_client() as client:
        with pytest.raises(EgressRefused, match="plain http"):
            await client.get("http://far.example/", headers={"Authorization": "Bearer hush"})


async def test_a_credential_goes_to_a_place_that_the_operator_allows(mixed: Egress, site: WebSite) -> None:
    for host in ("127.0.0.1", "near.example"):
        got = await mixed.fetch(f"http://{host}:{site.port}/", headers={"Authorization": "Bearer hush"})
        assert (got.status, site.requests[-1].headers["authorization"]) == (200, "Bearer hush")


async def test_a_name_that_the_operator_allows_is_trusted_wherever_it_lies() -> None:
    egress = Egress(parse_allowed("far.example:80"), timeout=5.0, resolver=resolver(lambda host, port: [PUBLIC]))
    await egress.guard.check_plain("far.example", 80, "Authorization")
    with pytest.raises(EgressRefused):
        await egress.guard.check_plain("far.example", 8080, "Authorization")
    await egress.close()


async def test_code_without_an_event_loop_is_held_to_the_same(mixed: Egress) -> None:
    with pytest.raises(EgressRefused, match="plain http"):
        mixed.guard.check_plain_blocking(PUBLIC, 80, "Authorization")
    with mixed.blocking_client() as client, pytest.raises(EgressRefused, match="plain http"):
        client.get(f"http://{PUBLIC}/", headers={"Authorization": "Bearer hush"})
    assert isinstance(client, httpx2.Client)
