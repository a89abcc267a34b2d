from collections.abc import Callable
from pathlib import Path

import pytest

from loaders.base import Source

Put = Callable[[str | bytes, str], Source]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes a file and gives its source."""

    def write(data: str | bytes, name: str) -> Source:
        file = tmp_path / "file"
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        return Source(file, name)

    return write
