"""What LangChain's suites need of pytest."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Their tests carry markers of plug-ins that are switched off here."""
    config.addinivalue_line("markers", "vcr: a recorded exchange of langchain-tests; not recorded")
    config.addinivalue_line("markers", "benchmark: a timed test of langchain-tests; not run")
