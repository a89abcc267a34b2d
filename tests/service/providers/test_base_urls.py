"""A base URL of a flow reaches public servers and those that the operator allows, and no key goes elsewhere (S17)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from langchain_core.messages import HumanMessage

from service.egress.addresses import parse_allowed
from service.egress.client import Egress
from service.providers.chat import create_chat_model
from service.providers.chat.base import close_chat_model
from service.providers.defaults import Defaults
from service.providers.embedding import create_embedder
from service.providers.errors import ProviderError, RequestRefused
from tests.stubs.openai_server import OpenAIStub
from tests.stubs.web_site import Answer, WebSite, moved

KEY = {"openAIApiKey": "sk-canary-of-the-flow"}
QUESTION = [HumanMessage("Hello?")]


@pytest.fixture
async def canary() -> AsyncIterator[WebSite]:
    """A server of the private network."""
    async with WebSite() as site:
        yield site


async def test_chat_models_do_not_call_private_servers(canary: WebSite) -> None:
    model = create_chat_model("chatOpenAI", {"basepath": f"{canary.url}/v1"}, KEY)
    remedy = f"RAGSTONE_EGRESS_ALLOW=127.0.0.1:{canary.port}"
    with pytest.raises(RequestRefused, match=remedy):
        await model.ainvoke(QUESTION)
    with pytest.raises(RequestRefused, match=remedy):
        await anext(model.astream(QUESTION))
    with pytest.raises(RequestRefused, match=remedy):
        await asyncio.to_thread(model.invoke, QUESTION)
    with pytest.raises(RequestRefused, match=remedy):
        await asyncio.to_thread(lambda: next(model.stream(QUESTION)))
    await close_chat_model(model)
    assert canary.connections == 0


async def test_embedders_do_not_call_private_servers(canary: WebSite) -> None:
    for host in ("127.0.0.1", "2130706433", "localhost", "[::ffff:127.0.0.1]"):
        config = {"basepath": f"http://{host}:{canary.port}/v1", "modelName": "m"}
        embedder = create_embedder("openAIEmbeddings", config, KEY)
        with pytest.raises(RequestRefused, match="no public address"):
            await embedder.embed_array(["one"])
        with pytest.raises(RequestRefused, match="no public address"):
            await asyncio.to_thread(embedder.embed_documents, ["one"])
        await embedder.aclose()
    assert canary.connections == 0


async def test_a_server_of_a_flow_cannot_send_the_key_on(canary: WebSite) -> None:
    async with WebSite() as server:
        for path in ("/v1/chat/completions", "/v1/embeddings"):
            server[path] = moved(f"{canary.url}{path}", 307)
        allowed = Defaults(max_retries=0, egress=Egress(parse_allowed("127.0.0.1")))
        model = create_chat_model("chatOpenAI", {"basepath": f"{server.url}/v1"}, KEY, defaults=allowed)
        with pytest.raises(ProviderError):
            await model.ainvoke(QUESTION)
        await close_chat_model(model)
        embedder = create_embedder("openAIEmbeddings", {"basepath": f"{server.url}/v1"}, KEY, defaults=allowed)
        with pytest.raises(ProviderError):
            await embedder.embed_array(["one"])
        await embedder.aclose()
        assert len(server.requests) == 2
    assert canary.connections == 0


async def test_a_packed_answer_is_not_unpacked(canary: WebSite) -> None:
    canary["/v1/embeddings"] = Answer(b"x" * 10, mime="application/json", headers={"Content-Encoding": "gzip"})
    allowed = Defaults(max_retries=0, egress=Egress(parse_allowed("127.0.0.1")))
    embedder = create_embedder("openAIEmbeddings", {"basepath": f"{canary.url}/v1"}, KEY, defaults=allowed)
    with pytest.raises(ProviderError, match="packs its answer"):
        await embedder.embed_array(["one"])
    await embedder.aclose()


async def test_providers_share_connections() -> None:
    with OpenAIStub() as stub:
        defaults = Defaults(egress=Egress(parse_allowed("127.0.0.1")))
        models = [create_chat_model("chatOpenAI", {"basepath": stub.url}, KEY, defaults=defaults) for _ in range(5)]
        for model in models:
            assert (await model.ainvoke(QUESTION)).text
        pool = defaults.egress._pool
        assert pool is not None
        assert len(pool.connections) == 1
        for model in models:
            await close_chat_model(model)
        assert defaults.egress._pool is None
