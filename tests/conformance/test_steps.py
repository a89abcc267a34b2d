"""Every step of the table: describes itself, reads its options as Flowise writes them, names what it cannot read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic_core import PydanticUndefined

from service.chatflows.engine import compile_flow
from service.chatflows.graph import Node, parse
from service.chatflows.run import Backing, Quoted, Run, StoredTool
from service.chatflows.steps import STEPS
from service.chatflows.steps.agents import AgentStep
from service.chatflows.steps.base import (
    Anchor,
    BadOption,
    EndingStep,
    MemoryStep,
    ModelStep,
    ModerationStep,
    RetrieverStep,
    Step,
)
from service.chatflows.steps.choices import MultiPrompt, MultiRetrievalQA
from service.chatflows.steps.embeddings import EmbeddingsStep
from service.chatflows.steps.engines import Engine, QueryEngineTool
from service.chatflows.steps.parsers import ParserStep
from service.chatflows.steps.prompt_template import FewShotPromptTemplate, PromptStep
from service.chatflows.steps.retrieval_qa import VectorDbQA
from service.chatflows.steps.retriever_filters import EmbeddingsFilterRetriever
from service.chatflows.steps.retriever_formats import PromptRetriever, VectorStoreRetriever
from service.chatflows.steps.retriever_rerank import RerankRetriever
from service.chatflows.steps.retrievers import OverRetriever
from service.chatflows.steps.summary_memory import Summing
from service.chatflows.steps.synthesizers import Synthesizer
from service.chatflows.steps.tool import ToolStep
from service.chatflows.steps.tool_search import SearchStep
from service.chatflows.steps.vector_store import VectorStore
from service.chatflows.types import Passage, Sources, Token
from service.plugins import resolve
from tests.service.chatflows.flows import edge, graph, node, rag

STORE, CREDENTIAL, FLOW = uuid4(), uuid4(), uuid4()
HERE = "http://127.0.0.1:1/v1"
API_DOCUMENT = f"servers: [{{url: '{HERE}'}}]\npaths: {{/a: {{get: {{}}}}}}"
SAMPLES: dict[str, Any] = {
    "selectedStore": str(STORE),
    "selectedChatflow": str(FLOW),
    "selectedAgentflow": str(FLOW),
    "selectedTool": str(FLOW),
    "requestsDeleteUrl": HERE,
    "requestsPostUrl": HERE,
    "requestsPutUrl": HERE,
    "yamlFile": API_DOCUMENT,
}
"""Values of the options that must be given."""


@pytest.fixture(params=sorted(STEPS))
def name(request: pytest.FixtureRequest) -> str:
    """A node name."""
    return str(request.param)


@pytest.fixture
def step(name: str) -> type[Step]:
    """Its step."""
    found: type[Step] = resolve(STEPS, name, "node")
    return found


def of(name: str, inputs: Mapping[str, Any]) -> Node:
    """A node of the graph."""
    return Node("n_0", name, "My node", "", inputs, "", "")


def fields(step: type[Step]) -> dict[str, Any]:
    """Option names, as exports write them, with a value for each."""
    found = {}
    for item in step.Options.model_fields.values():
        assert item.alias
        default = item.get_default(call_default_factory=True)
        if item.alias in SAMPLES:
            found[item.alias] = SAMPLES[item.alias]
        elif default is not PydanticUndefined and default is not None:
            found[item.alias] = default
    return found


def test_it_describes_itself_as_a_form(name: str, step: type[Step]) -> None:
    form = step.form(name)
    assert form["name"] == name
    assert form["label"]
    assert form["category"]
    assert form["description"].endswith(".")
    assert form["baseClasses"]
    names = [item["name"] for item in form["inputs"]]
    assert len(names) == len(set(names))
    for item in form["inputs"]:
        assert item["label"]
        assert item["type"]
    json.dumps(form)


def test_its_options_have_a_schema(step: type[Step]) -> None:
    schema = step.Options.model_json_schema()
    assert schema["type"] == "object"
    assert all("_" not in field for field in schema.get("properties", {}))


def test_options_round_trip_also_as_texts(step: type[Step]) -> None:
    given = fields(step)
    read = step.Options.model_validate(given)
    written = read.model_dump(by_alias=True, mode="json")
    assert step.Options.model_validate(written) == read
    texts = {key: json.dumps(value) if isinstance(value, bool | int | float) else value for key, value in given.items()}
    assert step.Options.model_validate(texts) == read


def test_empty_texts_and_unknown_fields_count_as_not_given(step: type[Step]) -> None:
    required = {key: value for key, value in fields(step).items() if key in SAMPLES}
    empty: dict[str, Any] = {
        str(item.alias): "" for item in step.Options.model_fields.values() if item.alias not in required
    }
    given: dict[str, Any] = {**required, **empty, "somethingElse": {"a": 1}}
    assert step.Options.model_validate(given) == step.Options.model_validate(required)


def test_blanks_count_as_not_given_where_a_field_is_no_text(step: type[Step]) -> None:
    required = {key: value for key, value in fields(step).items() if key in SAMPLES}
    kinds = {item["name"]: item["type"] for item in step.form("x")["inputs"]}
    blank = {
        str(item.alias): " "
        for item in step.Options.model_fields.values()
        if item.alias not in required and kinds[str(item.alias)] != "string"
    }
    assert step.Options.model_validate({**required, **blank}) == step.Options.model_validate(required)


def test_a_bad_option_names_its_field(name: str, step: type[Step]) -> None:
    for item in step.Options.model_fields.values():
        if item.alias is None:
            continue
        with pytest.raises(BadOption, match=item.alias):
            step.build(of(name, {**fields(step), item.alias: [object()]}), {})


PASSAGES = (Passage("1", "Leave is 30 days.", {"source": "a"}, 0.9), Passage("2", "Doors open at 8.", {}, 0.5))


SEARCH_KEYS = (
    "braveApiKey", "exaSearchApiKey", "googleCustomSearchApiKey", "searchApiKey", "serpApiKey", "serperApiKey",
    "tavilyApiKey", "wolframAlphaAppId",
)  # fmt: skip


class Library:
    """What steps are lent here."""

    async def search(self, workspace: UUID, store: UUID, question: str, *, k: int, **asked: Any) -> Sequence[Passage]:
        """Two passages."""
        assert store == STORE
        return PASSAGES[:k]

    async def quote(self, question: str, passages: Sequence[Passage]) -> Quoted:
        """The first passage."""
        return Quoted(("Leave is 30 days.", " [1]"), tuple(passages[:1]), True)

    async def reveal(self, workspace: UUID, credential: UUID, host: str | None) -> Mapping[str, str]:
        """What stands in credentials beside keys: some services have their address there."""
        assert credential == CREDENTIAL
        return {
            "azureFoundryApiKey": "k",
            "azureFoundryEndpoint": "https://rank.example",
            "azureOpenAIApiInstanceName": "here",
            "azureOpenAIApiDeploymentName": "deployed",
            "cloudflareAccountId": "a1",
            **dict.fromkeys(SEARCH_KEYS, "k"),
        }

    async def script(self, code: str, values: Mapping[str, Any]) -> Any:
        """JavaScript is switched on, and never run here."""
        raise AssertionError

    async def tool(self, workspace: UUID, tool: UUID) -> StoredTool:
        """The tool that somebody keeps."""
        assert tool == FLOW
        return StoredTool(tool, "weather", "", "", "return 1")

    @property
    def lent(self) -> Backing:
        """All of it."""
        return Backing(self.search, self.quote, self.reveal, script=self.script, stored_tool=self.tool)


def flow_around(name: str, step: type[Step]) -> str:
    """A flow that holds the step, with fakes or quoting ones around it."""
    if name in ("conversationalRetrievalQAChain", "chatLocal", "documentStoreVS"):
        return rag(STORE)
    if issubclass(
        step,
        ToolStep
        | ParserStep
        | ModerationStep
        | Summing
        | FewShotPromptTemplate
        | AgentStep
        | Synthesizer
        | Engine
        | MultiRetrievalQA
        | MultiPrompt
        | PromptRetriever
        | VectorDbQA,
    ):
        return flow_holding(name, step)
    if issubclass(step, MemoryStep):
        return rag(STORE, memory={}).replace('"bufferMemory"', f'"{name}"')
    if issubclass(step, EndingStep | PromptStep):
        return flow_without_documents(name, step)
    if issubclass(step, VectorStore):
        chain = node("c", "conversationalRetrievalQAChain", "Chains")
        file = node("f", "textFile", "Document Loaders")  # of no concern to an answer
        links = [edge("f", "s", "document"), edge("s", "c", "vectorStoreRetriever")]
        return graph([node("s", name, step.category), chain, file], links)
    if issubclass(step, OverRetriever):
        return flow_over(name, step)
    if issubclass(step, EmbeddingsStep):
        return flow_over("embeddingsFilterRetriever", EmbeddingsFilterRetriever, embeddings=name)
    inputs = {"basepath": HERE, "basePath": HERE, "baseUrl": HERE, "modelName": "m", "model": "o/m"}
    store = node("s", "documentStoreVS", "Vector Stores", {"selectedStore": str(STORE)})
    chain = node("c", "conversationalRetrievalQAChain", "Chains", {"returnSourceDocuments": "true"})
    model = node("m", name, step.category, inputs, credential=str(CREDENTIAL))
    return graph([store, chain, model], [edge("s", "c", "vectorStoreRetriever"), edge("m", "c", "model")])


HELD: dict[type[Step], tuple[str, str]] = {
    ToolStep: ("toolAgent", "tools"),
    ParserStep: ("llmChain", "outputParser"),
    ModerationStep: ("llmChain", "inputModeration"),
    MemoryStep: ("conversationChain", "memory"),
    PromptStep: ("llmChain", "prompt"),
    PromptRetriever: ("multiPromptChain", "promptRetriever"),
    Synthesizer: ("queryEngine", "responseSynthesizer"),
}
"""What holds a step of a kind, and at which anchor."""

BELOW: dict[type[Step], str] = {
    ModelStep: "chatOpenAI",
    PromptStep: "promptTemplate",
    VectorStoreRetriever: "vectorStoreRetriever",
    PromptRetriever: "promptRetriever",
    QueryEngineTool: "queryEngineToolLlamaIndex",
    Engine: "queryEngine",
    RetrieverStep: "documentStoreVS",
    MemoryStep: "bufferMemory",
    EndingStep: "llmChain",
    EmbeddingsStep: "openAIEmbeddings",
}
"""What stands at an anchor that must have something."""

INPUTS: dict[str, dict[str, Any]] = {
    "chatOpenAI": {"basepath": "http://127.0.0.1:1/v1"},
    "documentStoreVS": {"selectedStore": str(STORE)},
    "inputModerationOpenAI": {"basepath": "http://127.0.0.1:1/v1"},
    "openAIEmbeddings": {"basepath": "http://127.0.0.1:1/v1"},
    "ChatflowTool": {"selectedChatflow": str(FLOW)},
    "vectorStoreRetriever": {"name": "handbook"},
    "promptRetriever": {"name": "handbook"},
    "agentAsTool": {"selectedAgentflow": str(FLOW)},
    "customTool": {"selectedTool": str(FLOW)},
    "openAPIToolkit": {"yamlFile": API_DOCUMENT},
    "requestsDelete": {"requestsDeleteUrl": HERE},
    "requestsPost": {"requestsPostUrl": HERE},
    "requestsPut": {"requestsPutUrl": HERE},
}
"""What nodes must be given."""


def flow_holding(name: str, step: type[Step]) -> str:
    """A flow with the step where it belongs, and what it and those around it must have."""
    nodes: list[dict[str, Any]] = []
    links: list[dict[str, Any]] = []

    def put(kind: str, given: Mapping[str, str]) -> str:
        found: type[Step] = resolve(STEPS, kind, "node")
        own = f"n{len(nodes)}"
        chosen = str(CREDENTIAL) if issubclass(found, SearchStep) else ""
        nodes.append(node(own, kind, found.category, INPUTS.get(kind, {}), credential=chosen))
        for anchor in found.anchors:
            below = given.get(anchor.name) or _below(anchor)
            if below:
                links.append(edge(put(below, {}), own, anchor.name))
        return own

    holder = next((held for base, held in HELD.items() if issubclass(step, base)), None)
    put(*((name, {}) if holder is None else (holder[0], {holder[1]: name})))
    return graph(nodes, links)


def _below(anchor: Anchor) -> str:
    if anchor.optional:
        return ""
    return next(kind for base, kind in BELOW.items() if issubclass(anchor.accepts, base))


def flow_without_documents(name: str, step: type[Step]) -> str:
    """A flow with a chain, or with a prompt under one, and what the chain must have."""
    ending = "llmChain" if issubclass(step, PromptStep) else name
    below = {
        "prompt": node("p", name if issubclass(step, PromptStep) else "promptTemplate", "Prompts"),
        "memory": node("r", "bufferMemory", "Memory"),
        "model": node("m", "chatOpenAI", "Chat Models", {"basepath": "http://127.0.0.1:1/v1"}),
        "vectorStoreRetriever": node("s", "documentStoreVS", "Vector Stores", {"selectedStore": str(STORE)}),
    }
    kind: type[Step] = resolve(STEPS, ending, "node")
    needed = {anchor.name: below[anchor.name] for anchor in kind.anchors if not anchor.optional}
    links = [edge(item["id"], "c", anchor) for anchor, item in needed.items()]
    return graph([node("c", ending, "Chains"), *needed.values()], links)


def flow_over(name: str, step: type[OverRetriever], *, embeddings: str = "") -> str:
    """A flow with a retriever over a document store."""
    inputs: dict[str, Any] = {"basePath": "http://127.0.0.1:1/v1"} if issubclass(step, RerankRetriever) else {}
    if name == "extractMetadataRetriever":
        inputs["dynamicMetadataFilterRetrieverStructuredOutput"] = '[{"key": "year", "type": "Number"}]'
    nodes = [
        node("s", "documentStoreVS", "Vector Stores", {"selectedStore": str(STORE)}),
        node("r", name, step.category, inputs, credential=str(CREDENTIAL) if name.startswith("Azure") else ""),
        node("c", "conversationalRetrievalQAChain", "Chains"),
    ]
    links = [edge("s", "r", step.below.name), edge("r", "c", "vectorStoreRetriever")]
    if any(anchor.accepts is ModelStep for anchor in step.anchors):
        nodes.append(node("m", "chatOpenAI", "Chat Models", {"basepath": "http://127.0.0.1:1/v1"}))
        links.append(edge("m", "r", "model"))
    if embeddings:
        places = dict.fromkeys(("basepath", "basePath", "baseUrl", "endpoint", "overrideEndpoint"), HERE)
        inputs = {**places, "modelName": "m"}
        nodes.append(node("e", embeddings, "Embeddings", inputs, credential=str(CREDENTIAL)))
        links.append(edge("e", "r", "embeddings"))
    return graph(nodes, links)


async def test_it_prepares_and_closes_in_a_flow(name: str, step: type[Step]) -> None:
    compiled = compile_flow(parse(flow_around(name, step)))
    assert any(isinstance(item, step) for item in compiled.steps)
    lent = Library().lent
    await compiled.prepare(uuid4(), lent)
    await compiled.close()
    await compiled.prepare(uuid4(), lent)
    await compiled.close()


async def test_a_flow_of_them_runs_on_fakes() -> None:
    compiled = compile_flow(parse(rag(STORE, memory={})))
    library = Library()
    lent = Backing(library.search, library.quote, library.reveal)
    await compiled.prepare(uuid4(), lent)
    run = Run(uuid4(), uuid4(), "c", "s", "How many days?", (), lent)
    events = [event async for event in compiled.run(run)]
    assert events == [Sources(PASSAGES[:1]), Token("Leave is 30 days."), Token(" [1]")]
