"""A worker, document stores whose embedder costs nothing, and the application on a socket."""

from pathlib import Path

import pytest

from service.settings import Settings, load
from tests.service.document_stores.conftest import embedder, talk, worker  # noqa: F401  # fixtures
from tests.service.predictions.conftest import _stub, house, live, patience, shelf, stub  # noqa: F401  # fixtures


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Connections for a worker and many requests, and a way to the stub of a model."""
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12}
    return load({}, {**place, "egress_allow": "127.0.0.1"})
