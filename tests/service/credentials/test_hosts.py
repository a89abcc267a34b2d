"""Which hosts a credential may be sent to when it names none."""

import pytest

from service.credentials.components import COMPONENTS
from service.credentials.hosts import HOMES, default_hosts, fits, is_pattern
from service.credentials.types import Value
from service.settings import Settings


def hosts(component: str, values: dict[str, Value] | None = None, **settings: str) -> list[str]:
    return default_hosts(component, COMPONENTS.get(component), values or {}, Settings.model_validate(settings))


@pytest.mark.parametrize("name", sorted(HOMES))
def test_every_row_is_a_component(name: str) -> None:
    assert name in COMPONENTS


@pytest.mark.parametrize(
    ("component", "host", "may"),
    [
        ("openAIApi", "api.openai.com", True),
        ("openAIApi", "api.openai.com.evil.example", False),
        ("openAIApi", "models.example", True),  # the operator's
        ("localAIApi", "models.example", True),
        ("localAIApi", "api.openai.com", False),
        ("githubApi", "api.github.com", True),
        ("githubApi", "models.example", False),
        ("awsApi", "bucket.s3.eu-north-1.amazonaws.com", True),
        ("httpBearerToken", "anything.example", False),
    ],
)
def test_the_providers_own_and_the_operators(component: str, host: str, may: bool) -> None:
    assert fits(host, hosts(component, openai_base_url="http://models.example:8000/v1")) is may


def test_an_address_in_the_credential_is_its_host() -> None:
    found = hosts("elasticsearchApi", {"endpoint": "https://search.example:9200/x", "apiKey": "secret"})
    assert found == ["search.example"]
    assert hosts("redisCacheApi", {"redisCacheHost": "cache.example"}) == ["cache.example"]
    assert hosts("elasticsearchApi", {"endpoint": "https://[broken"}) == []


@pytest.mark.parametrize("value", ["api.example", "*.api.example", "localhost", "10.0.0.1", "::1", "bücher.example"])
def test_hosts_patterns_and_addresses_can_be_allowed(value: str) -> None:
    assert is_pattern(value)


@pytest.mark.parametrize(
    "value", ["api.example:8100", "https://api.example", "api.example/v1", "*", "*.", "a.*.example", "a b", "[::1]:80"]
)
def test_what_no_host_can_fit_is_told_apart(value: str) -> None:
    assert not is_pattern(value)
