"""Published JavaScript clients, run by Node and in a real browser against a running service.

`npm ci --ignore-scripts` in this folder installs them; Chromium comes from the system.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.application import settings  # noqa: F401  # fixture
from tests.service.predictions.conftest import _stub, house, live, patience, shelf, stub  # noqa: F401  # fixtures

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 120.0


def drive(script: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a driver of this folder prints for its argument."""
    done = subprocess.run(
        ["node", script, json.dumps(given)], cwd=HERE, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="session")
def packages() -> None:
    """The published packages, or the test is skipped."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    locked = json.loads((HERE / "package-lock.json").read_text())["packages"]
    for place in json.loads((HERE / "package.json").read_text())["dependencies"]:
        manifest = HERE / "node_modules" / place / "package.json"
        version = locked[f"node_modules/{place}"]["version"]
        if not manifest.exists() or json.loads(manifest.read_text())["version"] != version:
            pytest.skip(f"{place} {version} is not installed: run `npm ci --ignore-scripts` in tests/clients")


@pytest.fixture(scope="session")
def chromium(packages: None) -> str:
    """Path of a browser, or the test is skipped."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    pytest.skip("Chromium is not installed")
