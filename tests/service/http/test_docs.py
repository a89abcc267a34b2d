import re

import httpx
import pytest

from service.http.docs import ASSETS

OUTSIDE = re.compile(r"(?:src|href|action)=[\"']?(?:https?:)?//", re.IGNORECASE)


async def test_the_page_loads_only_files_of_this_service(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    assert page.status_code == 200
    assert not OUTSIDE.search(page.text)
    links = re.findall(r'(?:src|href|data-document)="([^"]+)"', page.text)
    assert len(links) == 5
    for link in links:
        assert (await anonymous.get(link)).status_code == 200, link


async def test_the_page_has_no_inline_script_and_a_policy_that_forbids_it(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    assert not re.search(r"<script(?![^>]*src=)", page.text)
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "connect-src 'self'" in policy


async def test_the_page_asks_no_validator(anonymous: httpx.AsyncClient) -> None:
    assert "validatorUrl: null" in (await anonymous.get("/docs/start.js")).text


@pytest.mark.parametrize("name", ["redoc.standalone.js", "..%2Fcore.py", "x", "%2e%2e"])
async def test_no_other_file_is_served(anonymous: httpx.AsyncClient, name: str) -> None:
    assert (await anonymous.get(f"/docs/{name}")).status_code == 404


async def test_scripts_are_served_as_what_they_are(anonymous: httpx.AsyncClient) -> None:
    for name, kind in ASSETS.items():
        response = await anonymous.get(f"/docs/{name}")
        assert response.headers["content-type"].split(";")[0] == kind
        assert response.headers["x-content-type-options"] == "nosniff"
