"""An OpenAI-compatible endpoint that fails and lies: every failure becomes one of ours, no bad vector passes."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from service.providers.defaults import Defaults
from service.providers.embedding import create_embedder
from service.providers.embedding.base import Embedder
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
from tests.stubs.openai_server import KEY, Lie, OpenAIStub, Script, near

FAST = Defaults(max_retries=0, timeout=5.0)


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIStub]:
    with OpenAIStub() as stub:
        yield stub


@pytest.fixture
def stub(server: OpenAIStub) -> OpenAIStub:
    server.reset()
    return server


def make(stub: OpenAIStub, defaults: Defaults = FAST, **config: Any) -> Embedder:
    fields = {"basepath": stub.url, "modelName": "embed-1"} | config
    return create_embedder("openAIEmbeddings", fields, {"openAIApiKey": KEY}, defaults=near(defaults))


@pytest.fixture
async def embedder(stub: OpenAIStub) -> AsyncIterator[Embedder]:
    made = make(stub)
    yield made
    await made.aclose()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (Script(status=401), BadCredential),
        (Script(status=403), BadCredential),
        (Script(status=429, retry_after=7), RateLimited),
        (Script(status=429, error_code="insufficient_quota"), BadCredential),
        (Script(status=500), ProviderUnavailable),
        (Script(status=400), RequestRefused),
        (Script(status=404), RequestRefused),
        (Script(lie=Lie.NOT_JSON), Malformed),
        (Script(lie=Lie.EMPTY_OBJECT), Malformed),
        (Script(lie=Lie.WRONG_COUNT), WrongShape),
        (Script(lie=Lie.UNEVEN), WrongShape),
        (Script(lie=Lie.NAN), WrongShape),
        (Script(lie=Lie.NAN, base64_allowed=False), WrongShape),
        (Script(lie=Lie.ZERO), WrongShape),
    ],
)
async def test_failures_become_ours_and_never_show_the_key(
    stub: OpenAIStub, embedder: Embedder, script: Script, expected: type[ProviderError]
) -> None:
    stub.script(script)
    with pytest.raises(expected) as caught:
        await embedder.embed_array(["one", "two"])
    assert KEY not in caught.value.message
    assert (await embedder.embed_array(["one"])).shape == (1, 8)


async def test_another_dimension_than_before_is_refused(stub: OpenAIStub, embedder: Embedder) -> None:
    await embedder.fingerprint()
    stub.script(Script(lie=Lie.WRONG_DIMENSION))
    with pytest.raises(WrongShape, match="9 dimensions, expected 8"):
        await embedder.embed_array(["one"])


async def test_the_wait_that_the_provider_asks_for_is_passed_on(stub: OpenAIStub, embedder: Embedder) -> None:
    stub.script(Script(status=429, retry_after=42))
    with pytest.raises(RateLimited) as caught:
        await embedder.embed_array(["one"])
    assert caught.value.retry_after == 42
    assert caught.value.headers == {"Retry-After": "42"}


async def test_transient_failures_are_tried_again_as_often_as_allowed(stub: OpenAIStub) -> None:
    embedder = make(stub, Defaults(max_retries=2))
    stub.script(Script(status=429, retry_after=0.01), times=2)
    assert (await embedder.embed_array(["one"])).shape == (1, 8)
    assert len(stub.requests) == 3
    stub.script(Script(status=503, retry_after=0.01), times=1)
    stub.script(Script(status=429, retry_after=0.01), times=2)
    with pytest.raises(RateLimited):
        await embedder.embed_array(["one"])
    await embedder.aclose()


async def test_a_long_wait_is_not_waited_for(stub: OpenAIStub) -> None:
    embedder = make(stub, Defaults(max_retries=2))
    stub.script(Script(status=429, retry_after=3600), times=None)
    with pytest.raises(RateLimited):
        await embedder.embed_array(["one"])
    assert len(stub.requests) == 1
    await embedder.aclose()


async def test_a_server_that_hangs_is_given_up_at_once(stub: OpenAIStub) -> None:
    embedder = make(stub, Defaults(max_retries=2), timeout="200")
    stub.script(Script(hang=True), times=None)
    with pytest.raises(ProviderTimeout):
        await embedder.embed_array(["one"])
    assert len(stub.requests) == 1
    await embedder.aclose()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    embedder = create_embedder(
        "localAIEmbeddings", {"basePath": "http://127.0.0.1:9/v1", "modelName": "m"}, defaults=near(FAST)
    )
    with pytest.raises(ProviderUnavailable):
        await embedder.embed_array(["one"])
    await embedder.aclose()


async def test_lists_and_base64_and_any_order_give_the_same_vectors(stub: OpenAIStub, embedder: Embedder) -> None:
    packed = await embedder.embed_array(["one", "two", "three"])
    stub.script(Script(base64_allowed=False))
    assert np.allclose(packed, await embedder.embed_array(["one", "two", "three"]), atol=1e-6)
    stub.script(Script(lie=Lie.SHUFFLED))
    assert np.allclose(packed, await embedder.embed_array(["one", "two", "three"]), atol=1e-6)


async def test_texts_go_out_as_they_are_in_batches_with_the_options_of_the_node(stub: OpenAIStub) -> None:
    embedder = make(stub, batchSize=2, dimensions="5", stripNewLines=True, baseOptions='{"X-Team": "blue"}')
    vectors = await embedder.embed_array(["one\ntwo", "b", ""])
    assert vectors.shape == (3, 5)
    assert [request.body["input"] for request in stub.requests] == [["one two", "b"], ["."]]
    first = stub.requests[0]
    assert (first.body["model"], first.body["dimensions"]) == ("embed-1", 5)
    assert (first.headers["authorization"], first.headers["x-team"]) == (f"Bearer {KEY}", "blue")
    await embedder.aclose()


async def test_the_key_of_the_settings_goes_only_to_the_server_of_the_settings(stub: OpenAIStub) -> None:
    defaults = Defaults(openai_api_key="sk-settings", openai_base_url=stub.url)
    for config in ({}, {"basepath": stub.url}, {"basepath": stub.url + "/"}):
        embedder = create_embedder("openAIEmbeddings", config, defaults=near(defaults))
        await embedder.embed_array(["one"])
        await embedder.aclose()
    keys = [request.headers["authorization"] for request in stub.requests]
    assert keys == ["Bearer sk-settings", "Bearer sk-settings", "Bearer none"]
