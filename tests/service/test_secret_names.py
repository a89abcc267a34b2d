"""What counts as a secret, and what is shown of a URL."""

import pytest

from service.secret_names import is_confidential, is_secret, redacted, redacted_text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("openAIApiKey", "a"),
        ("accessToken", "a"),
        ("headers", {"a": "b"}),
        ("baseOptions", "{}"),
        ("connectionString", "a"),
        ("host", "redis://user:secret@host/0"),
        ("additionalConfig", '{"ssl": {"password": "a"}}'),
        ("options", '[{"api_key": "a"}]'),
    ],
)
def test_secrets_are_known_by_name_or_by_what_they_hold(key: str, value: object) -> None:
    assert is_secret(key, value)
    assert is_confidential(key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("credential", "an id"),
        ("metadata", {"token": "a"}),
        ("maxTokens", 5),
        ("text", '{"password": "of a document"}'),
        ("url", "https://host/a?page=2&key=PROJ-1"),
        ("additionalConfig", '{"password": ""}'),
        ("broken", '{"password": '),
    ],
)
def test_other_fields_are_no_secrets(key: str, value: object) -> None:
    assert not is_secret(key, value)
    assert not is_confidential(key, value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/a?token=abc&page=2", "https://h/a?token=***&page=2"),
        ("https://h/a?page=2&X-Amz-Signature=abc&X-Amz-Credential=k", "https://h/a?page=2&X-Amz-Signature=***&X-Amz-Credential=***"),
        ("https://h/a?sv=2022&sig=a%2Fb", "https://h/a?sv=2022&sig=***"),
        ("https://h/a?access%5Ftoken=abc", "https://h/a?access%5Ftoken=***"),
        ("https://h/a?key=AIzaSyA1234567890abcd", "https://h/a?key=***"),
        ("https://h/a#id_token=abc", "https://h/a#id_token=***"),
        ("postgres://user:pass@h/d", "postgres://user:***@h/d"),
        ("https://h/a?key=PROJ-1&code=3", "https://h/a?key=PROJ-1&code=3"),
        ("https://h/a?token=", "https://h/a?token="),
        ("no url, token=abc", "no url, token=abc"),
        ("https://[broken?token=a", "https://[broken?token=a"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown
    assert is_confidential("url", url) == (url != shown)


def test_urls_in_a_message_are_shown_without_their_secrets() -> None:
    text = "url:https://h/a?token=abc is not there (status 404), nor is 'http://h/b?sig=d'"
    assert redacted_text(text) == "url:https://h/a?token=*** is not there (status 404), nor is 'http://h/b?sig=***'"
