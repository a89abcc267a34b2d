"""What compiles, and what every refusal names."""

import json
from typing import Any
from uuid import uuid4

import pytest

from service.chatflows.engine import compile_flow, default_model
from service.chatflows.graph import parse
from service.chatflows.steps.chat_local import ChatLocal
from service.chatflows.steps.chat_openai import ChatOpenAI
from service.chatflows.types import FlowNotRunnable, ProblemKind
from tests.service.chatflows.flows import edge, graph, node, openai, rag


def refused(flow_data: str) -> str:
    """Why a flow does not compile."""
    with pytest.raises(FlowNotRunnable) as caught:
        compile_flow(parse(flow_data))
    return caught.value.message


def test_a_rag_flow_compiles_into_typed_steps() -> None:
    compiled = compile_flow(parse(rag(uuid4(), memory={"sessionId": "fixed"})))
    assert sorted(type(step).__name__ for step in compiled.steps) == [
        "BufferMemory",
        "ChatLocal",
        "ConversationalRetrieval",
        "DocumentStoreVS",
    ]
    assert compiled.session == "fixed"
    assert compiled.memory_label == "Buffer Memory"


def test_an_unknown_node_is_named_with_what_is_supported() -> None:
    text = refused(rag(uuid4(), model=node("m", "chatMystery", "Chat Models")))
    assert "'chatMystery' is not supported" in text
    assert "chatMistralAI" in text


def test_everything_that_is_wrong_is_named_at_once_and_nothing_that_only_follows_from_it() -> None:
    nodes = [
        node("m", "chatOpenAI", "Chat Models", {"temperature": "hot"}),
        node("s", "weaviate", "Vector Stores", {"weaviateIndex": "kb"}),
        node("f", "pdfFile", "Document Loaders"),
        node("c", "conversationalRetrievalQAChain", "Chains", {"returnSourceDocuments": "perhaps"}),
        node("n", "inMemoryCache", "Cache"),
    ]
    links = [edge("f", "s", "document"), edge("s", "c", "vectorStoreRetriever"), edge("m", "c", "model")]
    with pytest.raises(FlowNotRunnable) as caught:
        compile_flow(parse(graph(nodes, [*links, edge("n", "m", "cache")])))
    kinds = {problem.node: problem.kind for problem in caught.value.problems}
    assert kinds == {"m": ProblemKind.SETTING, "s": ProblemKind.UNSUPPORTED, "c": ProblemKind.SETTING}
    assert "documentStoreVS" in caught.value.message
    assert "nothing is linked" not in caught.value.message


def test_a_cache_is_left_out() -> None:
    model = openai("http://127.0.0.1:1/v1")
    chain = node("c", "conversationChain", "Chains")
    nodes = [model, chain, node("b", "bufferMemory", "Memory"), node("n", "redisCache", "Cache")]
    links = [edge("chatOpenAI_0", "c", "model"), edge("b", "c", "memory"), edge("n", "chatOpenAI_0", "cache")]
    assert len(compile_flow(parse(graph(nodes, links))).steps) == 3


def test_the_embedding_behind_a_cache_feeds_what_the_cache_did() -> None:
    nodes = [
        node("e", "openAIEmbeddings", "Embeddings"),
        node("n", "inMemoryEmbeddingCache", "Cache", {"embeddings": "{{e.data.instance}}"}),
        node("m", "redisEmbeddingsCache", "Cache"),
        node("f", "embeddingsFilterRetriever", "Retrievers"),
        node("s", "documentStoreVS", "Vector Stores", {"selectedStore": str(uuid4())}),
        node("c", "conversationalRetrievalQAChain", "Chains"),
    ]
    links = [edge("n", "m", "embeddings"), edge("m", "f", "embeddings"), edge("s", "f", "baseRetriever")]
    links.append(edge("f", "c", "vectorStoreRetriever"))
    steps = {step.node.id: step for step in compile_flow(parse(graph(nodes, links))).steps}
    assert [step.node.id for step in steps["f"].links["embeddings"]] == ["e"]
    assert not {"n", "m"} & steps.keys()


def test_agentflows_of_version_1_are_refused_with_what_to_build_instead() -> None:
    text = refused(graph([node("s", "supervisor", "Multi Agents"), node("w", "worker", "Multi Agents")], []))
    assert "version 2" in text
    assert "no chain" not in text


def test_an_unknown_ending_is_named() -> None:
    assert "'mysteryChain' is not supported" in refused(graph([node("m", "mysteryChain", "Chains")], []))


def test_an_unknown_node_that_feeds_nothing_is_no_obstacle() -> None:
    flow = graph([node("x", "newcomer", "Vector Stores")], [])
    assert "no chain, agent or engine ends the flow" in refused(flow)
    nodes: list[dict[str, Any]] = [node("x", "newcomer", "Vector Stores")]
    assert "'newcomer' is not supported" in refused(graph(nodes, []))


def test_exactly_one_ending_is_wanted() -> None:
    two = [node(name, "conversationalRetrievalQAChain", "Chains") for name in ("one", "two")]
    assert "exactly one" in refused(graph(two, []))
    fed = node("m", "chatLocal", "Chat Models")
    assert "exactly one" in refused(graph([*two, fed], [edge("m", "one", "model"), edge("m", "two", "model")]))
    assert "no chain" in refused(graph([], []))


