"""Flows for tests, in the shape that Flowise exports."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

RETRIEVER = {"output": "retriever"}


def node(
    identifier: str, name: str, category: str, inputs: Mapping[str, Any] | None = None, **data: Any
) -> dict[str, Any]:
    """A node of a graph."""
    inner = {"id": identifier, "name": name, "label": name, "category": category, "inputs": dict(inputs or {}), **data}
    return {"id": identifier, "type": "customNode", "position": {"x": 1, "y": 2}, "data": inner}


def edge(source: str, target: str, anchor: str, kind: str = "Any") -> dict[str, Any]:
    """A link of a graph."""
    return {
        "source": source,
        "sourceHandle": f"{source}-output-{source}-{kind}",
        "target": target,
        "targetHandle": f"{target}-input-{anchor}-{kind}",
        "type": "buttonedge",
        "id": f"{source}-{target}",
    }


def graph(nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> str:
    """flowData."""
    return json.dumps({"nodes": nodes, "edges": edges, "viewport": {"x": 0, "y": 0, "zoom": 1}})


def rag(
    store: UUID | str,
    *,
    model: dict[str, Any] | None = None,
    memory: Mapping[str, Any] | None = None,
    chain: Mapping[str, Any] | None = None,
) -> str:
    """A conversational RAG flow; the model quotes unless one is given."""
    model = model or node("chatLocal_0", "chatLocal", "Chat Models")
    nodes = [
        node(
            "store_0",
            "documentStoreVS",
            "Vector Stores",
            {"selectedStore": str(store)},
            outputs={"output": "retriever"},
        ),
        model,
        node(
            "chain_0",
            "conversationalRetrievalQAChain",
            "Chains",
            {
                "model": f"{{{{{model['id']}.data.instance}}}}",
                "vectorStoreRetriever": "{{store_0.data.instance}}",
                "returnSourceDocuments": True,
                **(chain or {}),
            },
        ),
        node("note_0", "stickyNote", "Utilities", {"note": "Remember"}),
    ]
    edges = [edge("store_0", "chain_0", "vectorStoreRetriever"), edge(model["id"], "chain_0", "model")]
    if memory is not None:
        nodes.append(node("memory_0", "bufferMemory", "Memory", memory, label="Buffer Memory"))
        edges.append(edge("memory_0", "chain_0", "memory"))
    return graph(nodes, edges)


def openai(url: str, **inputs: Any) -> dict[str, Any]:
    """A model node for an OpenAI-compatible server without keys."""
    return node(
        "chatOpenAI_0",
        "chatOpenAI",
        "Chat Models",
        {"modelName": "stub-model", "basepath": url, "streaming": True, **inputs},
    )
