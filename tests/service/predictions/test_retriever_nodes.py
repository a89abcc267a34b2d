"""Flowise's retriever nodes over a real document store: saved, asked over HTTP, with models that keep what they get."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.chatflows.elsewhere import RETRIEVERS
from service.chatflows.graph import parse
from service.chatflows.steps import STEPS
from service.worker.runner import Runner
from tests.service.chatflows.flows import edge, graph, node, openai
from tests.service.document_stores.conftest import settings, worker  # noqa: F401  # fixtures
from tests.stubs.openai_server import OpenAIStub, Script
from tests.stubs.rerank_server import KEY, RerankStub
from tests.stubs.rerank_server import Script as Ranking

API = "/api/v1"
TOPICS = {
    "leave.md": "Every employee has 30 days of paid leave a year. The canteen is on the second floor.",
    "hours.md": "The office in Bergen opens at eight o'clock. It closes at five.",
    "travel.md": "Train tickets are booked by the travel desk. Flights need the consent of a manager.",
    "security.md": "Passwords have at least fourteen characters. Visitors wear a badge.",
}
QUESTION = "When does the office in Bergen open?"
FIELDS = {"cohere": "cohereApi", "Jina": "jinaAIApi", "voyageAI": "voyageAIApi", "Azure": "azureFoundryApi"}


@pytest.fixture(scope="module")
def _ranker() -> Iterator[RerankStub]:
    with RerankStub() as stub:
        yield stub


@dataclass(frozen=True, slots=True)
class Desk:
    """A document store of four short documents, and the models."""

    client: httpx.AsyncClient
    store: str
    stub: OpenAIStub
    ranker: RerankStub

    async def flow(self, nodes: Sequence[dict[str, Any]], edges: Sequence[dict[str, Any]], *, k: int = 4) -> str:
        """A saved flow of a store `s`, what stands between, and a chain `c` that lists what was found."""
        inputs = {"selectedStore": self.store, "topK": str(k)}
        every = [
            node("s", "documentStoreVS", "Vector Stores", inputs, outputs={"output": "retriever"}),
            openai(self.stub.url),
            *nodes,
            node("c", "conversationalRetrievalQAChain", "Chains", {"returnSourceDocuments": True}),
        ]
        links = [*edges, edge("chatOpenAI_0", "c", "model")]
        body = {"name": "Flow", "type": "CHATFLOW", "flowData": graph(every, links)}
        response = await self.client.post(f"{API}/chatflows", json=body)
        assert response.status_code == 200, response.text
        stored = parse(response.json()["flowData"])
        assert {item["id"] for item in nodes} <= set(stored.nodes)
        return str(response.json()["id"])

    async def over(
        self, name: str, inputs: Mapping[str, Any] | None = None, *, k: int = 4, anchor: str = "", **data: Any
    ) -> str:
        """A saved flow with one retriever node over the store."""
        below = anchor or ("baseRetriever" if name in OVER_RETRIEVERS else "vectorStore")
        edges = [edge("s", "r", below), edge("r", "c", "vectorStoreRetriever")]
        if name in WITH_MODEL:
            edges.append(edge("chatOpenAI_0", "r", "model"))
        return await self.flow([node("r", name, "Retrievers", inputs, **data)], edges, k=k)

    async def ask(self, flow: str, question: str = QUESTION, status: int = 200, **body: Any) -> dict[str, Any]:
        """The answer, or the error."""
        response = await self.client.post(f"{API}/prediction/{flow}", json={"question": question, **body}, timeout=60)
        assert response.status_code == status, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def found(self, flow: str, question: str = QUESTION, **body: Any) -> list[str]:
        """The files of the sources, in their order."""
        answer = await self.ask(flow, question, **body)
        return [name_of(item) for item in answer["sourceDocuments"]]

    async def credential(self, component: str, **values: str) -> str:
        """The id of a saved credential."""
        body = {"name": component, "credentialName": component, "plainDataObj": values}
        response = await self.client.post(f"{API}/credentials", json=body)
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def says(self, *answers: str) -> None:
        """What the model says, in turn; at last the answer."""
        self.stub.reset()
        for answer in answers:
            self.stub.script(Script(reply=answer))

    def told(self, index: int = 0) -> str:
        """All that a request to the model said."""
        return "\n".join(message["content"] for message in self.stub.requests[index].body["messages"])


OVER_RETRIEVERS = {
    "RRFRetriever",
    "llmFilterRetriever",
    "embeddingsFilterRetriever",
    "cohereRerankRetriever",
    "JinaRerankRetriever",
    "voyageAIRerankRetriever",
    "AzureRerankRetriever",
}
WITH_MODEL = {
    "multiQueryRetriever",
    "RRFRetriever",
    "HydeRetriever",
    "llmFilterRetriever",
    "extractMetadataRetriever",
}


def name_of(source: Mapping[str, Any]) -> str:
    """The file of a source."""
    return str(source["metadata"]["source"]).rpartition("/")[2]


@pytest.fixture
async def empty(client: httpx.AsyncClient, stub: OpenAIStub, _ranker: RerankStub) -> Desk:
    """Without documents: for what is refused before anything is searched."""
    store = (await client.post(f"{API}/document-store/store", json={"name": "Handbook"})).json()["id"]
    _ranker.reset()
    return Desk(client, store, stub, _ranker)


@pytest.fixture
async def desk(empty: Desk, worker: Runner) -> Desk:  # noqa: F811
    """With its documents."""

    async def upsert(name: str, year: int) -> None:
        data = {"metadata": json.dumps({"year": year, "topic": name.partition(".")[0]})}
        files = {"files": (name, TOPICS[name].encode(), "text/markdown")}
        url = f"{API}/document-store/upsert/{empty.store}"
        answer = await empty.client.post(url, files=files, data=data, timeout=60)
        assert answer.status_code == 200, answer.text

    await asyncio.gather(*(upsert(name, 2020 + number) for number, name in enumerate(TOPICS)))
    return empty


async def test_questions_in_other_words_find_more(desk: Desk) -> None:
    for name, inputs in (
        ("multiQueryRetriever", {"modelPrompt": "Vary three times: {question}"}),
        ("multiQueryRetriever", {}),
        ("RRFRetriever", {"queryCount": "2", "topK": "2", "c": "10"}),
    ):
        flow = await desk.over(name, inputs, k=2)
        desk.says("Who books train tickets?\nWho consents to flights?", "Done.")
        assert "travel.md" in await desk.found(flow), name
        assert QUESTION in desk.told()
        assert desk.told(1).index("travel desk") > 0, "the chain's model sees what was found"
    desk.says("", "Done.")
    assert await desk.found(flow) == ["hours.md", await _second(desk, flow)], "a model that says nothing costs nothing"


async def _second(desk: Desk, flow: str) -> str:
    desk.says("", "Done.")
    return (await desk.found(flow))[1]


async def test_a_passage_as_an_answer_might_be_worded_is_searched_for(desk: Desk) -> None:
    flow = await desk.over("HydeRetriever", {"promptKey": "fiqa", "topK": "1"})
    desk.says("The travel desk books train tickets; managers consent to flights.", "Done.")
    assert await desk.found(flow, "What do I do before a business trip?") == ["travel.md"]
    assert "a financial article" in desk.told()
    flow = await desk.over("HydeRetriever", {"customPrompt": "Imagine an answer.", "topK": 1})
    desk.says("The office opens at eight.", "Done.")
    await desk.found(flow, "Opening?")
    assert desk.told() == "Imagine an answer.\n\nOpening?"


async def test_what_is_not_near_enough_is_left_out(desk: Desk) -> None:
    assert await desk.found(await desk.over("similarityThresholdRetriever", {"minSimilarityScore": "40"})) == [
        "hours.md"
    ]
    none = await desk.over("similarityThresholdRetriever", {"minSimilarityScore": 99})
    assert await desk.found(none) == []
    every = await desk.over("similarityThresholdRetriever", {"minSimilarityScore": "-100", "maxK": "3"})
    assert len(await desk.found(every)) == 3
    near = await desk.over("embeddingsFilterRetriever", {"similarityThreshold": "0.4"})
    assert await desk.found(near) == ["hours.md"]
    few = await desk.over("embeddingsFilterRetriever", {"similarityThreshold": "-1", "k": "2"})
    assert len(await desk.found(few)) == 2


async def test_an_embedder_of_its_own_measures_the_filter(desk: Desk) -> None:
    embeddings = node("e", "openAIEmbeddingsCustom", "Embeddings", {"basepath": desk.stub.url, "modelName": "m"})
    retriever = node("r", "embeddingsFilterRetriever", "Retrievers", {"similarityThreshold": "-1", "k": "20"})
    edges = [edge("s", "r", "baseRetriever"), edge("e", "r", "embeddings"), edge("r", "c", "vectorStoreRetriever")]
    flow = await desk.flow([embeddings, retriever], edges)
    desk.stub.reset()
    assert len(await desk.found(flow)) == 4
    sent = [request for request in desk.stub.requests if request.path.endswith("/embeddings")]
    assert [len(request.body["input"]) for request in sent] == [1, 4]


async def test_a_model_chooses_the_sentences_that_are_read(desk: Desk) -> None:
    flow = await desk.over("llmFilterRetriever", k=1)
    desk.says("1", "Done.")
    answer = await desk.ask(flow)
    assert [item["pageContent"] for item in answer["sourceDocuments"]] == [
        "The office in Bergen opens at eight o'clock."
    ]
    assert "closes at five" in desk.told(0)
    assert "closes at five" not in desk.told(1)


RERANKERS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "cohereRerankRetriever": ("cohere", "cohereApi", "cohereApiKey", {"topK": "1", "maxChunksPerDoc": "2"}),
    "JinaRerankRetriever": ("jina", "jinaAIApi", "jinaAIAPIKey", {"topN": "1"}),
    "voyageAIRerankRetriever": ("voyage", "voyageAIApi", "apiKey", {"topK": 1}),
    "AzureRerankRetriever": ("azure", "azureFoundryApi", "azureFoundryApiKey", {"topK": 1}),
}


async def test_rerankers_order_what_was_found_and_see_their_key(desk: Desk) -> None:
    for name, (dialect, component, field, inputs) in RERANKERS.items():
        values = {field: KEY, "allowedHosts": "127.0.0.1"}
        if name == "AzureRerankRetriever":
            values["azureFoundryEndpoint"] = desk.ranker.url
        credential = await desk.credential(component, **values)
        flow = await desk.over(name, {**inputs, "basePath": desk.ranker.base(dialect)}, credential=credential)
        desk.ranker.reset()
        desk.ranker.script(Ranking(scores=[0.1, 0.2, 0.9, 0.3]))
        answer = await desk.ask(flow)
        (request,) = desk.ranker.requests
        assert request.body["query"] == QUESTION
        assert len(request.body["documents"]) == 4
        (source,) = answer["sourceDocuments"]
        assert source["pageContent"] in request.body["documents"][2]
        assert source["metadata"]["score"] == pytest.approx(0.9)


async def test_a_rerankers_failure_is_the_questions(desk: Desk) -> None:
    credential = await desk.credential("jinaAIApi", jinaAIAPIKey=KEY, allowedHosts="127.0.0.1")
    flow = await desk.over("JinaRerankRetriever", {"basePath": desk.ranker.base("jina")}, credential=credential)
    desk.ranker.script(Ranking(status=429, retry_after=60, said=f"slow down, {KEY}"))
    error = await desk.ask(flow, status=429)
    assert error["code"] == "provider_rate_limited"
    assert KEY not in json.dumps(error)
    desk.ranker.script(Ranking(scores=[0.5]))
    error = await desk.ask(flow, status=502)
    assert "1 scores for 4 texts" in error["message"]


async def test_a_key_goes_to_its_hosts_only(empty: Desk) -> None:
    for name, (dialect, component, field, _) in RERANKERS.items():
        if name == "AzureRerankRetriever":
            values = {field: KEY, "azureFoundryEndpoint": empty.ranker.url, "allowedHosts": "rank.example"}
        else:
            values = {field: KEY}  # its provider's own hosts
        credential = await empty.credential(component, **values)
        flow = await empty.over(name, {"basePath": empty.ranker.base(dialect)}, credential=credential)
        error = await empty.ask(flow, status=403)
        assert error["code"] == "host_not_allowed"
        assert KEY not in json.dumps(error)
    assert empty.ranker.requests == []


async def test_a_reranker_without_a_credential_names_the_node_and_the_kind(empty: Desk) -> None:
    for name, (_, component, _, _) in RERANKERS.items():
        error = await empty.ask(await empty.over(name), status=422)
        assert f"one of type {component}" in error["message"]
        assert "(r)" in error["message"]
    gone = await empty.over("cohereRerankRetriever", credential=str(UUID(int=7)))
    assert "does not exist here" in (await empty.ask(gone, status=422))["message"]


async def test_passages_are_written_in_a_form_and_names_change_nothing(desk: Desk) -> None:
    form = "{{metadata.year}}: {{context}} [{{metadata.topic}}{{metadata.nothing}}]"
    flow = await desk.over("customRetriever", {"resultFormat": form, "topK": "1"})
    answer = await desk.ask(flow)
    assert answer["sourceDocuments"][0]["pageContent"] == f"2021: {TOPICS['hours.md']} [hours{{{{metadata.nothing}}}}]"
    flow = await desk.over("vectorStoreRetriever", {"name": "Rules", "description": "House rules"}, k=1)
    assert await desk.found(flow) == ["hours.md"]


async def test_a_model_reads_the_filter_from_the_question_and_no_more_than_was_listed(desk: Desk) -> None:
    grid = [
        {"key": "year", "type": "Number", "description": "Year of the rule"},
        {"key": "topic", "type": "Enum", "enumValues": "leave, hours, travel"},
    ]
    inputs = {"dynamicMetadataFilterRetrieverStructuredOutput": json.dumps(grid), "topK": "4"}
    flow = await desk.over("extractMetadataRetriever", inputs)
    desk.says('Sure: {"year": 2022, "source": {"$ne": 1}}', "Done.")
    assert await desk.found(flow) == ["travel.md"]
    assert "- topic: one of leave, hours, travel." in desk.told()
    desk.says('{"year": "2022", "topic": "secrets"}', "Done.")
    assert len(await desk.found(flow)) == 4, "values of other types, and values that are not listed, are none"
    desk.says('{"topic": "leave"}', "Done.")
    assert await desk.found(flow) == ["leave.md"]
    error = await desk.ask(await desk.over("extractMetadataRetriever"), status=422)
    assert "dynamicMetadataFilterRetrieverStructuredOutput" in error["message"]


async def test_retrievers_compose_and_each_model_call_is_counted(desk: Desk) -> None:
    nodes = [
        node("q", "multiQueryRetriever", "Retrievers"),
        node("j", "JinaRerankRetriever", "Retrievers", {"topN": 3, "basePath": desk.ranker.base("jina")}),
        node("l", "llmFilterRetriever", "Retrievers"),
    ]
    nodes[1]["data"]["credential"] = await desk.credential("jinaAIApi", jinaAIAPIKey=KEY, allowedHosts="127.0.0.1")
    edges = [
        edge("s", "q", "vectorStore"),
        edge("chatOpenAI_0", "q", "model"),
        edge("q", "j", "baseRetriever"),
        edge("j", "l", "baseRetriever"),
        edge("chatOpenAI_0", "l", "model"),
        edge("l", "c", "vectorStoreRetriever"),
    ]
    flow = await desk.flow(nodes, edges)
    desk.says("Who books train tickets?", "1, 2, 3, 4, 5, 6", "Done.")
    answer = await desk.ask(flow)
    assert len(desk.ranker.requests[0].body["documents"]) == 4
    assert len(answer["sourceDocuments"]) == 3
    assert len(desk.stub.requests) == 3


async def test_a_store_that_the_flow_fills_is_searched_through_a_retriever(
    empty: Desk,
    worker: Runner,  # noqa: F811
) -> None:
    nodes = [
        node("p", "plainText", "Document Loaders", {"text": TOPICS["hours.md"]}),
        node("e", "openAIEmbeddings", "Embeddings", {"basepath": empty.stub.url, "modelName": "m"}),
        node("m", "memoryVectorStore", "Vector Stores", outputs={"output": "vectorStore"}),
        node("r", "JinaRerankRetriever", "Retrievers", {"basePath": empty.ranker.base("jina")}),
        node("f", "embeddingsFilterRetriever", "Retrievers", {"similarityThreshold": "-1"}),
    ]
    key = await empty.credential("openAIApi", openAIApiKey="sk-0", allowedHosts="127.0.0.1")
    nodes[1]["data"]["credential"] = key
    nodes[3]["data"]["credential"] = await empty.credential("jinaAIApi", jinaAIAPIKey=KEY, allowedHosts="127.0.0.1")
    edges = [
        edge("p", "m", "document"),
        edge("e", "m", "embeddings"),
        edge("e", "f", "embeddings"),
        edge("m", "f", "baseRetriever"),
        edge("f", "r", "baseRetriever"),
        edge("r", "c", "vectorStoreRetriever"),
    ]
    flow = await empty.flow(nodes, edges)
    empty.stub.reset()
    upserted = await empty.client.post(f"{API}/vector/upsert/{flow}", json={}, timeout=60)
    assert upserted.status_code in (200, 201), upserted.text
    answer = await empty.ask(flow)
    assert [item["pageContent"] for item in answer["sourceDocuments"]] == [TOPICS["hours.md"]]
    assert len(empty.ranker.requests) == 1


async def test_retrievers_need_a_model_that_writes(empty: Desk) -> None:
    for name in WITH_MODEL:
        retriever = node("r", name, "Retrievers")
        below = "baseRetriever" if name in OVER_RETRIEVERS else "vectorStore"
        flow = await empty.flow([retriever], [edge("s", "r", below), edge("r", "c", "vectorStoreRetriever")])
        error = await empty.ask(flow, status=422)
        assert "needs a chat model that writes" in error["message"], name


async def test_bad_fields_and_wrong_outputs_are_named(empty: Desk) -> None:
    error = await empty.ask(await empty.over("RRFRetriever", {"queryCount": "many"}), status=422)
    assert "queryCount" in error["message"]
    error = await empty.ask(await empty.over("customRetriever", outputs={"output": "text"}), status=422)
    assert "cannot take the output 'text'" in error["message"]
    prompt = node("r", "promptRetriever", "Retrievers", {"name": "n"})
    error = await empty.ask(await empty.flow([prompt], [edge("r", "c", "vectorStoreRetriever")]), status=422)
    assert "cannot take" in error["message"]


async def test_what_searches_elsewhere_names_what_to_use_here(empty: Desk) -> None:
    for name in RETRIEVERS:
        retriever = node("r", name, "Retrievers")
        flow = await empty.flow([retriever], [edge("r", "c", "vectorStoreRetriever")])
        assert "documentStoreVS" in (await empty.ask(flow, status=422))["message"]


def test_every_retriever_of_the_contract_is_a_step_or_named() -> None:
    contract = {
        "awsBedrockKBRetriever AzureRerankRetriever cohereRerankRetriever customRetriever embeddingsFilterRetriever"
        " extractMetadataRetriever HydeRetriever JinaRerankRetriever llmFilterRetriever multiQueryRetriever"
        " promptRetriever RRFRetriever similarityThresholdRetriever vectorStoreRetriever voyageAIRerankRetriever"
    }.pop()
    assert set(contract.split()) <= {*STEPS, *RETRIEVERS}