def test_an_ending_that_nothing_is_linked_to_lies_about_beside_one_that_is_fed() -> None:
    lying = [node("x", "llmChain", "Chains"), node("y", "csvAgent", "Agents")]
    flow = json.loads(rag(uuid4()))
    flow["nodes"] += lying
    assert compile_flow(parse(json.dumps(flow))).ending.node.id == "chain_0"


def test_what_fills_a_store_that_is_not_here_is_not_named_with_it() -> None:
    nodes = [
        node("t", "characterTextSplitter", "Text Splitters"),
        node("l", "plainText", "Document Loaders"),
        node("s", "pineconeExistingIndex", "Vector Stores"),
        node("c", "retrievalQAChain", "Chains"),
    ]
    links = [edge("t", "l", "textSplitter"), edge("l", "s", "document"), edge("s", "c", "vectorStoreRetriever")]
    text = refused(graph(nodes, links))
    assert "'pineconeExistingIndex' is not supported" in text
    assert "plainText" not in text
    assert "characterTextSplitter" not in text


def test_a_loader_that_feeds_a_prompt_says_what_it_is_there_for() -> None:
    prompt = node("p", "promptTemplate", "Prompts", {"template": "{x}", "promptValues": '{"x": "{{l.data.instance}}"}'})
    nodes = [node("l", "plainText", "Document Loaders"), prompt, node("c", "llmChain", "Chains")]
    text = refused(graph(nodes, [edge("p", "c", "prompt")]))
    assert "brings documents into a vector store" in text
    assert "not supported" not in text


def test_a_missing_retriever_is_named() -> None:
    assert "nothing is linked to 'vectorStoreRetriever'" in refused(
        graph([node("chain", "conversationalRetrievalQAChain", "Chains")], [])
    )


def test_a_link_of_the_wrong_kind_is_named() -> None:
    nodes = [node("memory", "bufferMemory", "Memory"), node("chain", "conversationalRetrievalQAChain", "Chains")]
    text = refused(graph(nodes, [edge("memory", "chain", "vectorStoreRetriever")]))
    assert "'vectorStoreRetriever' cannot take bufferMemory (memory)" in text


def test_a_link_to_an_input_that_is_not_there_is_named() -> None:
    store = node("s", "documentStoreVS", "Vector Stores", {"selectedStore": str(uuid4())})
    parser = node("p", "csvOutputParser", "Output Parsers")
    nodes = [store, parser, node("c", "conversationalRetrievalQAChain", "Chains")]
    text = refused(graph(nodes, [edge("s", "c", "vectorStoreRetriever"), edge("p", "c", "outputParser")]))
    assert "linked to 'outputParser', which takes no links here" in text
    assert "promptValues" in text


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"topP": 7}, "topP"),
        ({"basepath": "ftp://x"}, "basepath"),
        ({"maxTokens": "1.5"}, "maxTokens"),
        ({"streaming": "perhaps"}, "streaming"),
    ],
)
def test_a_bad_option_names_label_and_field(inputs: dict[str, Any], field: str) -> None:
    text = refused(rag(uuid4(), model=openai("http://127.0.0.1:1/v1", **inputs)))
    assert f"chatOpenAI (chatOpenAI_0): {field}:" in text


def test_numbers_and_flags_may_be_texts_and_empty_texts_count_as_unset() -> None:
    model = openai("", temperature="0.2", streaming="true", maxTokens="", baseOptions='{"defaultHeaders": {"a": "b"}}')
    steps = compile_flow(parse(rag(uuid4(), model=model))).steps
    (step,) = (item for item in steps if isinstance(item, ChatOpenAI))
    assert (step.options.temperature, step.options.streaming, step.options.max_tokens) == (0.2, True, None)
    assert step.options.base_options == {"defaultHeaders": {"a": "b"}}


def test_addresses_may_have_blanks_around_them() -> None:
    for written, meant in ((" ", ""), (" http://models:8080/v1\n", "http://models:8080/v1")):
        steps = compile_flow(parse(rag(uuid4(), model=openai("", basepath=written)))).steps
        (step,) = (item for item in steps if isinstance(item, ChatOpenAI))
        assert step.options.basepath == meant


def test_the_default_model_answers_where_a_chain_is_linked_to_none() -> None:
    store = node("s", "documentStoreVS", "Vector Stores", {"selectedStore": str(uuid4())})
    flow = graph(
        [store, node("c", "conversationalRetrievalQAChain", "Chains")], [edge("s", "c", "vectorStoreRetriever")]
    )
    (quoting,) = (step for step in compile_flow(parse(flow)).steps if isinstance(step, ChatLocal))
    assert quoting.quotes
    named = compile_flow(parse(flow), chat_model="openai:small").steps
    (remote,) = (step for step in named if isinstance(step, ChatOpenAI))
    assert remote.options.model_name == "small"


def test_a_default_model_of_an_unknown_form_is_refused() -> None:
    with pytest.raises(FlowNotRunnable, match="RAGSTONE_CHAT_MODEL"):
        default_model("whatever")
