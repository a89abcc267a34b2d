"""Settings of a service whose document stores are, by default, in one of the vector stores."""

from pathlib import Path

import pytest

from service.settings import Settings, load
from tests.stores.vector.servers import chroma_server as chroma_server  # a fixture

ELSEWHERE = ("qdrant://{folder}", "chroma://{chroma}")
"""Vector stores that join no transaction of the ledger's."""


def settings_with(url: str, request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Settings:
    """As in the other tests of document stores, with the vector store of this URL."""
    server = request.getfixturevalue("chroma_server") if "{chroma}" in url else ""
    url = url.format(folder=tmp_path / "vectors", chroma=server)
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12}
    return load({}, {**place, "vector_store": url})


@pytest.fixture(params=["pgvector://", "memory://", *ELSEWHERE])
def settings(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Settings:
    """With each of the vector stores."""
    return settings_with(request.param, request, tmp_path, database_url)
