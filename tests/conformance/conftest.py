"""The running application for the tests over all routes, and what LangChain's suites need of pytest."""

import pytest

from tests.application import (  # noqa: F401  # fixtures
    anonymous,
    app,
    client,
    foreign,
    foreign_workspace,
    key,
    limited,
    resources,
    settings,
    workspace,
)
from tests.stores.vector.servers import chroma_server  # noqa: F401  # fixture


def pytest_configure(config: pytest.Config) -> None:
    """Their tests carry markers of plug-ins that are switched off here."""
    config.addinivalue_line("markers", "vcr: a recorded exchange of langchain-tests; not recorded")
    config.addinivalue_line("markers", "benchmark: a timed test of langchain-tests; not run")
