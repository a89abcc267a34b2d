"""Flows whose vector stores are filled by upserts."""

import json
from collections.abc import Mapping
from typing import Any

from tests.service.chatflows.flows import edge, graph, node

HANDBOOK = b"Every employee has 30 days of paid leave a year.\n\nThe office in Bergen opens at eight o'clock.\n"


def part(name: str, content: bytes | str) -> tuple[str, tuple[str, bytes]]:
    """A file as a part of a form."""
    return "files", (name, content.encode() if isinstance(content, str) else content)


def filled(
    *loaders: dict[str, Any],
    stores: Mapping[str, tuple[str, Mapping[str, Any]]] | None = None,
    embedding: dict[str, Any] | None = None,
    splitter: Mapping[str, Any] | None = None,
) -> str:
    """A conversational RAG flow over vector stores (by id: node name and inputs) behind which these loaders stand.

    The chain reads the first store."""
    stores = stores or {"store_0": ("memoryVectorStore", {})}
    model = node("chatLocal_0", "chatLocal", "Chat Models")
    chain = node("chain_0", "conversationalRetrievalQAChain", "Chains", {"returnSourceDocuments": True})
    nodes = [model, chain, *loaders]
    edges = [edge("chatLocal_0", "chain_0", "model"), edge(next(iter(stores)), "chain_0", "vectorStoreRetriever")]
    for identifier, (name, inputs) in stores.items():
        nodes.append(node(identifier, name, "Vector Stores", inputs, outputs={"output": "retriever"}))
        edges += [edge(loader["id"], identifier, "document") for loader in loaders]
        if embedding is not None:
            edges.append(edge(embedding["id"], identifier, "embeddings"))
    if embedding is not None:
        nodes.append(embedding)
    if splitter is not None:
        nodes.append(node("splitter_0", "recursiveCharacterTextSplitter", "Text Splitters", splitter, label="Cut"))
        edges += [edge("splitter_0", loader["id"], "textSplitter") for loader in loaders]
    return graph(nodes, edges)


def loader(name: str, identifier: str | None = None, **inputs: Any) -> dict[str, Any]:
    """A document loader."""
    return node(identifier or f"{name}_0", name, "Document Loaders", inputs)


def fake() -> dict[str, Any]:
    """An embedding that costs nothing."""
    return node("fake_0", "fake", "Embeddings", {"dimension": 16})


def opened(**nodes: list[str]) -> str:
    """An apiConfig that lets callers set these inputs, by the label of the node."""
    listed = {
        label: [{"label": name, "name": name, "type": "string", "enabled": True} for name in names]
        for label, names in nodes.items()
    }
    return json.dumps({"overrideConfig": {"status": True, "nodes": listed, "variables": []}})
