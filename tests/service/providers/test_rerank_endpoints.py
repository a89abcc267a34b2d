"""The HTTP rerankers: what they send, to whom, and what becomes of every way to fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from service.providers.defaults import Defaults
from service.providers.errors import (
    BadCredential,
    Malformed,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
)
from service.providers.rerank import create_reranker, destination
from service.providers.rerank.base import Reranker
from tests.stubs.openai_server import near
from tests.stubs.rerank_server import KEY, PATHS, RerankStub, Script

TEXTS = ["Leave is 30 days a year.", "The office opens at eight."]
FIELDS = {"cohere": "cohereApiKey", "jina": "jinaAIAPIKey", "voyage": "apiKey", "azure": "azureFoundryApiKey"}


@pytest.fixture(scope="module")
def _stub() -> Iterator[RerankStub]:
    with RerankStub() as server:
        yield server


@pytest.fixture
def stub(_stub: RerankStub) -> RerankStub:
    _stub.reset()
    return _stub


@pytest.fixture
async def defaults() -> AsyncIterator[Defaults]:
    made = replace(near(), max_retries=1, timeout=5.0)
    yield made
    await made.egress.close()


@pytest.fixture(params=sorted(PATHS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(name: str, stub: RerankStub, defaults: Defaults, key: str = KEY, **config: Any) -> Reranker:
    credential = {FIELDS[name]: key, "azureFoundryEndpoint": stub.url}
    return create_reranker(name, {"basePath": stub.base(name), **config}, credential, defaults=defaults)


async def test_the_better_text_has_the_better_score(name: str, stub: RerankStub, defaults: Defaults) -> None:
    scores = await made(name, stub, defaults).rank("When does the office open? It opens at", TEXTS)
    assert scores[1] > scores[0]
    (request,) = stub.requests
    assert request.path == PATHS[name]
    assert request.body["documents"] == TEXTS
    assert request.body["query"].startswith("When")
    assert request.body["model"]


async def test_fields_of_the_node_are_heeded(stub: RerankStub, defaults: Defaults) -> None:
    await made("cohere", stub, defaults, model="rerank-v4", maxChunksPerDoc="3").rank("office", TEXTS)
    assert stub.requests[-1].body["model"] == "rerank-v4"
    assert stub.requests[-1].body["max_tokens_per_doc"] == 3 * 512
    await made("azure", stub, defaults, model="Cohere-rerank-v4.0-pro").rank("office", TEXTS)
    assert stub.requests[-1].body["model"] == "Cohere-rerank-v4.0-pro"
    with pytest.raises(RequestRefused, match="maxChunksPerDoc"):
        await made("cohere", stub, defaults, maxChunksPerDoc="many").rank("office", TEXTS)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RequestRefused),
        (401, BadCredential),
        (402, BadCredential),
        (403, BadCredential),
        (404, RequestRefused),
        (408, ProviderTimeout),
        (422, RequestRefused),
        (429, RateLimited),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
        (504, ProviderTimeout),
    ],
)
async def test_every_status_has_its_error_and_no_key_is_shown(
    status: int, error: type[ProviderError], name: str, stub: RerankStub, defaults: Defaults
) -> None:
    defaults = replace(defaults, max_retries=0)
    stub.script(Script(status=status, said=f"no: {KEY}"))
    with pytest.raises(error) as caught:
        await made(name, stub, defaults).rank("office", TEXTS)
    assert KEY not in caught.value.message
    assert type(caught.value) is error
    assert len(stub.requests) == 1


async def test_a_short_pause_is_waited_for_and_a_long_one_is_told(
    name: str, stub: RerankStub, defaults: Defaults
) -> None:
    stub.script(Script(status=429, retry_after=0.01))
    assert len(await made(name, stub, defaults).rank("office", TEXTS)) == 2
    assert len(stub.requests) == 2
    stub.script(Script(status=429, retry_after=90))
    with pytest.raises(RateLimited) as caught:
        await made(name, stub, defaults).rank("office", TEXTS)
    assert caught.value.retry_after == 90
    assert caught.value.headers == {"Retry-After": "90"}
    assert len(stub.requests) == 3


async def test_a_failing_provider_is_tried_again(stub: RerankStub, defaults: Defaults) -> None:
    stub.script(Script(status=503))
    assert len(await made("jina", stub, defaults).rank("office", TEXTS)) == 2
    stub.script(Script(status=400))
    with pytest.raises(RequestRefused):
        await made("jina", stub, defaults).rank("office", TEXTS)
    assert len(stub.requests) == 3


BROKEN: list[tuple[Script, str]] = [
    (Script(body=b'{"results": [{"index"'), "not JSON"),
    (Script(body=b"{}"), "no list"),
    (Script(body=b"[]"), "no list"),
    (Script(body=b"null"), "no list"),
    (Script(body=b"[" * 100_000), "not JSON"),
    (Script(scores=[0.5]), "1 scores for 2 texts"),
    (Script(scores=[(0, 0.5), (0, 0.6)]), "scores text 0 twice"),
    (Script(scores=[0.5, 0.6, 0.7]), "was not sent"),
    (Script(scores=[(0, 0.5), (-1, 0.6)]), "was not sent"),
    (Script(scores=[(0, 0.5), ("1", 0.6)]), "was not sent"),
    (Script(scores=[(0, 0.5), (True, 0.6)]), "was not sent"),
    (Script(scores=[0.5, "high"]), "no number"),
    (Script(scores=[0.5, None]), "no number"),
    (Script(scores=[0.5, float("nan")]), "not finite"),
    (Script(scores=[0.5, float("inf")]), "not finite"),
    (Script(scores=[0.5, 10**400]), "not finite"),
    (Script(scores=[0.5, 7.25]), "rawScores"),
]


@pytest.mark.parametrize(("script", "said"), BROKEN, ids=[said for _, said in BROKEN])
async def test_answers_that_are_none_are_refused(
    script: Script, said: str, name: str, stub: RerankStub, defaults: Defaults
) -> None:
    stub.script(script)
    with pytest.raises(Malformed, match=said):
        await made(name, stub, defaults).rank("office", TEXTS)
    assert len(stub.requests) == 1


async def test_raw_outputs_come_onto_the_scale_in_their_order(stub: RerankStub, defaults: Defaults) -> None:
    stub.script(Script(scores=[-4.5, 7.25]))
    low, high = await made("jina", stub, defaults, rawScores=True).rank("office", TEXTS)
    assert 0 < low < 0.5 < high < 1
    stub.script(Script(scores=[-9e9, 9e9]))
    assert await made("jina", stub, defaults, rawScores="true").rank("office", TEXTS) == pytest.approx([0, 1])


async def test_a_silent_provider_is_given_up_and_not_asked_again(stub: RerankStub, defaults: Defaults) -> None:
    stub.script(Script(hang=True))
    with pytest.raises(ProviderTimeout):
        await made("voyage", stub, defaults, timeout=150).rank("office", TEXTS)
    assert len(stub.requests) == 1
    assert stub.requests[0].gone.wait(5)


async def test_a_cancelled_call_leaves_the_provider(name: str, stub: RerankStub, defaults: Defaults) -> None:
    stub.script(Script(hang=True))
    task = asyncio.ensure_future(made(name, stub, defaults).rank("office", TEXTS))
    await asyncio.to_thread(stub.wait_until_asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(stub.requests[0].gone.wait, 5)


async def test_nobody_is_there(defaults: Defaults) -> None:
    defaults = replace(defaults, max_retries=0)
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await create_reranker("jina", {"basePath": "http://127.0.0.1:1/v1"}, defaults=defaults).rank("office", TEXTS)


async def test_a_key_does_not_follow_a_redirect(stub: RerankStub, defaults: Defaults) -> None:
    with RerankStub() as other:
        stub.script(Script(status=307, location=f"{other.url}/v1/rerank"))
        with pytest.raises(Malformed, match="redirects"):
            await made("jina", stub, defaults).rank("office", TEXTS)
        assert other.requests == []


async def test_private_servers_are_not_called_unless_allowed(name: str, stub: RerankStub) -> None:
    with pytest.raises(RequestRefused, match="RAGSTONE_EGRESS_ALLOW"):
        await made(name, stub, Defaults()).rank("office", TEXTS)
    assert stub.requests == []


async def test_a_provider_needs_a_key_and_a_server_of_ones_own_does_not(
    name: str, stub: RerankStub, defaults: Defaults
) -> None:
    credential = {"azureFoundryEndpoint": stub.url}
    with pytest.raises(BadCredential, match="needs a key"):
        await create_reranker(name, {}, credential, defaults=defaults).rank("office", TEXTS)
    assert stub.requests == []
    stub.script(Script(body=json.dumps({"results": [{"index": 0, "relevance_score": 0.5}]}).encode()))
    await create_reranker("jina", {"basePath": stub.base("jina")}, defaults=defaults).rank("office", TEXTS[:1])
    assert "authorization" not in stub.requests[-1].headers


@pytest.mark.parametrize("endpoint", ["", "ftp://rank.example/x", "rank.example", "https://"])
def test_azure_needs_an_address(endpoint: str) -> None:
    with pytest.raises(RequestRefused, match="azureFoundryEndpoint"):
        create_reranker("azure", {}, {"azureFoundryApiKey": KEY, "azureFoundryEndpoint": endpoint})


async def test_azure_calls_an_address_with_a_path_as_it_stands(stub: RerankStub, defaults: Defaults) -> None:
    credential = {"azureFoundryApiKey": KEY, "azureFoundryEndpoint": f"{stub.url}/v2/own"}
    with pytest.raises(RequestRefused, match="404"):
        await create_reranker("azure", {}, credential, defaults=defaults).rank("office", TEXTS)
    assert stub.requests[-1].path == "/v2/own"


def test_the_destination_is_known_before_anything_is_sent() -> None:
    assert destination("cohereRerankRetriever", {}) == "api.cohere.com"
    assert destination("JinaRerankRetriever", {}) == "api.jina.ai"
    assert destination("voyageAIRerankRetriever", {}) == "api.voyageai.com"
    assert destination("jina", {"basePath": "http://rank.example:8100/v1"}) == "rank.example"
    assert destination("jina", {"basePath": "rank.example"}) == ""
    assert destination("AzureRerankRetriever", {}, {"azureFoundryEndpoint": "https://a.example/x"}) == "a.example"
    assert destination("azure", {}) == ""
    assert destination("sentence_transformers", {}) is None
