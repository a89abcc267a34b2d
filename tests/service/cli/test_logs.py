"""What is logged, and what is not."""

import subprocess
import sys

ASK = """
import httpx2
from service.cli.logs import configure_logging
configure_logging("api", "{level}")
client = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(200)))
client.get("http://search.example/?api_key=sk-secret")
"""


def logged(level: str) -> str:
    """What a process logs of a call to another host."""
    return subprocess.run(
        [sys.executable, "-c", ASK.format(level=level)], capture_output=True, text=True, check=True
    ).stderr


def test_addresses_that_are_called_are_not_logged_as_they_may_hold_keys() -> None:
    assert logged("info") == ""
    assert "search.example" in logged("debug")
