"""The README's first five minutes, run as they stand there against a running service."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.cli.conftest import PATIENCE, Up, environment

README = Path(__file__).parents[3] / "README.md"
PLACE = "http://127.0.0.1:3000"
ANSWER = "The Leeds office closes at 18:00 on weekdays. [1]"


def blocks(language: str) -> list[str]:
    """The code blocks of the section, in order."""
    section = README.read_text("utf-8").partition("\n## The first five minutes\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_first_five_minutes_are_as_the_readme_says(service: Up, tmp_path: Path) -> None:
    shell, python = blocks("sh"), blocks("python")
    assert len(shell) == 2
    assert len(python) == 1
    (tmp_path / "sdk.py").write_text(python[0].replace(PLACE, service.note.url), "utf-8")
    script = "\n".join(
        [
            "set -euo pipefail",
            *shell,
            'echo "--- SDK"; python sdk.py',
            "ragstone ingest notes --store Notes",
        ]
    ).replace(PLACE, service.note.url)
    here = Path(sys.executable).parent
    environ = environment(RAGSTONE_DATA=str(service.data), NO_PROXY="127.0.0.1")
    environ["PATH"] = f"{here}:{environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told, _, sdk = done.stdout.partition("--- SDK")
    assert told.count(ANSWER) >= 4  # ask, the whole answer, the stream's start and token
    assert '"numAdded":1' in told
    assert "location: /api/v1/jobs/" in told
    assert sdk.strip().startswith(ANSWER)
    assert sdk.split()[-8:-1] == ["Notes", "1", "0", "0", "0", "1", "0"]
