"""Embedding services over HTTP: what is sent, where the key goes, and how they fail."""

from collections.abc import Iterator
from typing import Any

import pytest

from service.egress.addresses import parse_allowed
from service.egress.client import Egress
from service.providers.defaults import Defaults
from service.providers.embedding import create_embedder, destination
from service.providers.embedding.base import TextKind
from service.providers.errors import (
    BadCredential,
    Malformed,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    WrongShape,
)
from tests.stubs.model_servers import ModelStub
from tests.stubs.models import AZURE, EMBEDDED_AT, embedder_at
from tests.stubs.openai_server import KEY, Lie, Script

ENDPOINTS = sorted(EMBEDDED_AT.keys() - {"openai"})
FAST = Defaults(max_retries=0, timeout=5.0)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelStub]:
    with ModelStub(dimension=6) as stub:
        yield stub


@pytest.fixture
def stub(server: ModelStub) -> ModelStub:
    server.reset()
    return server


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (Script(status=401), BadCredential),
        (Script(status=429, retry_after=7), RateLimited),
        (Script(status=503), ProviderUnavailable),
        (Script(status=400), RequestRefused),
        (Script(lie=Lie.NOT_JSON), Malformed),
        (Script(lie=Lie.EMPTY_OBJECT), Malformed),
        (Script(lie=Lie.WRONG_COUNT), WrongShape),
        (Script(lie=Lie.UNEVEN), WrongShape),
        (Script(lie=Lie.ZERO), WrongShape),
    ],
)
async def test_failures_become_ours(stub: ModelStub, name: str, script: Script, expected: type[ProviderError]) -> None:
    embedder = embedder_at(name, stub, FAST)
    stub.script(script)
    with pytest.raises((expected, Malformed) if script.lie else expected) as caught:
        await embedder.embed_array(["one", "two"])
    assert KEY not in caught.value.message
    assert (await embedder.embed_array(["one", "two"])).shape == (2, 6)
    await embedder.aclose()


async def test_a_server_that_hangs_is_given_up_and_one_that_limits_is_asked_again(stub: ModelStub) -> None:
    embedder = embedder_at("cohere", stub, Defaults(max_retries=2, timeout=0.3))
    stub.script(Script(hang=True))
    with pytest.raises(ProviderTimeout):
        await embedder.embed_array(["one"])
    assert len(stub.requests) == 1
    stub.script(Script(status=429, retry_after=0.01), times=2)
    assert (await embedder.embed_array(["one"])).shape == (1, 6)
    await embedder.aclose()


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("cohere", TextKind.QUERY, {"input_type": "search_query"}),
        ("cohere", TextKind.DOCUMENT, {"input_type": "search_document"}),
        ("voyage", TextKind.QUERY, {"input_type": "query"}),
        ("mistral", TextKind.DOCUMENT, {"model": "m", "input": ["a b"]}),
        ("azure", TextKind.DOCUMENT, {"input": ["a\nb"]}),
        ("ollama", TextKind.QUERY, {"model": "m", "input": ["a\nb"]}),
    ],
)
async def test_questions_and_passages_are_told_apart_where_the_provider_can(
    stub: ModelStub, name: str, kind: TextKind, expected: dict[str, Any]
) -> None:
    embedder = embedder_at(name, stub, FAST)
    await embedder.embed_array(["a\nb"], kind)
    assert expected.items() <= stub.requests[0].body.items()
    await embedder.aclose()


async def test_keys_go_by_the_providers_own_header(stub: ModelStub) -> None:
    for name, header in (("azure", "api-key"), ("google", "x-goog-api-key"), ("jina", "authorization")):
        embedder = embedder_at(name, stub, FAST)
        await embedder.embed_array(["a"])
        assert KEY in stub.requests[-1].headers[header]
        await embedder.aclose()


async def test_the_guard_stands_before_all_of_them(stub: ModelStub) -> None:
    closed = Defaults(egress=Egress(parse_allowed("")))
    for name in ENDPOINTS:
        field, path, credential = EMBEDDED_AT[name]
        embedder = create_embedder(name, {field: stub.root + path, "modelName": "m"}, credential, defaults=closed)
        with pytest.raises(RequestRefused, match="RAGSTONE_EGRESS_ALLOW"):
            await embedder.embed_array(["one"])
        await embedder.aclose()
    assert stub.requests == []


@pytest.mark.parametrize(
    ("name", "config", "credential", "host"),
    [
        ("azureOpenAIEmbeddings", {}, None, ""),
        ("azureOpenAIEmbeddings", {}, AZURE, "here.openai.azure.com"),
        ("azureOpenAIEmbeddings", {"basepath": "https://x.example/openai/deployments"}, AZURE, "x.example"),
        ("azureOpenAIEmbeddings", {}, {"azureOpenAIApiInstanceName": "https://y.azure.com/"}, "y.azure.com"),
        ("voyageAIEmbeddings", {}, None, ""),
        ("voyageAIEmbeddings", {}, {"apiKey": "k"}, "api.voyageai.com"),
        ("voyageAIEmbeddings", {}, {"endpoint": "https://v.example/v1/embeddings"}, "v.example"),
        ("cohereEmbeddings", {}, None, "api.cohere.com"),
        ("ollamaEmbedding", {}, None, "localhost"),
        ("mistralAIEmbeddings", {"overrideEndpoint": "https://m.example"}, None, "m.example"),
        ("openAIEmbedding_LlamaIndex", {}, None, "api.openai.com"),
    ],
)
def test_where_a_credential_is_sent_is_known_before(
    name: str, config: dict[str, str], credential: dict[str, str] | None, host: str
) -> None:
    assert destination(name, config, Defaults(), credential) == host


def test_what_cannot_do_without_an_address_or_a_model_says_so() -> None:
    with pytest.raises(RequestRefused, match="address"):
        create_embedder("azureOpenAIEmbeddings", {"modelName": "m"}, {})
    with pytest.raises(RequestRefused, match="modelName"):
        create_embedder("ollamaEmbedding", {})
