"""A worker beside the application, document stores whose embedder costs nothing, and a site to ask."""

from collections.abc import AsyncIterator

import pytest

from tests.service.document_stores.conftest import settings, talk, worker  # noqa: F401  # fixtures
from tests.stubs.web_site import WebSite


@pytest.fixture
async def site() -> AsyncIterator[WebSite]:
    """A site without pages."""
    async with WebSite() as opened:
        yield opened
