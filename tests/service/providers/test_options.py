"""Fields of Flowise nodes: numbers as text, empty text as "not set", errors that name the field."""

import pytest

from service.providers.errors import MissingLibrary, RateLimited, RequestRefused, redact
from service.providers.options import flag, headers, number, seconds, text, whole


def test_numbers_come_as_numbers_or_text_and_empty_means_not_set() -> None:
    assert number({"a": "0.2"}, "a") == 0.2
    assert number({"a": 0}, "a") == 0
    assert number({"a": " "}, "a") is None
    assert number({}, "a") is None
    assert whole({"a": "512"}, "a") == 512


@pytest.mark.parametrize("value", ["many", "nan", "inf", "-1"])
def test_what_is_no_number_is_refused_by_name(value: str) -> None:
    with pytest.raises(RequestRefused, match="'topP'"):
        number({"topP": value}, "topP", least=0)


@pytest.mark.parametrize("value", ["1.5", "0"])
def test_whole_numbers_are_whole_and_at_least_one(value: str) -> None:
    with pytest.raises(RequestRefused, match="'maxTokens'"):
        whole({"maxTokens": value}, "maxTokens")


def test_the_first_field_that_is_set_counts() -> None:
    assert text({"basepath": "", "basePath": " http://a "}, "basepath", "basePath") == "http://a"


def test_flags_come_as_json_or_text() -> None:
    assert flag({"a": "true"}, "a", False)
    assert not flag({"a": False}, "a", True)
    assert flag({"a": ""}, "a", True)


def test_timeouts_are_milliseconds_in_flowise() -> None:
    assert seconds({"timeout": "1500"}, 120.0) == 1.5
    assert seconds({}, 120.0) == 120.0


def test_headers_come_as_an_object_or_its_text() -> None:
    assert headers({"baseOptions": '{"X-A": 1}'}) == {"X-A": "1"}
    assert headers({"baseOptions": {"defaultHeaders": {"X-A": "b"}}}) == {"X-A": "b"}
    assert headers({"baseOptions": ""}) == {}
    for broken in ("{", "[1]"):
        with pytest.raises(RequestRefused, match="baseOptions"):
            headers({"baseOptions": broken})


def test_messages_lose_keys() -> None:
    shown = redact("Incorrect API key: sk-abc123456, given Bearer xyz987 or my-secret, seen as sk-p***89", "my-secret")
    for secret in ("abc123456", "xyz987", "my-secret", "***"):
        assert secret not in shown


def test_errors_carry_what_the_caller_needs() -> None:
    assert RateLimited("slow down", retry_after=0.2).headers == {"Retry-After": "1"}
    assert "pip install 'ragstone[torch]'" in MissingLibrary("sentence-transformers", "torch").message


def test_a_long_text_of_a_provider_is_redacted_at_once() -> None:
    """Providers repeat what they were sent, pictures too; a pattern that tries each character anew takes hours here."""
    picture = "iVBORw0KGgo" * 200_000
    assert redact(f"Not a picture: {picture}").startswith("Not a picture: iVBORw0KGgo")
    assert (
        redact("Not a key: sk-p***89, x***, ***y and sk-abcdef***z") == "Not a key: [key], [key], [key] and [key][key]"
    )
