"""A site to ask."""

from collections.abc import AsyncIterator

import pytest

from tests.service.document_stores.loading.test_places import page, tagged
from tests.stubs.web_site import WebSite


@pytest.fixture
async def site() -> AsyncIterator[WebSite]:
    """Two pages, the first leads to the second."""
    async with WebSite() as opened:
        opened["/"] = tagged(page("Home", "Offices close at six.", "/leave"), '"h1"')
        opened["/leave"] = tagged(page("Leave", "Thirty days of leave a year."), '"l1"')
        yield opened
